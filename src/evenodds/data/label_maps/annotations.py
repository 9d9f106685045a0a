"""Files of JSON that describe regions of images, as COCO and labelme write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from evenodds.data.folders.files import content
from evenodds.data.label_maps.coco import Coco, of_coco
from evenodds.data.label_maps.drawings import Annotated, Places, plain
from evenodds.data.label_maps.labelme import Labelme, of_labelme
from evenodds.data.pictures.opening import File
from evenodds.errors import BadInput
from evenodds.files.read import as_type, parse_json

__all__ = ["annotated"]

_INSTANCES = "instances"  # How COCO calls the files of regions, beside those of captions and of key points.
_MOST_JSON = 1 << 30  # Bytes of a file that describes regions.


def annotated(root: Path, files: Sequence[File], others: Sequence[File], wanted: str | None = None) -> Annotated | None:
    """The images whose regions stand in files of JSON; None where there are no such files.

    Args:
        files: images.
        others: all other files.
        wanted: the only file of JSON to read, by the end of its path.

    Raises:
        BadInput: the wanted one is not there or holds no regions, files contradict each other, or no image is there.
    """
    documents = [file for file in others if file.name.lower().endswith(".json") and not _hidden(file.name)]
    if wanted is not None:
        documents = [file for file in documents if f"/{file.name}".endswith(f"/{plain(wanted)}")]
        if len(documents) != 1:
            raise BadInput(f"{root.name} holds {len(documents)} files '{wanted}' of JSON; name one by its path in it")
    instances = [file for file in documents if PurePosixPath(file.name).name.lower().startswith(_INSTANCES)]
    read = [(file, kind) for file in instances or documents if (kind := _read(file, wanted is not None)) is not None]
    coco = [(file, one) for file, one in read if isinstance(one, Coco)]
    labelme = [(file, one) for file, one in read if isinstance(one, Labelme)]
    if wanted is not None and not read:
        raise BadInput(f"{wanted} is no JSON of regions as COCO (images, annotations, categories) or labelme write it")
    place = Places(files)
    return of_coco(root, coco, place) if coco else of_labelme(root, labelme, place) if labelme else None


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _read(file: File, wanted: bool) -> Coco | Labelme | None:
    """What a file of JSON holds; None where it is of another kind, or damaged and not wanted."""
    try:
        value = parse_json(content(file, _MOST_JSON), file.name)
    except BadInput:
        if wanted:
            raise
        return None
    if isinstance(value, dict) and {"images", "annotations", "categories"} <= value.keys():
        return as_type(value, Coco, file.name, "export it again")
    if isinstance(value, dict) and {"shapes", "imagePath"} <= value.keys():
        return as_type({**value, "imageData": None, "inside": bool(value.get("imageData"))}, Labelme, file.name)
    return None
