"""What messages advise is typed as they say it, in the situation that prints it: it is taken, and helps."""

from __future__ import annotations

import json
import re
import shlex
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tifffile
import torch
from PIL import Image

from evenodds.cli.app import setting_values
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.runs.build import build_task
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.reading import open_data
from evenodds.runs.run import checked
from tests.advice import told
from tests.dicom import write_dicom
from tests.video import write_video

Folder = Callable[[Path], object]
ONE = r"(?<![a-z_.'*])[a-z_]+(?:\.[a-z_]+)*=[^\s;)*]+"
REFUSED = "refused: "
SETTINGS = re.compile(f"{ONE}(?: {ONE})*|'[^'*]+=[^'*]+'")
"""One after the other they are set together; what is in quotes has stars for names that only the user knows."""


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def noise(k: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)


def images(*names: str, shape: tuple[int, ...] = (32, 32, 3)) -> Folder:
    """A folder of images of these names, each of them several times."""
    return lambda root: [save(root / name.format(k=k), noise(k, *shape)) for name in names for k in range(8)]


def maps(*levels: int, soft: bool = False, side: int = 32) -> Folder:
    """Images, and maps of these levels in stripes."""
    values = np.repeat(np.array(levels, np.uint8)[np.arange(side) * len(levels) // side][None], side, 0)
    if soft:
        values = np.asarray(Image.fromarray(values).resize((64, 64), 2).resize((side, side), 3))

    def build(root: Path) -> None:
        images("images/{k}.png", shape=(side, side, 3))(root)
        for k in range(8):
            save(root / f"masks/{k}.png", values)

    return build


def arrays(**values: np.ndarray) -> Folder:
    return lambda root: np.savez(root / "x.npz", **values)


def text(name: str, content: str, *more: Folder) -> Folder:
    def build(root: Path) -> None:
        for folder in more:
            folder(root)
        (root / name).write_text(content)

    return build


def stack(root: Path) -> None:
    pages = [Image.fromarray(noise(k, 32, 32)) for k in range(4)]
    pages[0].save(root / "a.tif", save_all=True, append_images=pages[1:])


def files(*names: str) -> Folder:
    """Lists of paths and the like: names of files, and what is in them, one behind the other."""
    pairs = list(zip(names[::2], names[1::2], strict=True))
    return lambda root: [(root / name).write_text(content) for name, content in pairs]  # type: ignore[func-returns-value]


def every(*folders: Folder) -> Folder:
    return lambda root: [folder(root) for folder in folders]


def coco(name: str, dog: str = "dog", ids: Sequence[int] = range(8)) -> Folder:
    """Regions of the images 0 to 7 in JSON."""
    square = [[2, 2, 20, 2, 20, 20, 2, 20]]
    regions = [{"id": k, "image_id": k, "category_id": 1, "iscrowd": 0, "segmentation": square} for k in ids]
    pictures = [{"id": k, "file_name": f"{k}.png", "height": 32, "width": 32} for k in ids]
    words = {"images": pictures, "annotations": regions, "categories": [{"id": 1, "name": dog}]}
    return files(name, json.dumps(words))


def tables(root: Path) -> None:
    cells = [(root / f"{k}.png").read_bytes() for k in range(8)]
    rows = {"left": cells, "right": cells, "sort": [k % 2 for k in range(8)], "kind": [0] * 4 + [1] * 4}
    names = {name: {"_type": "ClassLabel", "names": ["a", "b"]} for name in ("sort", "kind")}
    told = {b"huggingface": json.dumps({"info": {"features": names}}).encode()}
    pyarrow.parquet.write_table(pyarrow.table(rows).replace_schema_metadata(told), root / "x.parquet")


def tar(root: Path) -> None:
    with tarfile.open(root / "x.tar", "w") as archive:
        for k in range(8):
            for ending in ("left.png", "right.png"):
                archive.add(root / f"{k}.png", f"{k:03}.{ending}")


def masked(*names: str) -> Folder:
    """Images, and masks of these names, each with an object."""
    mask = np.zeros((32, 32), np.uint8)
    mask[:9, :9] = 255

    def build(root: Path) -> None:
        images("images/{k}.png")(root)
        for name in names:
            for k in range(8):
                save(root / "masks" / name.format(k=k), mask)

    return build


def named(root: Path) -> None:
    """Images, and masks with a name each."""
    images("images/{k}.png")(root)
    for k in range(255):
        save(root / f"masks/{k % 8}_{chr(97 + k // 26)}{chr(97 + k % 26)}s.png", noise(0, 32, 32) // 128 * 255)


def numbered(root: Path) -> None:
    """Maps whose values number objects."""
    images("images/{k}.png")(root)
    for k in range(8):
        save(root / f"masks/{k}.png", np.repeat(np.uint8([[0, 2 * k + 1, 2 * k + 2, 0]]), 32, 0).repeat(8, 1))


def scans(root: Path) -> None:
    for k in range(8):
        write_dicom(root / f"{k}.dcm", 40 * BITS[k].astype(np.int16) // 100)


def city(root: Path) -> None:
    for k in range(8):
        save(root / f"leftImg8bit/train/u/u_{k}_leftImg8bit.png", noise(k, 32, 32, 3))
        save(root / f"gtFine/train/u/u_{k}_gtFine_labelIds.png", np.uint8(7 + (np.arange(1024) % 2).reshape(32, 32)))


def film(root: Path) -> None:
    write_video(root / "x.mp4", [noise(k, 32, 32, 3) for k in range(60)])


def beside(root: Path) -> None:
    for k in range(8):
        save(root / f"{k}.png", noise(k, 64, 100 if k == 3 else 128, 3))


BITS = np.random.default_rng(0).integers(0, 4096, (8, 32, 32)).astype(np.uint16)
REAL = np.random.default_rng(0).random((40, 32, 32), np.float32)
BANDS = np.concatenate([REAL[:, None], 1000 + 500 * REAL[:, None]], 1)
HOLES = np.where(REAL < 0.01, -9999, 500 + REAL).astype(np.float32)
FAR = np.where(REAL.max() == REAL, 1e6, REAL).astype(np.float32)
SIGNS = np.arange(8) % 3 - 1
WHOLE = "size=null fit=crop task.crop=null"
MANY = "data.objects=names"
LABELS = "file,class\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(8))
PARTS = ("train/{k}.png", "test/{k}.png")

ALONE = (".npz", ".txt", ".parquet", ".tar", ".csv", ".h5")
"""Endings of a file that is the data itself."""


def written(encoding: str, header: str, word: str) -> Folder:
    """A table in a code page."""
    rows = "".join(f"{k % 7}.5,{(word, 'b')[k % 2]}\n" for k in range(40))
    return lambda root: (root / "x.csv").write_bytes(f"{header}\n{rows}".encode(encoding))


def parts(root: Path) -> None:
    with h5py.File(root / "x.h5", "w") as file:
        file["train/x"], file["test/x"] = np.concatenate([BITS] * 8), BITS[:5]


def holes(root: Path) -> None:
    """Pairs of numbers, one of them without any data."""
    for k in range(8):
        for side in "AB":
            (root / side).mkdir(exist_ok=True)
            tifffile.imwrite(root / side / f"{k}.tif", HOLES[k] if k != 3 else np.full_like(HOLES[0], -9999))


CASES: dict[str, tuple[Folder, str, str, str]] = {
    "folders": (images("a/{k}.png", "b/{k}.png"), "color-32", "", "folders as classes"),
    "unlabelled": (images("a/{k}.png", "b/{k}.png", "Unlabelled/{k}.png"), "color-32", "", "is a class, too"),
    "labels": (text("labels.csv", LABELS, images("{k}.png")), "color-32", "", "classes from labels.csv"),
    "parts": (images(*PARTS), "color-32", "", "Held out are"),
    "lists": (text("test.txt", "1\n2\n", images("{k}.png")), "color-32", "", "Held out are"),
    "absent class": (
        images("train/a/{k}.png", "test/a/x{k}.png", "test/b/{k}.png"),
        "color-32",
        "task=generate",
        "No image to train",
    ),
    "unpaired": (
        images("A/train/{k}.png", "B/train/{k}.png", "A/test/{k}.png", shape=(64, 64, 3)),
        "cycle",
        "",
        "Left aside 8",
    ),
    "frames": (stack, "gray-28", "", "Took all frames"),
    "alpha": (images("{k}.png", shape=(32, 32, 4)), "color-32", "channels=3", "transparent parts"),
    "alpha, larger than memory": (
        images("{k}.png", shape=(32, 32, 4)),
        "color-32",
        "data.memory=1 channels=3",
        "with an alpha channel over white",
    ),
    "nothing, larger than memory": (holes, "translate", "data.memory=1", "holds no data at all"),
    "all masks named": (named, "segment", MANY, "over 254"),
    "turns": (images("{k}.png", shape=(32, 48, 3)), "denoise", WHOLE, "turned in every"),
    "zoom": (maps(0, 255), "segment", "task.zoom=9", "zoom must be in"),
    "few pieces": (images("A/{k}.png", "B/{k}.png", shape=(64, 64, 3)), "translate", "task.crop=32", "are few for"),
    "words without noise": (
        files("x.csv", "a,b\n" + "".join(f"{k}.5,{'xy'[k % 2]}\n" for k in range(40))),
        "table",
        "prior=spherical",
        "choose words and levels by",
    ),
    "plain gaps": (
        files("x.csv", "a,b\n" + "".join(f"{k}.5,{k if k % 2 else ''}\n" for k in range(40))),
        "table",
        "data.types=plain",
        "has empty cells",
    ),
    "a code page": (written("shift_jis", "値,都市", "大阪"), "table", "", "neither UTF-8"),
    "another code page": (written("cp1251", "рост,город", "Уфа"), "table", "", "read as Windows-1252"),
    "parts of an array": (arrays(x_train=BITS, x_test=BITS[:2]), "gray-28", "", "and left the 2 of x_test aside"),
    "the test part of an array": (
        arrays(x_train=BITS, x_test=BITS[:2]), "gray-28", "data.split=test", "and left the 8 of x_train aside"
    ),
    "parts of an array, held out": (
        arrays(x_train=BITS, x_test=BITS[:2]), "gray-28", "data.splits=respect", "the 2 of x_test, none is trained on"
    ),
    "parts of an HDF5 file": (parts, "gray-28", "", "none is trained on; data.splits=train"),
    "few to test in an HDF5 file": (parts, "gray-28", "", "Only 5 items are held out"),
    "bits": (arrays(x=BITS), "gray-28", "", "Of 16 bits"),
    "bands": (arrays(x=BANDS), "gray-28", "", "Each channel has a range"),
    "outliers": (arrays(x=FAR), "gray-28", "", "Clipped"),
    "no data": (arrays(x=HOLES), "gray-28", "", "are no data"),
    "minus one": (arrays(x=BITS, y=SIGNS), "gray-28", "task=condition", "-1 is a class"),
    "255": (maps(0, 255), "segment", "", "255 counts as a class"),
    "soft": (maps(0, 255, soft=True), "segment", "", "soft edges"),
    "void": (maps(0, 0), "segment", "data.ignore=0", "nothing but what is ignored"),
    "halves": (images("{k}.png", shape=(64, 128, 3)), "translate", "", "half of each file is the source"),
    "an odd file": (beside, "translate", "", "twice as wide as high"),
    "few": (images("{k}.png"), "color-32", "", "are few for"),
    "few pairs": (images("A/{k}.png", "B/{k}.png", shape=(64, 64, 3)), "translate", "", "are few for"),
    "few maps": (maps(0, 255), "segment", "", "are few for"),
    "encoder": (maps(0, 255, side=48), "segment", "", "trained on photographs"),
    "held out": (arrays(x=REAL), "gray-28", "", "items are held out"),
    "tiles": (images("{k}.png"), "denoise", "task.crop=32", "holds a tile"),
    "pieces": (images("{k}.png"), "denoise", "size=32", "pieces of 64 x 64 do not fit"),
    "no classes": (images("{k}.png"), "color-32", "task=condition", "needs data with"),
    "one class": (arrays(x=BITS, y=SIGNS * 0), "gray-28", "task=condition", "at least 2 classes"),
    "a list with labels": (
        every(images("{k}.png"), files("x.txt", "".join(f"{k}.png {'ab'[k % 2]}\n" for k in range(8)))),
        "color-32",
        "",
        "Took the labels behind the paths",
    ),
    "regions": (
        every(images("{k}.png"), coco("a.json", ids=range(4)), coco("b.json", ids=range(4, 8))),
        "segment",
        "",
        "Drew maps of the regions",
    ),
    "two files of regions": (
        every(images("{k}.png"), coco("a.json"), coco("b.json")),
        "segment",
        "",
        "stands twice in files of JSON",
    ),
    "two names of a category": (
        every(images("{k}.png"), coco("a.json"), coco("b.json", "cat")),
        "segment",
        "",
        "read one of them",
    ),
    "columns of images": (every(images("{k}.png"), tables), "color-32", "", "Took the images of the column"),
    "columns of classes": (every(images("{k}.png"), tables), "color-32", "", "Columns "),
    "a column of classes": (
        every(images("{k}.png"), tables),
        "color-32",
        "data.label=sort",
        "Took the classes from the column",
    ),
    "samples of two images": (every(images("{k}.png"), tar), "color-32", "", "several images each"),
    "named masks": (masked("{k}_car.png", "{k}_tree.png"), "segment", "", "what they are called is their class"),
    "many names": (masked("{k}_car.png", "{k}_tree.png"), "segment", "data.objects=one", "data.objects=names makes"),
    "numbers and names": (masked("{k}_1.png", "{k}_tree.png"), "segment", "", "numbered alone"),
    "numbers of objects": (numbered, "segment", "", "occur in one map alone"),
    "layout": (arrays(x=np.repeat(BITS[:, :3], 1, 1)[..., None].repeat(3, 3)), "color-32", "", "to count channels"),
    "nan": (arrays(x=np.where(REAL < 0.01, np.nan, REAL)), "gray-28", "", "must be finite"),
    "scans": (scans, "gray-28", "data.window=file", "no window in it"),
    "a film among images": (every(images("{k}.png"), film), "color-32", "", "Videos among images"),
    "one frame a second": (film, "color-32", "", "one a second"),
    "batch": (images("{k}.png"), "color-32", "batch=16", "Each batch of"),
    "city": (city, "segment", "", "Took the 19 classes of Cityscapes"),
    "plain words": (
        files("x.csv", "a,b\n" + "".join(f"{k % 7},{'xy'[k % 2]}\n" for k in range(40))),
        "table",
        "data.types=plain",
        "are no numbers",
    ),
    "one class to train on": (
        images("train/a/{k}.png", "test/b/{k}.png"),
        "color-32",
        "task=condition",
        "Classes cannot be learned",
    ),
}  # fmt: skip


MEANT = {
    "folders": "Took {} as classes; data.labels=false",
    "unlabelled": "takes its images as unlabelled",
    "labels": "Took {} from {}; data.labels=false",
    "parts": "{} of {}, none is trained on; data.splits=ignore",
    "lists": "{} that {} {}, none is trained on; data.splits=ignore",
    "unpaired": "kept for testing; data.splits=ignore",
    "no data": "data.nodata=none takes it as a number",
    "255": "data.ignore=255 ignores it",
    "few": "add augmentation (--set {})",
    "few pairs": "task.turns=all task.crop={}",
    "few maps": "task.zoom=1.5 task.focus=0.5 task.jitter=0.2",
    "pieces": "set task.crop={} or less",
    "one class": "task 'condition' needs data with",
    "regions": "takes that file alone",
    "two names of a category": "category {} is",
    "numbers of objects": "data.objects=one takes all above 0",
    "alpha, larger than memory": "channel over white; channels=4",
    "nothing, larger than memory": "remove it, or set data.nodata",
    "a code page": "name its code page, such as",
    "another code page": "data.encoding=cp1251, say, names another",
    "parts of an array": "holds them out, data.split=all takes all",
    "the test part of an array": "data.split=all takes them all",
    "parts of an array, held out": "none is trained on; data.splits=ignore data.split=all",
    "parts of an HDF5 file": "none is trained on; data.splits=train",
    "few to test in an HDF5 file": "items are held out: the score's interval will be wide",
    "all masks named": "names, over {}; take data.objects",
    "turns": "task.crop={}, or task.turns=mirror",
    "few pieces": "task.turns=all",
    "plain gaps": "set data.types=auto",
    "layout": "data.layout={} takes the",
    "nan": "or take data.nodata=nan",
    "batch": "--set batch={} repeats none",
    "plain words": "data.types={}:{}",
}
"""The message with the advice, by a part of it, where it is another than that by which the line is known."""


def taken(source: Path, name: str, settings: list[str]) -> list[str]:
    """All that is said of data which are taken in by a run with these settings, and of a task that is built for it."""
    said: list[str] = []
    try:
        config = with_settings(recipe(name), {"data": str(source)} | setting_values(settings))
        config = with_settings(config, {"task": "generate"}) if config.task.name == "auto" else config
        data: Dataset = open_data(config)
        said += data.report
        task = build_task(config, data)
        checked(config, data, said.append)
        if hasattr(task, "deal"):
            task.deal(data.batch(torch.arange(min(2, len(data)))), torch.Generator().manual_seed(0))
    except BadInput as error:
        said.append(f"{REFUSED}{error}")
    return said


@pytest.mark.parametrize("name", CASES)
def test_advice_helps(name: str, tmp_path: Path) -> None:
    build, base, more, what = CASES[name]
    build(tmp_path)
    source = next((path for path in tmp_path.iterdir() if path.stem == "x" and path.suffix in ALONE), tmp_path)
    settings = more.split()
    (line,) = [line for line in taken(source, base, settings) if what in line]
    ways = [shlex.split(way.rstrip(".,")) for way in SETTINGS.findall(line)]
    assert ways
    told(MEANT.get(name, what), line)
    for way in ways:
        kept = [
            setting for setting in settings if setting.partition("=")[0] not in {one.partition("=")[0] for one in way}
        ]
        said = taken(source, base, [*kept, *way])
        assert line not in said
        assert not said[-1].startswith(REFUSED), said[-1]
