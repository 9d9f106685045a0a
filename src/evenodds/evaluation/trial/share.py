"""How much of what a classifier sees is synthetic: chosen inside the training fold, with none among the candidates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from evenodds.evaluation.trial.arms import ARMS, SYNTHETIC
from evenodds.evaluation.trial.classifiers import Small
from evenodds.evaluation.trial.inputs import ArmInputs
from evenodds.evaluation.trial.proof import Ledger
from evenodds.game.seeds import mix

__all__ = ["CANDIDATES", "INNER_BUDGET", "USUAL_SHARE", "chosen_shares", "fixed_shares", "picked"]

CANDIDATES: Mapping[str, tuple[float, ...]] = {"gan": (1.0,), "gan_classical": (0.25, 0.5)}
"""Of each arm, beside 0: "gan" fills the classes up or not, "gan_classical" has a share of what the classifier sees."""
CLEARLY = 2
"""Standard errors by which synthetic items must cost more than they win before there are none."""
USUAL_SHARE = 0.25
"""Where none can be chosen."""
INNER_BUDGET = 1 / 3
"""Of a generator's budget: that of the generator by which the shares are chosen."""


def fixed_shares(share: float) -> dict[str, float]:
    """What the arms take where nothing is chosen."""
    return {"gan": 1.0 if share else 0.0, "gan_classical": share}


def chosen_shares(inputs: ArmInputs, synthetic: Callable[[ArmInputs], tuple[Tensor, Tensor]]) -> dict[str, float]:
    """The share of each synthetic arm, by training items alone.

    A generator is trained on one half of them. The classifier is fitted to this half with each share, and names the
    other half, which neither has seen. The best share is taken, unless it costs more items than it wins by over two
    standard errors of the difference (McNemar 1947), classes weighing alike: then it is 0.

    Args:
        inputs: of the seed.
        synthetic: makes images of a generator that is trained on the fold of other inputs.
    """
    if int(inputs.counts.min()) < 2:
        return fixed_shares(USUAL_SHARE)
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
        kinds_given=inputs.kinds,
    )
    made = synthetic(inner)
    x, y = inputs.x()[check], inputs.y[check]

    def right(arm: str, share: float) -> Tensor:
        trying = replace(inner, synthetic=lambda _: made, shares_given={arm: share})
        return inner.tested.fit(ARMS[arm].build(trying), inputs.classes, mix(inner.seed, 7))(x).argmax(1) == y

    return {
        arm: picked(right(arm, 0.0), {share: right(arm, share) for share in CANDIDATES[arm]}, y) for arm in SYNTHETIC
    }


def picked(without: Tensor, having: Mapping[float, Tensor], y: Tensor) -> float:
    """The best share, or 0.

    Args:
        without: (N,) bool: which of the items of classes y (N,) are named rightly with no synthetic ones.
        having: the same by share.
    """
    weights = (1.0 / torch.bincount(y).clamp_min(1))[y]
    differences = {share: weights * (right.float() - without.float()) for share, right in having.items()}
    best = max(differences, key=lambda share: float(differences[share].sum()))
    error = math.sqrt(float(differences[best].square().sum()))
    return best if float(differences[best].sum()) >= -CLEARLY * error else 0.0
