"""How a run goes, in plain words, from what held-out data said of it so far.

A pure function of the history: the same lines, the same verdict. So a resumed run is judged as an uninterrupted one.
Losses are not asked: they say how two players stand to each other, not how near the samples are to the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["WORDS", "Cells", "Verdict", "judge", "plateau"]

WORDS = (
    "starting",
    "improving",
    "flat",
    "D is winning",
    "D has memorised the training set",
    "collapsing",
    "augmentation leaks",
    "diverged",
)
"""Every verdict that there is, from the mildest."""

Line = Mapping[str, Any]
MISSING, REACHED = 0.2, 0.5
"""A cell is missing below this part of its due share, reached above that one."""
LEAST_DUE = 0.02
"""Cells with a smaller share are not judged: of 256 samples, five or fewer are due."""
SAID = 0.1
"""So much of the data must be lost for it to be said, where cells are known parts of the data: modes or classes."""
LOST = 0.25
"""So much of the data must be lost for a run to be sent back, or for clusters, which are the data's less surely."""
SHORTLY, LONG = 3, 8
"""Glances for which a part of the data must be missing: a large one, and a single class, which comes and goes."""
WORSE = 1.1
"""Distance over that of the untrained generator beyond which samples are further from the data than noise is."""
ONE_POINT = 0.1
"""Spread of the samples over that of the data below which they are one and the same."""
REPEATED, VARIED = 0.2, 0.5
"""Distance of samples from one another, over that of real items, below which they repeat a few, and above which they
differ as items do."""
OVERSHOOT = 40
"""Rounds before which samples may fly past the data, as they do in healthy runs whose first steps are long."""
FIRST_ROUNDS = 200
"""A generator whose samples are still alike, or far off, after so many rounds is not just slow to start."""
SHRUNK, JUMPED = 0.6, 3.0
"""A spread below that part of the first one, or so many times that of the glance before, is no slow start but a fall:
before round `FIRST_ROUNDS`, samples that move as one to a corner of the data and open up there are healthy."""
LEAK = 0.15
"""More than three standard errors of a difference of two shares of 256."""
SPAN = 0.3
"""The part of the run over which it is said to improve or to be flat."""


@dataclass(frozen=True)
class Cells:
    """The parts of the data whose shares among the samples are counted, and how much is known."""

    names: Sequence[str]
    due: Sequence[float]
    """The share of held-out items in each."""
    held: int = 256
    """Held-out items of which D is asked."""
    trained: int = 256
    """Training items of which D is asked."""
    known: bool = True
    """Whether the cells are modes or classes, not clusters that were found."""

    @property
    def said(self) -> float:
        """The part of the data whose loss is worth a word."""
        return SAID if self.known else LOST


@dataclass(frozen=True)
class Verdict:
    """How it goes, and why."""

    word: str
    why: str
    alarm: bool = False
    """Whether going on is of no use: the run should go back."""
    since: int = 0
    """Images up to which all was well, where it is not."""

    def __str__(self) -> str:
        return f"{self.word}: {self.why}"


def judge(history: Sequence[Line], cells: Cells, total: int) -> Verdict:
    """The verdict on a run.

    Args:
        history: lines of metrics.jsonl in their order. Those of a glance have "spread", "distance", "apart", "shares",
            "d_fake" and "d_memory" (see `Evidence.glance`); those of an evaluation "score", "score_low", "score_high",
            and "copies" where copies of training items were found.
        cells: see `Evidence`.
        total: images of the whole run.
    """
    glances = [line for line in history if "spread" in line or line.get("finite") is False]
    for rule in RULES:
        found = rule(glances, history, cells, total)
        if found is not None:
            return found
    return _trend(glances, history, total)


# What has gone wrong -------------------------------------------------------------------------------------------------

Rule = Callable[[Sequence[Line], Sequence[Line], Cells, int], Verdict | None]


