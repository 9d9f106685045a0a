"""The command that packs data into shards: pack."""

from __future__ import annotations

from pathlib import Path

from evenodds.cli.app import Settings, app, setting_values
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say
from evenodds.files.text import quoted

__all__ = ["pack"]

FLAGS = ("size", "shard", "layout")
"""Options that are flags of the command."""


@app.command
def pack(
    source: str,
    to: Path,
    *,
    size: str | None = None,
    shard: str = "256MB",
    layout: str = "images",
    settings: Settings = None,
) -> None:
    """Pack images into shards: uncompressed tar files with an index, from which train reads in any order.

    Names, classes, values, pairs and what is held out are kept. Package webdataset reads the shards, too.

    Parameters
    ----------
    source
        Folder, archive, table or list of images, or an array of them.
    to
        The folder to make; it must not be there, or be empty.
    size
        Side of a square, or HEIGHT,WIDTH, that pictures are brought to now [default: files as they are].
    shard
        The most that a shard may take.
    layout
        images; pairs, for translate and upscale; maps, for segment.
    settings
        Options of the reader: --set data.channels=1 data.fit=pad.
    """
    from evenodds.cli.bar import Steps
    from evenodds.data import packing
    from evenodds.data.wording import count

    with Steps() as step:
        packed = packing.pack(
            source, to, size=_size(size), shard=shard, layout=layout, step=step, **_options(setting_values(settings))
        )
    for line in packed.report:
        say(line)
    shards, recipe = count(packed.shards, "shard"), "" if layout == "images" else "RECIPE "
    say(f"packed {count(packed.items, 'item')} in {shards}, {packed.size / 2**20:,.1f} MiB")
    say(f"train on them: evenodds train {recipe}--data {quoted(packed.folder)}")
    result(packed.folder)


def _size(text: str | None) -> int | tuple[int, int] | None:
    """The sides that --size names."""
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if not 1 <= len(parts) <= 2 or not all(part.strip().isdecimal() and len(part) < 8 for part in parts):
        raise BadInput(f"--size needs a side or HEIGHT,WIDTH, such as 64 or 48,64, got {text[:40]!r}")
    sides = [int(part) for part in parts]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _options(values: dict[str, object]) -> dict[str, object]:
    """The options of the reader."""
    from evenodds.data.packing import pack
    from evenodds.runs.options import accepts
    from evenodds.runs.values import yaml_value

    for key in values:
        if not key.startswith("data."):
            raise BadInput(f"--set takes options of the reader here, such as data.channels=1, got '{key}'")
        if (name := key.removeprefix("data.")) in accepts(pack):
            instead = f"it has a flag, --{name}" if name in FLAGS else "leave it out"
            raise BadInput(f"{key} is no option of the reader here; {instead}")
    return {key.removeprefix("data."): yaml_value(str(value)) for key, value in values.items()}
