"""An exported file that fills the empty cells of tables, at work by onnxruntime and numpy alone, without torch."""

from __future__ import annotations

from pathlib import Path

from evenodds.data.scale import Numbers
from evenodds.data.tables.columns import Columns, are_maps
from evenodds.errors import BadInput
from evenodds.export.alone import prior_of
from evenodds.export.computing import Computing
from evenodds.export.draws import Draws
from evenodds.export.entry import BATCH, FILLINGS, answer_names
from evenodds.export.runtime import opened
from evenodds.export.words import Words, read_file
from evenodds.files.extras import named
from evenodds.runs.imputing import Imputer, Rows, TableFiller, no_table

__all__ = ["table_filler_in"]


def table_filler_in(path: Path) -> TableFiller | None:
    """What a file fills tables by; None of a file that fills images, or needs torch for its draws of z.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, is damaged, or answers something else.

    Example:
        >>> from evenodds.apply.filling_rows import fill_rows  # doctest: +SKIP
        >>> filler = table_filler_in(Path("fill.onnx"))  # doctest: +SKIP
        >>> fill_rows(filler, [{"age": 41, "city": None}]).fillings  # doctest: +SKIP
    """
    words, content = read_file(path)
    if words.answers != "fill":
        raise BadInput(f"{path} answers {words.answers} alone, and not fill; see evenodds {words.answers} --help")
    prior = prior_of(words)
    if not words.card.units.knots or prior is None:
        return None
    columns = _columns(words, path)
    units = words.card.units
    with named(str(path)):
        file = Computing(opened(content, str(path)), words.inputs, words.outputs, units, units)

    def ask(request: Rows) -> Rows:
        made = file(**{name: request[name] for name in ("x", "mask", "z")})
        return dict(zip(answer_names(words.outputs), made, strict=True))

    def draws(n: int, seed: int) -> Numbers:
        return prior(Draws(seed), n)

    def own() -> Path:
        raise no_table(path)

    imputer = Imputer(columns, ask, draws, prior.size)
    return TableFiller(path.parent, units.columns, imputer, own)


def _columns(words: Words, path: Path) -> Columns:
    """The columns of a file; BadInput where they are not those of its network."""
    units = words.card.units
    if are_maps(units.knots, units.columns) and len(units.columns) == len(units.low) == len(units.high):
        columns = Columns.learned(units.columns, units.knots, units.low, units.high)
        row = (BATCH, sum(columns.widths))
        shapes = {one.name: one.shape for one in (*words.inputs, *words.outputs)}
        expected = {"x": row, "mask": row, "filled": (BATCH, FILLINGS, row[1])}
        if columns.choices:
            expected["shares"] = (BATCH, columns.choices)
        if {name: shape for name, shape in shapes.items() if name != "z"} == expected:
            return columns
    raise BadInput(f"{path} does not say what its columns are; export the run again")
