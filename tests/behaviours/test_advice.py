"""What messages advise is typed as they say it, in the situation that prints it: it is taken, and helps."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.cli.app import setting_values
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.runs.build import build_task, open_data
from evenodds.runs.config import recipe, with_settings
from evenodds.runs.run import checked

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


def maps(*levels: int, soft: bool = False) -> Folder:
    """Images, and maps of these levels in stripes."""
    values = np.repeat(np.array(levels, np.uint8)[np.arange(32) * len(levels) // 32][None], 32, 0)
    if soft:
        values = np.asarray(Image.fromarray(values).resize((64, 64), 2).resize((32, 32), 3))

    def build(root: Path) -> None:
        images("images/{k}.png")(root)
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


def beside(root: Path) -> None:
    for k in range(8):
        save(root / f"{k}.png", noise(k, 64, 100 if k == 3 else 128, 3))


BITS = np.random.default_rng(0).integers(0, 4096, (8, 32, 32)).astype(np.uint16)
REAL = np.random.default_rng(0).random((40, 32, 32), np.float32)
BANDS = np.concatenate([REAL[:, None], 1000 + 500 * REAL[:, None]], 1)
HOLES = np.where(REAL < 0.01, -9999, 500 + REAL).astype(np.float32)
FAR = np.where(REAL.max() == REAL, 1e6, REAL).astype(np.float32)
SIGNS = np.arange(8) % 3 - 1
LABELS = "file,class\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(8))
PARTS = ("train/{k}.png", "test/{k}.png")

CASES: dict[str, tuple[Folder, str, str, str]] = {
    "folders": (images("a/{k}.png", "b/{k}.png"), "color-32", "", "folders as classes"),
    "labels": (text("labels.csv", LABELS, images("{k}.png")), "color-32", "", "classes from labels.csv"),
    "parts": (images(*PARTS), "color-32", "", "Held out are"),
    "lists": (text("test.txt", "1\n2\n", images("{k}.png")), "color-32", "", "Held out are"),
    "absent class": (
        images("train/a/{k}.png", "test/a/x{k}.png", "test/b/{k}.png"),
        "color-32",
        "task=generate",
        "No image to train",
    ),
    "unpaired": (images("A/train/{k}.png", "B/train/{k}.png", "A/test/{k}.png"), "cycle", "", "Left aside 8"),
    "frames": (stack, "gray-28", "", "Took all frames"),
    "alpha": (images("{k}.png", shape=(32, 32, 4)), "color-32", "channels=3", "transparent parts"),
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
    "held out": (arrays(x=REAL), "gray-28", "", "items are held out"),
    "tiles": (images("{k}.png"), "denoise", "task.crop=32", "holds a tile"),
    "pieces": (images("{k}.png"), "denoise", "size=32", "pieces of 64 x 64 do not fit"),
    "no classes": (images("{k}.png"), "color-32", "task=condition", "needs data with"),
    "one class": (arrays(x=BITS, y=SIGNS * 0), "gray-28", "task=condition", "at least 2 classes"),
    "one class to train on": (
        images("train/a/{k}.png", "test/b/{k}.png"),
        "color-32",
        "task=condition",
        "Classes cannot be learned",
    ),
}  # fmt: skip


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
    source = next((path for path in tmp_path.iterdir() if path.name == "x.npz"), tmp_path)
    settings = more.split()
    (line,) = [line for line in taken(source, base, settings) if what in line]
    ways = [shlex.split(way.rstrip(".,")) for way in SETTINGS.findall(line)]
    assert ways
    for way in ways:
        kept = [
            setting for setting in settings if setting.partition("=")[0] not in {one.partition("=")[0] for one in way}
        ]
        said = taken(source, base, [*kept, *way])
        assert line not in said
        assert not said[-1].startswith(REFUSED), said[-1]
