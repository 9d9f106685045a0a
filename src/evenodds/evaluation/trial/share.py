"""How much of what a classifier sees is synthetic: chosen inside the training fold, with none among the candidates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.evaluation.trial.arms import ARMS
from evenodds.evaluation.trial.classical import alike
from evenodds.evaluation.trial.classifiers import Small
from evenodds.evaluation.trial.inputs import ArmInputs
from evenodds.evaluation.trial.proof import Ledger
from evenodds.game.seeds import mix

__all__ = ["CANDIDATES", "INNER_BUDGET", "USUAL_SHARE", "chosen_shares", "fixed_shares", "picked"]

CANDIDATES: Mapping[str, tuple[float, ...]] = {"gan": (1.0,), "gan_classical": (0.25, 0.5)}
"""Of each arm, beside 0: "gan" fills the classes up or not, "gan_classical" has a share of what the classifier sees."""
CLEARLY = 1.645
"""Standard errors by which synthetic items must make the score worse before there are none: one-sided, 5 %."""
USUAL_SHARE = 0.25
"""Where none can be chosen."""
INNER_BUDGET = 1 / 3
"""Of a generator's budget: that of the generator by which the shares are chosen."""


def fixed_shares(share: float) -> dict[str, float]:
    """What the arms take where nothing is chosen."""
    return {"gan": 1.0 if share else 0.0, "gan_classical": share}


def chosen_shares(
    inputs: ArmInputs, synthetic: Callable[[ArmInputs], tuple[Tensor, Tensor]], arms: Sequence[str]
) -> dict[str, float]:
    """The share of each synthetic arm, by training items alone.

    A generator is trained on one half of them. The classifier is fitted to this half with each share, and judges the
    other half, which neither has seen. The share of the best Brier score (Brier 1950) is taken, unless it is worse than
    that of none by over 1.645 standard errors of the difference, classes weighing alike: then it is 0. Where few items
    are there to judge, probabilities say more than the number of right names.

    Args:
        inputs: of the seed.
        synthetic: makes items of a generator that is trained on the fold of other inputs.
        arms: the synthetic ones that are tried.
    """
    if int(inputs.counts.min()) < 2:
        return {arm: fixed_shares(USUAL_SHARE)[arm] for arm in arms}
    order = torch.randperm(len(inputs.y), generator=inputs.rng(13))
    order = order[inputs.y[order].argsort(stable=True)]
    fit, check = order[::2].sort().values, order[1::2].sort().values
    tested = replace(inputs.small, steps=max(20, inputs.small.steps // 2))
    inner = replace(
        inputs,
        fold=inputs.fold.take(fit),
        ledger=Ledger(inputs.ledger.item_hashes),
        seed=mix(inputs.seed, 14),
        tested=tested if isinstance(inputs.tested, Small) else inputs.tested,
        kinds_given=inputs.kinds if inputs.agreeing or "gan_classical" in arms else (),
    )
    made = synthetic(inner)
    x, y = inputs.x()[check], inputs.y[check]

    def scores(arm: str, share: float) -> Tensor:
        trying = replace(inner, synthetic=lambda _: made, shares_given={arm: share})
        probabilities = inner.tested.fit(ARMS[arm].build(trying), inputs.classes, mix(inner.seed, 7))(x)
        return (probabilities - F.one_hot(y, inputs.classes)).square().sum(1)

    return {arm: picked(scores(arm, 0.0), {share: scores(arm, share) for share in CANDIDATES[arm]}, y) for arm in arms}


def picked(without: Tensor, having: Mapping[float, Tensor], y: Tensor) -> float:
    """The best share, or 0.

    Args:
        without: (N,) Brier scores of items of classes y (N,) with no synthetic ones; less is better.
        having: the same by share.
    """
    weights = alike(y)
    gains = {share: weights * (without - score) for share, score in having.items()}
    best = max(gains, key=lambda share: float(gains[share].sum()))
    error = math.sqrt(float(gains[best].square().sum()))
    return best if float(gains[best].sum()) >= -CLEARLY * error else 0.0
