"""The plot of a run's history. Needs matplotlib: pip install 'evenodds[plot]'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from evenodds.files import replaced

__all__ = ["plot"]


def plot(history: Sequence[dict[str, Any]], path: Path) -> Path:
    """Draws costs, what the discriminator believes, and the held-out scores.

    Args:
        history: the lines of metrics.jsonl.
        path: the picture to write.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(14, 3.8), constrained_layout=True)
    names = sorted({name for line in history for name in line if "/" in name})
    beliefs = [name for name in names if name.rpartition("/")[2] in ("real", "fake")]
    for axis, chosen, title in (
        (axes[0], beliefs, "the discriminator's mean probability of real"),
        (axes[1], [name for name in names if name not in beliefs], "costs"),
    ):
        for name in chosen:
            points = [(line["images"], line[name]) for line in history if line.get(name) is not None]
            axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axis.set(title=title, xlabel="real images shown")
        axis.legend(fontsize=8)
    axes[0].axhline(0.5, color="grey", linewidth=0.8, linestyle="--")
    axes[0].set_ylim(0, 1)
    axes[2].set(title="held-out score of checkpoints (lower is better)", xlabel="real images shown")
    scores = [(line["images"], line["score"]) for line in history if line.get("score") is not None]
    if scores:
        axes[2].plot(*zip(*scores, strict=True), marker="o", linewidth=1)
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=100)
    pyplot.close(figure)
    return path
