"""A trial for a person: the table, the plot, samples, and what each file is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import read_arrays
from evenodds.evaluation.trial.answer import FIGURES, PRIMARY
from evenodds.evaluation.trial.chart import plot
from evenodds.files.outputs import Outputs
from evenodds.files.text import aligned, visible
from evenodds.files.write import write_text
from evenodds.game.arithmetic import eight_bit
from evenodds.show import pictures

__all__ = ["table", "write"]


def write(content: Mapping[str, Any], folder: Path, data: Dataset) -> list[Path]:
    """trial.txt, trial.png, synthetic.png where there are such images, and README.txt, beside trial.json.

    Where the user's file stands at one of these names, NAME-2 and so on is written.
    """
    outputs, synthetic = Outputs(folder, "trial"), folder / "cells" / "seed-0-synthetic.npz"
    writers: dict[str, Callable[[Path], object]] = {
        "trial.txt": lambda path: write_text(path, table(content) + "\n"),
        "trial.png": lambda path: plot(content, path),
    }
    if content["items"] == "images" and synthetic.is_file() and len(read_arrays(synthetic, ("y",))["y"]):
        writers["synthetic.png"] = lambda path: _sheet(synthetic, path, data, content["classes"])
    names = ["trial.json", *writers]
    writers["README.txt"] = lambda path: write_text(path, _readme(content, names))
    written = [outputs.put(folder / name, write) for name, write in writers.items()]
    return [outputs.free(folder / "trial.json"), *written]


def table(content: Mapping[str, Any]) -> str:
    """The answer, the reasons, every arm with its figures, and the recalls of each class."""
    verdict, arms, tests = content["verdict"], content["arms"], content["differences"]
    items = content["items"]
    head = [
        f"{verdict['answer']}: do synthetic {items} help this classifier on these data?",
        *(f"- {line}" for line in verdict["reasons"]),
        f"Recommended: {verdict['recommended']['title']}; synthetic {items}: {verdict['recommended']['mix']}.",
        "",
        f"{content['classifier']}; {sum(content['train_counts']):,} training {items} in {len(content['classes'])} "
        f"classes, {content['tested_on'][0]:,} to test on, {content['seeds']} seeds",
        "",
    ]
    rows = [("", "macro-F1", "accuracy", "balanced", "calibration", "macro-F1 against real only", "")]
    for name, arm in arms.items():
        test = tests.get(f"{name} - real")
        means = [f"{_mean(arm, figure):.3f}" for figure in FIGURES]
        rows.append((arm["title"], *means, *(_against(test) if test else ("", ""))))
    beside = tests.get("gan_classical - classical")
    if beside:
        rows.append((f"{arms['gan_classical']['title']}, against classical", "", "", "", "", *_against(beside)))
    lines = [*head, *aligned(rows), "", f"Intervals: {verdict['method']}."]
    return "\n".join(map(visible, [*lines, "", *_recalls(content)]))


def _mean(arm: Mapping[str, Any], figure: str) -> float:
    values = [one[figure] for one in arm["figures"]]
    return float(sum(values) / len(values))


def _against(test: Mapping[str, Any]) -> tuple[str, str]:
    figure = test["figures"][PRIMARY]
    word = "helps" if figure["low"] > 0 else "hurts" if figure["high"] < 0 else ""
    return f"{figure['value']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})", word


def _recalls(content: Mapping[str, Any]) -> list[str]:
    """The recall of each class by real images only, and what the arms change in it, with 95 % intervals."""
    arms = [
        name for name in ("classical", "smote", "gan", "gan_classical") if f"{name} - real" in content["differences"]
    ]
    rows = [("recall of class", content["items"], "real only", *(content["arms"][name]["title"] for name in arms))]
    for k, title in enumerate(content["classes"][:40]):
        real = [f["recalls"][k] for f in content["arms"]["real"]["figures"] if f["recalls"][k] is not None]
        mean = f"{sum(real) / len(real):.2f}" if real else "-"
        changes = [_change(content["differences"][f"{name} - real"]["recalls"][k]) for name in arms]
        rows.append((title, str(content["train_counts"][k]), mean, *changes))
    return aligned(rows)


def _change(test: Mapping[str, Any] | None) -> str:
    return "-" if test is None else f"{test['value']:+.2f} ({test['low']:+.2f} to {test['high']:+.2f})"


SHOWN = 20
"""Classes of which synthetic images are shown."""


def _sheet(synthetic: Path, path: Path, data: Dataset, classes: Sequence[str]) -> Path:
    """Ten synthetic images of each class of the first seed, a row for each; grey where there are fewer, or none."""
    stored = read_arrays(synthetic, ("x", "y"))
    x, y = stored["x"], stored["y"]
    pixels = torch.from_numpy(x.astype(np.int32) if x.dtype == np.uint16 else x)
    rows = []
    for label in range(min(SHOWN, len(classes))):
        examples = pixels[torch.from_numpy(np.flatnonzero(y == label)[:10])]
        row = torch.full((10, *pixels.shape[1:]), 128, dtype=torch.uint8)
        if len(examples):
            row[: len(examples)] = eight_bit(data.units.to_model(examples))
        rows.append(row)
    return pictures.write(path, pictures.enlarge(pictures.grid(torch.cat(rows).numpy(), columns=10), 480))


def _readme(content: Mapping[str, Any], there: Sequence[str]) -> str:
    shown = ", ".join(map(visible, content["classes"][:SHOWN]))
    notes = {
        "trial.json": "all figures of all seeds, the differences with their intervals, the answer",
        "trial.txt": "the same as a table",
        "trial.png": "the differences in macro-F1 with their intervals",
        "synthetic.png": f"at most ten synthetic images of each class, of the first seed's generator; by rows: {shown}",
        "proof.json": "SHA-256 of every item; for each seed what was trained and tested on, and what each part saw",
        "plan.json": "what was fixed before the first cell; the command given again goes on from here",
        "cells/": "a file for each arm and seed, and the synthetic items of each seed",
    }
    listed = {
        name: note for name, note in notes.items() if name in there or name in ("proof.json", "plan.json", "cells/")
    }
    body = "".join(f"{name:<14} {note}\n" for name, note in listed.items())
    return f"A trial of evenodds {content['evenodds']}: {content['verdict']['answer']}.\n\n{body}"
