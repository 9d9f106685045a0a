"""How the held-out score and the distance of samples develop where nothing is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from evenodds.game.watch import thresholds as limit
from evenodds.game.watch.history import Line, RunHistory
from evenodds.game.watch.verdict import Verdict

__all__ = ["plateau", "trend"]


def trend(history: RunHistory) -> Verdict:
    """Starting, improving or flat."""
    scored = [line for line in history.lines if line.get("score") is not None]
    if len(scored) < 3 or not history.covered(scored[-1], limit.SPAN):
        return _start(history)
    if history.cells.fixed:
        best = _lowest(scored)
        why = "the generator was fitted before the game, and does not learn in it"
        return Verdict("flat", f"{why}; held-out score {best['score']:.3g} ({_range(best)})")
    falls = _falls(history.lines, history.total, limit.SPAN)
    return _start(history) if falls is None else _by_score(scored, falls, history.cells.noun)


def _by_score(scored: Sequence[Line], falls: bool, noun: str) -> Verdict:
    best, latest, span = _lowest(scored), scored[-1], f"{limit.SPAN:.0%} of the run"
    summary = f"best held-out score {best['score']:.3g} ({_range(best)}) at {best['images']:,} {noun}"
    if falls:
        moved = f"the held-out score, or the distance of samples, has fallen within the last {span}"
        return Verdict("improving", f"{moved}; {summary}")
    if float(latest["score"]) - float(best["score"]) > limit.TWO_ERRORS * _error(best, latest):
        return Verdict("flat", f"the held-out score has risen again, to {latest['score']:.3g}; {summary}")
    return Verdict("flat", f"the held-out score has not moved beyond its interval for {span}; {summary}")


def _start(history: RunHistory) -> Verdict:
    distances = history.series("distance")
    if len(distances) > 2 and distances[-1] < limit.NEARER * distances[0]:
        why = f"the distance of samples from the data fell from {distances[0]:.3g} to {distances[-1]:.3g}"
        return Verdict("improving", why)
    return Verdict("starting", "too early to tell")


def plateau(lines: Sequence[Line], total: int, span: float) -> bool:
    """Whether the held-out score has been flat within its interval for the last `span` of the run.

    Flat: the lowest score within the span is not below the lowest before it by more than twice the standard error of
    their difference, the distances of the glances go no tenth lower than before, and neither goes down steadily. Scores
    share their items and draws, so differences vary less than the intervals say; a steady descent shows what the
    intervals hide. It must go some way all the same: an average of weights drifts, and drifts look steady.
    """
    return _falls(lines, total, span) is False


def _falls(lines: Sequence[Line], total: int, span: float) -> bool | None:
    """Whether the score falls, see `plateau`; None where there are too few scores to tell."""
    start = max((line["images"] for line in lines), default=0) - span * total
    before, recent = _split([line for line in lines if line.get("score") is not None and not line.get("extra")], start)
    if len(before) < 2 or len(recent) < 2:
        return None
    if _lower(before, recent) or _descends([before[-1], *recent]):
        return True
    glances = _split([line for line in lines if "distance" in line], start)
    return _nearer(*([float(line["distance"]) for line in part] for part in glances))


def _lower(before: Sequence[Line], recent: Sequence[Line]) -> bool:
    """Whether the lowest recent score is below the lowest before, beyond the error of their difference."""
    old, new = _lowest(before), _lowest(recent)
    return float(old["score"]) - float(new["score"]) > limit.TWO_ERRORS * _error(old, new)


def _descends(scored: Sequence[Line]) -> bool:
    """Whether the scores go down steadily, by more than one standard error in all."""
    scores = [float(line["score"]) for line in scored]
    return _trend_score(scores) <= limit.TREND and scores[0] - scores[-1] > _error(scored[0], scored[-1])


def _split(lines: Sequence[Line], images: float) -> tuple[list[Line], list[Line]]:
    """Lines up to so many images, and those beyond."""
    return [line for line in lines if line["images"] <= images], [line for line in lines if line["images"] > images]


def _nearer(before: Sequence[float], recent: Sequence[float]) -> bool:
    """Whether samples have come nearer to the data than they were, or come nearer steadily."""
    size = max(1, len(recent) // limit.PARTS)
    earlier, parts = (_means(values, size) for values in (before, recent))
    fallen = 1 - limit.STEADY
    steady = len(parts) >= limit.PARTS - 1 and all(a > b for a, b in pairwise(parts)) and parts[-1] < fallen * parts[0]
    return steady or (bool(earlier and parts) and min(parts) < fallen * min(earlier))


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


def _lowest(scored: Sequence[Line]) -> Line:
    return min(scored, key=lambda line: float(line["score"]))


def _range(line: Line) -> str:
    return f"{line['score_low']:.3g} to {line['score_high']:.3g}"
