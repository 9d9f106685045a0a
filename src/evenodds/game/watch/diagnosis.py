"""What has gone wrong in a run, by ten rules, from what held-out data showed so far.

A verdict is a function of the history alone: the same lines give the same verdict, so a resumed run gets the verdicts
of an uninterrupted one. No rule reads losses: they compare the two players, not the samples with the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from evenodds.game.watch import thresholds as limit
from evenodds.game.watch.history import Cells, Line, RunHistory, images_before, round_of
from evenodds.game.watch.trend import trend
from evenodds.game.watch.verdict import Verdict

__all__ = ["RULES", "diagnose"]

Rule = Callable[[RunHistory], Verdict | None]


def diagnose(lines: Sequence[Line], cells: Cells, total: int) -> Verdict:
    """The verdict on a run: that of the first rule that finds a fault, else how the scores develop.

    Args:
        lines: of metrics.jsonl, in their order; see `RunHistory`.
        cells: what "shares" of a line count.
        total: images of the whole run.
    """
    history = RunHistory(lines, cells, total)
    faults = (verdict for rule in RULES if (verdict := rule(history)) is not None)
    return next(faults, None) or trend(history)


def not_finite(history: RunHistory) -> Verdict | None:
    """Samples hold NaN or infinity."""
    glances = history.glances
    if not glances or glances[-1].get("finite") is not False:
        return None
    return Verdict("diverged", "samples are no longer finite numbers", True, images_before(glances, 1))


# Far from the data ---------------------------------------------------------------------------------------------------


def moved_away(history: RunHistory) -> Verdict | None:
    """Samples are further from the data than those of the untrained generator, or half of what was learned is lost."""
    glances = history.glances
    if history.cells.fixed or len(glances) < 3 or not all("distance" in line for line in (glances[0], *glances[-2:])):
        return None
    why = _why_away(history.series("distance"), _is_fault_by_now(history))
    if why is None:
        return None
    return Verdict(*_collapsed_or_diverged(history, why), True, images_before(glances, 2))


def _why_away(distances: Sequence[float], fault_by_now: bool) -> str | None:
    start, best, now = distances[0], min(distances), distances[-1]
    nearest_of_two = min(distances[-2:])
    if nearest_of_two > limit.FARTHER * start and fault_by_now:
        return f"samples are further from held-out data ({now:.3g}) than when training began ({start:.3g})"
    if best < limit.HALFWAY * start and nearest_of_two > (best + start) / 2:
        return f"the distance of samples from held-out data rose from {best:.3g} to {now:.3g}: half is lost again"
    return None


def _is_fault_by_now(history: RunHistory) -> bool:
    """Whether samples far from the data are more than the first long steps."""
    return history.latest_round >= limit.FIRST_ROUNDS or (
        history.latest_round >= limit.OVERSHOOT and _shrunk_or_jumped(history.series("spread"))
    )


def _shrunk_or_jumped(spreads: Sequence[float]) -> bool:
    shrunk = min(spreads) < limit.SHRUNK * spreads[0]
    return shrunk or any(max(a, b) > limit.JUMPED * min(a, b) for a, b in pairwise(spreads))


def _collapsed_or_diverged(history: RunHistory, why: str) -> tuple[str, str]:
    """Collapse where samples are alike or whole cells are gone, divergence otherwise."""
    latest, cells = history.glances[-1], history.cells
    spread = float(latest["spread"])
    if spread < limit.ONE_POINT:
        return "collapsing", f"all z give nearly one sample (spread {spread:.2g} of the data's); {why}"
    missing = cells.missing([latest])
    if cells.mass(missing) >= limit.ALARM_LOSS:
        return "collapsing", f"samples miss {cells.listed(missing)}; {why}"
    return "diverged", why


# Alike ---------------------------------------------------------------------------------------------------------------


def one_point(history: RunHistory) -> Verdict | None:
    """Samples are all alike: they were not before, or still are after a tenth of the run without coming nearer."""
    glances = history.glances
    if len(glances) < 3 or "spread" not in glances[-1] or "spread" not in glances[-2]:
        return None
    spreads = [float(line.get("spread", 0.0)) for line in glances]
    most, now = max(spreads[:-2]), max(spreads[-2:])
    varied = most >= limit.VARIED
    stuck = now < limit.ONE_POINT and _no_nearer_than_at_first(history)
    if not stuck and not (varied and now < limit.SPREAD_LOST * most):
        return None
    why = f"z no longer matters much: the spread of samples is {spreads[-1]:.2g} of the data's"
    return Verdict("collapsing", why + (f", it was {most:.2g}" if varied else ""), True, images_before(glances, 2))


def _no_nearer_than_at_first(history: RunHistory) -> bool:
    distances = history.series("distance")
    begun = history.covered(history.glances[-1], limit.OPENING) and history.latest_round >= limit.FIRST_ROUNDS
    return begun and distances[-1] > limit.STUCK * distances[0]


def repeated(history: RunHistory) -> Verdict | None:
    """Samples repeat a few, which may lie all over the data: they did not before, or still do in the second half.

    The birthday test (Arora and Zhang 2018), by distances: neither spread nor shares of cells show such a collapse.
    """
    glances = history.with_figure("apart")
    if len(glances) < limit.LONG + 1 or round_of(glances[-1]) < limit.FIRST_ROUNDS:
        return None
    apart = history.series("apart")
    fallen = max(apart[: -limit.SHORT]) >= limit.VARIED and max(apart[-limit.SHORT :]) < limit.REPEATED
    stuck = history.covered(glances[-1], limit.SECOND_HALF) and _always_repeated(apart[-limit.LONG :])
    if not (fallen or stuck):
        return None
    why = f"samples repeat a few: the nearest other one is {apart[-1]:.2g} times as far as among held-out items"
    return Verdict("collapsing", why, fallen, images_before(glances, limit.SHORT))


def _always_repeated(apart: Sequence[float]) -> bool:
    return max(apart) < limit.REPEATED and not apart[-1] > limit.RISING * apart[0]


# Missing parts of the data -------------------------------------------------------------------------------------------


def lost(history: RunHistory) -> Verdict | None:
    """Cells that samples near the data reached twice in a row are missing ever since."""
    counted, cells = history.with_figure("shares"), history.cells
    for back, least in ((limit.SHORT, limit.ALARM_LOSS), (limit.LONG, cells.reported_loss)):
        if len(counted) < back + 3:
            return None
        indices = _lost_cells(history, counted, back)
        mass = cells.mass(indices)
        if mass >= least:
            why = f"samples have lost {cells.listed(indices)}, {mass:.0%} of the data, which they reached before"
            return Verdict("collapsing", why, mass >= limit.ALARM_LOSS, images_before(counted, back))
    return None


def _lost_cells(history: RunHistory, counted: Sequence[Line], back: int) -> list[int]:
    earlier = [history.cells.relative(line) for line in counted[:-back] if history.halfway(line)]
    missing = history.cells.missing(counted[-back:])
    return [k for k in missing if any(min(a[k], b[k]) >= limit.REACHED for a, b in pairwise(earlier))]


def never_reached(history: RunHistory) -> Verdict | None:
    """Samples near the data leave out cells in the second half of a run."""
    recent, cells = history.with_figure("shares")[-limit.LONG :], history.cells
    late = len(recent) == limit.LONG and history.covered(recent[-1], limit.SECOND_HALF)
    if not late or not all(history.halfway(line) for line in recent):
        return None
    missing = cells.missing(recent)
    mass = cells.mass(missing)
    if mass < cells.reported_loss:
        return None
    return Verdict("collapsing", f"samples still miss {cells.listed(missing)}, {mass:.0%} of the data")


# Memory and leaks ----------------------------------------------------------------------------------------------------


def leaks(history: RunHistory) -> Verdict | None:
    """Samples near the data look augmented: a detector finds more of that than among held-out items.

    Samples that look like no item yet may fall on either side of it, see `LeakTest`.
    """
    measured = [float(leak) for line in history.lines if isinstance(leak := line.get("views/leak"), int | float)]
    placed = history.with_figure("distance")
    if not measured or measured[-1] < limit.LEAK or not placed or not history.halfway(placed[-1]):
        return None
    why = f"a detector of augmented images takes {measured[-1]:.0%} more of the samples for such than of held-out items"
    return Verdict("augmentation leaks", why)


def copies(history: RunHistory) -> Verdict | None:
    """Samples are suspected copies of training items."""
    share = next((line["copies"] for line in reversed(history.lines) if "copies" in line), 0.0)
    if not share:
        return None
    why = f"{share:.0%} of the samples are suspected copies of training items"
    return Verdict("D has memorised the training set", why)


def memorised(history: RunHistory) -> Verdict | None:
    """D prefers training items to held-out ones, beyond chance and beyond what an untrained D did."""
    preference = history.series("d_memory")
    if len(preference) < limit.ENOUGH_PREFERENCES:
        return None
    now, untrained = sum(preference[-limit.RECENT :]) / limit.RECENT, preference[0]
    n, m = history.cells.n_held_out, history.cells.n_trained
    error = math.sqrt((n + m + 1) / (12 * n * m))  # of Mann and Whitney's U / (n m) where nothing differs
    if now - max(limit.ALIKE, untrained) <= limit.ADVANTAGE_ERRORS * error or now < limit.ADVANTAGE:
        return None
    why = f"D takes a training item for more real than a held-out one in {now:.0%} of pairs (50 % without memory)"
    return Verdict("D has memorised the training set", why)


def winning(history: RunHistory) -> Verdict | None:
    """D tells nearly every pair apart, and the samples no longer come nearer."""
    compared = history.with_figure("d_fake")
    if len(compared) < 2 * limit.RECENT or round_of(compared[-1]) < limit.FIRST_ROUNDS:
        return None
    recent, before = compared[-limit.RECENT :], compared[-2 * limit.RECENT : -limit.RECENT]
    least = min(float(line["d_fake"]) for line in recent)
    nearer = _mean_distance(recent) < limit.NO_NEARER * _mean_distance(before)
    if least < limit.WINNING or nearer or not history.covered(recent[-1], limit.WINNING_FROM):
        return None
    why = (
        f"D tells held-out items from samples in {least:.0%} of pairs and more, and samples come no nearer to the data"
    )
    return Verdict("D is winning", why)


def _mean_distance(lines: Sequence[Line]) -> float:
    return sum(float(line["distance"]) for line in lines) / len(lines)


RULES: tuple[Rule, ...] = (
    not_finite,
    moved_away,
    one_point,
    lost,
    repeated,
    leaks,
    copies,
    memorised,
    never_reached,
    winning,
)
"""In the order of their weight: the first that finds a fault gives the verdict."""