def _not_finite(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    if not glances or glances[-1].get("finite") is not False:
        return None
    return Verdict("diverged", "samples are no longer finite numbers", True, _before(glances, 1))


def _gone(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Samples further from the data than those of the untrained generator, or half of what was learned is lost."""
    if len(glances) < 3 or not all("distance" in line for line in (glances[0], *glances[-2:])):
        return None
    start, last = float(glances[0]["distance"]), [float(line["distance"]) for line in glances[-2:]]
    best = min(float(line["distance"]) for line in glances)
    far = min(last) > WORSE * start
    if far and (glances[-1].get("round", 0) >= FIRST_ROUNDS or _fallen(glances)):
        why = f"samples are further from held-out data ({last[-1]:.3g}) than when training began ({start:.3g})"
    elif best < 0.5 * start and min(last) > (best + start) / 2:
        why = f"the distance of samples from held-out data rose from {best:.3g} to {last[-1]:.3g}: half is lost again"
    else:
        return None
    return Verdict(*_named(glances, cells, why), True, _before(glances, 2))


def _fallen(glances: Sequence[Line]) -> bool:
    """Whether samples have shrunk or jumped, where that is not just the first long steps."""
    spreads = [float(line["spread"]) for line in glances if "spread" in line]
    shrunk = min(spreads) < SHRUNK * spreads[0]
    jumped = any(max(a, b) > JUMPED * min(a, b) for a, b in pairwise(spreads))
    return (shrunk or jumped) and glances[-1].get("round", 0) >= OVERSHOOT


def _named(glances: Sequence[Line], cells: Cells, why: str) -> tuple[str, str]:
    """Collapse where samples are alike or whole cells are gone, divergence otherwise."""
    spread = float(glances[-1]["spread"])
    if spread < ONE_POINT:
        return "collapsing", f"all z give nearly one sample (spread {spread:.2g} of the data's); {why}"
    missing = _missing(glances[-1:], cells)
    if sum(cells.due[k] for k in missing) >= LOST:
        return "collapsing", f"samples miss {_list(cells, missing)}; {why}"
    return "diverged", why


def _one_point(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Samples that are all alike, once they were not, or still after a tenth of the run without coming nearer."""
    if len(glances) < 3 or "spread" not in glances[-1] or "spread" not in glances[-2]:
        return None
    spreads = [float(line.get("spread", 0.0)) for line in glances]
    most, now = max(spreads[:-2]), max(spreads[-2:])
    near, far = (float(glances[k]["distance"]) for k in (-1, 0))
    begun = glances[-1]["images"] >= 0.1 * total and glances[-1].get("round", 0) >= FIRST_ROUNDS
    stuck = begun and near > 0.9 * far
    if (most >= 0.5 and now < 0.3 * most) or (now < ONE_POINT and stuck):
        why = f"z no longer matters much: the spread of samples is {spreads[-1]:.2g} of the data's"
        return Verdict("collapsing", why + (f", it was {most:.2g}" if most >= 0.5 else ""), True, _before(glances, 2))
    return None


def _lost(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Cells that were reached by samples that are near the data, twice in a row, and are missing ever since."""
    known = [line for line in glances if "shares" in line]
    for back, least in ((SHORTLY, LOST), (LONG, cells.said)):
        if len(known) < back + 3:
            return None
        earlier = [_parts(line, cells) for line in known[:-back] if _near(line, glances)]
        missing = _missing(known[-back:], cells)
        lost = [k for k in missing if any(a[k] >= REACHED and b[k] >= REACHED for a, b in pairwise(earlier))]
        mass = sum(cells.due[k] for k in lost)
        if mass >= least:
            why = f"samples have lost {_list(cells, lost)}, {mass:.0%} of the data, which they reached before"
            return Verdict("collapsing", why, mass >= LOST, _before(known, back))
    return None


def _never_reached(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Cells that samples near the data leave out in the second half of a run."""
    known = [line for line in glances if "shares" in line]
    if (
        len(known) < LONG
        or known[-1]["images"] < 0.5 * total
        or not all(_near(line, glances) for line in known[-LONG:])
    ):
        return None
    missing = _missing(known[-LONG:], cells)
    mass = sum(cells.due[k] for k in missing)
    if mass < cells.said:
        return None
    return Verdict("collapsing", f"samples still miss {_list(cells, missing)}, {mass:.0%} of the data")


def _repeated(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Samples that repeat a few, which may lie all over the data: they did not before, or still do in the second half.

    The birthday test (Arora and Zhang 2018), by distances: neither spread nor shares of cells show such a collapse.
    """
    seen = [line for line in glances if "apart" in line]
    if len(seen) < LONG + 1 or seen[-1].get("round", 0) < FIRST_ROUNDS:
        return None
    apart = [float(line["apart"]) for line in seen]
    fallen = max(apart[:-SHORTLY]) >= VARIED and max(apart[-SHORTLY:]) < REPEATED
    rising = apart[-1] > 1.25 * apart[-LONG]
    stuck = seen[-1]["images"] >= 0.5 * total and max(apart[-LONG:]) < REPEATED and not rising
    if not (fallen or stuck):
        return None
    why = f"samples repeat a few: the nearest other one is {apart[-1]:.2g} times as far as among held-out items"
    return Verdict("collapsing", why, fallen, _before(seen, SHORTLY))


def _copies(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    copies = next((line["copies"] for line in reversed(history) if "copies" in line), 0.0)
    if not copies:
        return None
    return Verdict(
        "D has memorised the training set", f"{copies:.0%} of the samples are suspected copies of training items"
    )


def _memorised(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """D prefers training items to held-out ones, beyond chance and beyond what an untrained D did."""
    asked = [float(line["d_memory"]) for line in glances if "d_memory" in line]
    if len(asked) < 6:
        return None
    now, at_first = sum(asked[-5:]) / 5, asked[0]
    n, m = cells.held, cells.trained
    error = math.sqrt((n + m + 1) / (12 * n * m))  # of Mann and Whitney's U / (n m) where nothing differs
    if now - max(0.5, at_first) <= 4 * error or now < 0.6:
        return None
    why = f"D takes a training item for more real than a held-out one in {now:.0%} of pairs (50 % without memory)"
    return Verdict("D has memorised the training set", why)


def _winning(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """D tells nearly every pair apart, and the samples no longer come nearer."""
    asked = [line for line in glances if "d_fake" in line]
    if len(asked) < 10 or asked[-1]["images"] < 0.15 * total or asked[-1].get("round", 0) < FIRST_ROUNDS:
        return None
    won = min(float(line["d_fake"]) for line in asked[-5:])
    now, then = (sum(float(line["distance"]) for line in part) / 5 for part in (asked[-5:], asked[-10:-5]))
    if won < 0.97 or now < 0.95 * then:
        return None
    why = f"D tells held-out items from samples in {won:.0%} of pairs and more, and samples come no nearer to the data"
    return Verdict("D is winning", why)


def _leaks(glances: Sequence[Line], history: Sequence[Line], cells: Cells, total: int) -> Verdict | None:
    """Augmented images among the samples: a detector of them finds more than among held-out items, see coordination."""
    seen = [float(line["views/leak"]) for line in history if line.get("views/leak") is not None]
    if not seen or seen[-1] < LEAK:
        return None
    why = f"a detector of augmented images takes {seen[-1]:.0%} more of the samples for such than of held-out items"
    return Verdict("augmentation leaks", why)


RULES: tuple[Rule, ...] = (
    _not_finite,
    _gone,
    _one_point,
    _lost,
    _repeated,
    _leaks,
    _copies,
    _memorised,
    _never_reached,
    _winning,
)
"""In the order of their weight: the first that speaks is the verdict."""


# How it goes where nothing is wrong ----------------------------------------------------------------------------------


def _trend(glances: Sequence[Line], history: Sequence[Line], total: int) -> Verdict:
    scored = [line for line in history if line.get("score") is not None]
    if len(scored) < 3 or scored[-1]["images"] < SPAN * total:
        return _start(glances)
    best = min(scored, key=lambda line: float(line["score"]))
    falls = _falls(history, total, SPAN)
    if falls is None:
        return _start(glances)
    said = f"best held-out score {best['score']:.3g} ({_interval(best)}) at {best['images']:,} images"
    if falls:
        return Verdict(
            "improving",
            f"the held-out score, or the distance of samples, has fallen within the last {SPAN:.0%} of the run; {said}",
        )
    if float(scored[-1]["score"]) - float(best["score"]) > 2 * _error(best, scored[-1]):
        return Verdict("flat", f"the held-out score has risen again, to {scored[-1]['score']:.3g}; {said}")
    return Verdict("flat", f"the held-out score has not moved beyond its interval for {SPAN:.0%} of the run; {said}")


def _start(glances: Sequence[Line]) -> Verdict:
    near = [float(line["distance"]) for line in glances if "distance" in line]
    if len(near) > 2 and near[-1] < 0.9 * near[0]:
        return Verdict("improving", f"the distance of samples from the data fell from {near[0]:.3g} to {near[-1]:.3g}")
    return Verdict("starting", "too early to tell")


def plateau(history: Sequence[Line], total: int, span: float) -> bool:
    """Whether the held-out score has been flat within its interval for the last `span` of the run.

    Flat: the lowest score within the span is not below the lowest before it by more than twice the standard error of
    their difference, the distances of the glances go no tenth lower than before, and neither goes down steadily. Scores
    share their items and draws, so differences vary less than the intervals say; a steady descent shows what the
    intervals hide. It must go some way all the same: an average of weights drifts, and drifts look steady.
    """
    return _falls(history, total, span) is False


PARTS, STEADY = 5, 0.1
"""Glances within a span are averaged to so many values. They fall if each is below the one before and the last by that
part below the first, or if the lowest is by that part below the lowest before the span."""


def _falls(history: Sequence[Line], total: int, span: float) -> bool | None:
    """Whether the score falls, see `plateau`; None where there are too few scores to tell."""
    now = max((line["images"] for line in history), default=0)
    scored = [line for line in history if line.get("score") is not None and not line.get("extra")]
    before, recent = _split(scored, now - span * total)
    if len(before) < 2 or len(recent) < 2:
        return None
    old, new = (min(part, key=lambda line: float(line["score"])) for part in (before, recent))
    if float(old["score"]) - float(new["score"]) > 2 * _error(old, new):
        return True
    scores = [float(line["score"]) for line in (before[-1], *recent)]
    if _trend_score(scores) <= -2 and scores[0] - scores[-1] > _error(before[-1], recent[-1]):
        return True
    glances = _split([line for line in history if "distance" in line], now - span * total)
    return _nearer(*([float(line["distance"]) for line in part] for part in glances))


def _split(history: Sequence[Line], images: float) -> tuple[list[Line], list[Line]]:
    """Lines up to so many images, and those beyond."""
    return [line for line in history if line["images"] <= images], [line for line in history if line["images"] > images]


def _nearer(before: Sequence[float], recent: Sequence[float]) -> bool:
    """Whether samples have come nearer to the data than they were, or come nearer steadily."""
    size = max(1, len(recent) // PARTS)
    earlier, parts = (_means(values, size) for values in (before, recent))
    steady = len(parts) >= PARTS - 1 and all(a > b for a, b in pairwise(parts)) and parts[-1] < (1 - STEADY) * parts[0]
    return steady or (bool(earlier and parts) and min(parts) < (1 - STEADY) * min(earlier))


def _means(values: Sequence[float], size: int) -> list[float]:
    """Means of so many values after one another; what is left over at the beginning counts nowhere."""
    first = len(values) % size
    return [sum(values[k : k + size]) / size for k in range(first, len(values), size)]


def _trend_score(values: Sequence[float]) -> float:
    """z of Mann (1945) and Kendall's S: below -2, the values fall. Four values or fewer fall only where each does."""
    n = len(values)
    s = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    if n <= 4:
        return -3.0 if n >= 3 and s == -n * (n - 1) // 2 else 0.0
    return s / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def _error(a: Line, b: Line) -> float:
    """Standard error of the difference of two scores, from their 95 % intervals."""
    return math.hypot(*((float(line["score_high"]) - float(line["score_low"])) / 3.92 for line in (a, b)))


def _interval(line: Line) -> str:
    return f"{line['score_low']:.3g} to {line['score_high']:.3g}"


def _near(line: Line, glances: Sequence[Line]) -> bool:
    """Whether samples have covered half of the way to the data: before that, cells say little."""
    return float(line["distance"]) < 0.5 * float(glances[0].get("distance", 0.0))


def _parts(line: Line, cells: Cells) -> list[float]:
    """Each cell's share as a part of its due."""
    return [share / due if due >= LEAST_DUE else 1.0 for share, due in zip(line["shares"], cells.due, strict=True)]


def _missing(lines: Sequence[Line], cells: Cells) -> list[int]:
    """The cells that are missing in all of the lines."""
    parts = [_parts(line, cells) for line in lines if "shares" in line]
    return [k for k in range(len(cells.due)) if parts and all(part[k] < MISSING for part in parts)]


def _list(cells: Cells, which: Sequence[int], most: int = 8) -> str:
    names = ", ".join(cells.names[k] for k in which[:most])
    return names + (f" and {len(which) - most} more" if len(which) > most else "")


def _before(lines: Sequence[Line], back: int) -> int:
    """Images at the last line before the latest so many."""
    return int(lines[-back - 1]["images"]) if len(lines) > back else 0
