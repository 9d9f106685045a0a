"""The command that looks for near duplicates among images: duplicates."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.app import Json, app
from evenodds.cli.ranges import real, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, result_json, say

__all__ = ["duplicates"]

SIDE = 128
"""Pixels to which images of files are brought where nothing else is said."""
LISTED = 20
"""Files of a group that are named on its line; --json names all."""


@app.command
def duplicates(
    data: Annotated[str, Parameter(help="Folder, archive, list or array of images, as for train.")],
    *,
    threshold: Annotated[
        float | None,
        real(0, 1, above=True, help="Least cosine of features of two near duplicates [default: 0.85, random 0.985]."),
    ] = None,
    features: Annotated[
        str | None, Parameter(help="pretrained or random [default: pretrained where it is installed].")
    ] = None,
    size: Annotated[
        int | None, whole(32, 1_024, help="Side in pixels to which images of files are brought [default: 128].")
    ] = None,
    json: Json = False,
) -> int:
    """List groups of near duplicates among your images: look at them before you train. Nothing is changed.

    Each line is a group: the cosines of the pairs that join it, then its files. Status 0 with or without any.
    """
    from evenodds.cli.bar import reading
    from evenodds.data.sources import options_of
    from evenodds.data.wording import count
    from evenodds.evaluation.duplicates import duplicates as look
    from evenodds.runs.changes import with_settings
    from evenodds.runs.config_files import recipe
    from evenodds.runs.reading import open_data

    shape: dict[str, int | None] = {"size": size or SIDE, "channels": 3}
    if "size" not in options_of(data):
        if size is not None:
            raise BadInput(f"--size is of images in files, and {data} is no such; leave --size out")
        shape = {"size": None, "channels": None}
    config = with_settings(recipe("photos-128"), {"data": data, **shape})
    dataset = open_data(config, reading)
    found = look(dataset, features, threshold)
    named = [[dataset.names[k] if dataset.names else f"item {k}" for k in group.items] for group in found.groups]
    if json:
        groups = [
            {"items": list(group.items), "files": names, "least": group.least, "most": group.most}
            for group, names in zip(found.groups, named, strict=True)
        ]
        facts = {"features": found.features, "threshold": found.threshold, "images": found.items}
        result_json({**facts, "groups": groups})
        return 0
    for group, names in zip(found.groups, named, strict=True):
        cosines = f"{group.least:.3f}" if group.least == group.most else f"{group.least:.3f} to {group.most:.3f}"
        more = f"  and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        result(f"{cosines}  {'  '.join(names[:LISTED])}{more}")
    of = f"of {found.items:,} images, by {found.features} features, cosine {found.threshold:g} or more"
    within = sum(len(group.items) for group in found.groups)
    say(f"{count(len(found.groups), 'group')} with {within:,} {of}" if found.groups else f"no near duplicates {of}")
    for remark in found.remarks:
        say(remark)
    return 0
