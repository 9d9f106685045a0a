"""One tiny trained run of each family of tasks, with every file that a run may have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from evenodds.cli import main

__all__ = ["FAMILIES", "train_runs"]

SMALL = ("generator.width=8", "batch=8", "device=cpu")
JUDGED = ("discriminator.width=8",)
"""Of families with a discriminator."""
FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # recipe, data, settings
    "generate": ("table", "rows.csv", (*JUDGED, "generator.depth=1", "discriminator.depth=1")),
    "condition": (
        "digits",
        "classes.npz",
        (
            *JUDGED,
            "task=condition",
        ),
    ),
    "infogan": ("digits", "classes.npz", (*JUDGED, "task=infogan", "prior=coded")),
    "fill": (
        "fill-32",
        "pictures",
        (
            *JUDGED,
            "size=8",
        ),
    ),
    "upscale": ("upscale-x2", "pictures", (*JUDGED, "size=16", "task.crop=16", "generator.blocks=1")),
    "translate": ("denoise", "pictures", ("size=16", "task.crop=16", "generator.depth=1")),
    "segment": ("segment", "scenes", ("generator.depth=1",)),
    "cycle": ("cycle", "unpaired", (*JUDGED, "size=16", "task.crop=16", "generator.depth=1")),
    "logan": (
        "digits",
        "classes.npz",
        (
            *JUDGED,
            "task=logan",
        ),
    ),
}
"""How each run is trained."""
PICTURES = {
    "pictures": (256, 3),
    "scenes/images": (256, 3),
    "scenes/labels": (3,),
    "unpaired/A": (256, 3),
    "unpaired/B": (256, 3),
    "labelled": (256, 3),
}
"""Folders of pictures: how many values their pixels have, and their channels, if any."""
REMEDY = {"at": 16, "back_to": 16, "word": "collapsed", "why": "all samples are alike", "settings": {"seed": 0}}
CHOICE = {"setting": "views", "value": ["flip"], "reason": "not told apart", "flip_p": 0.5}


def train_runs(home: Path) -> Path:
    """Trains them below `home`/runs, on data in `home`/data; returns `home`."""
    write_data(home / "data")
    for family, (recipe, data, settings) in FAMILIES.items():
        out = home / "runs" / family
        words = ["train", recipe, "--data", str(home / "data" / data), "--images", "16", "--out", str(out), "--quiet"]
        if main([*words, "--set", *SMALL, *settings]) != 0:
            raise RuntimeError(f"the run of {family} was not trained")
        furnish(out)
    run = home / "runs" / "condition"
    measures = ["--metrics", "kernel", "--features", "pixels", "--device", "cpu"]
    if main(["evaluate", str(run), *measures]) or main(["encode", str(run), "--images", "8", "--device", "cpu"]):
        raise RuntimeError("a run could not be evaluated or encoded")
    return home


def furnish(run: Path) -> None:
    """Adds what only some runs have: remedies and choices; and leaves one checkpoint, so that each damage is met."""
    (run / "remedies.json").write_text(json.dumps([REMEDY]), "utf-8")
    (run / "choices.json").write_text(json.dumps([CHOICE]), "utf-8")
    for folder in sorted((run / "checkpoints").iterdir())[:-1]:
        shutil.rmtree(folder)


def write_data(home: Path) -> None:
    """Rows, labelled images, pictures, pictures with labels, with maps, without pairs and in a zip file."""
    rng = np.random.default_rng(0)
    home.mkdir(parents=True)
    rows = rng.normal(size=(40, 3)).round(3)
    (home / "rows.csv").write_text("a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows), "utf-8")
    images = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(home / "classes.npz", x=images, y=np.array(["cat", "dog"])[np.arange(40) % 2])
    for k in range(12):
        for folder, values in PICTURES.items():
            (home / folder).mkdir(parents=True, exist_ok=True)
            picture = rng.integers(0, values[0], (16, 16, *values[1:]), dtype=np.uint8)
            Image.fromarray(picture).save(home / folder / f"{k}.png")
    lines = [f"{k}.png,{('cat', 'dog')[k % 2]},{k / 4}\n" for k in range(12)]
    (home / "labelled/labels.csv").write_text(f"file,class,angle\n{''.join(lines)}", "utf-8")
    shutil.make_archive(str(home / "pictures"), "zip", home / "pictures")
