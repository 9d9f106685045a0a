"""A sheet of Excel, written by hand."""

import zipfile
from collections.abc import Sequence
from pathlib import Path


def write_sheet(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """A sheet of Excel with these cells: numbers, and words."""

    def cell(value: object) -> str:
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    office = "http://schemas.openxmlformats.org"
    main, links = f"{office}/spreadsheetml/2006/main", f"{office}/package/2006/relationships"
    of = f"{office}/officeDocument/2006/relationships"
    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    link = f'<Relationships xmlns="{links}"><Relationship Id="r1" Type="{of}/{{}}" Target="{{}}"/></Relationships>'
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{office}/package/2006/content-types"><Default Extension="xml" ContentType="text/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/></Types>',
        )
        file.writestr("_rels/.rels", link.format("officeDocument", "xl/workbook.xml"))
        file.writestr("xl/_rels/workbook.xml.rels", link.format("worksheet", "worksheets/sheet1.xml"))
        sheets = f'<sheets><sheet name="A" sheetId="1" r:id="r1" xmlns:r="{of}"/></sheets>'
        file.writestr("xl/workbook.xml", f'<workbook xmlns="{main}">{sheets}</workbook>')
        body = f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        file.writestr("xl/worksheets/sheet1.xml", body)
    return path
