"""How sure a classifier is of each example, and how many classes it sees in all of them (Salimans et al. 2016)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["InceptionScore", "inception_score"]


class InceptionScore(NamedTuple):
    """What `inception_score` finds.

    Attributes:
        mean: () float64 in [1, K], the mean of the splits' scores; higher is better.
        standard_error: () float64, of that mean; None where one split leaves it unknown.
        splits: (S,) float64, every split's score. Papers quote their standard deviation, `splits.std()`.
    """

    mean: Tensor
    standard_error: Tensor | None
    splits: Tensor


def inception_score(probabilities: Tensor, *, splits: int = 10) -> InceptionScore:
    """exp(mean KL(p(y | x) | p(y))), p(y) being the mean over the examples: Salimans et al. (2016), section 4.

    The logarithm is what an example tells about its class, H(y) - H(y | x), and is computed so: a probability of 0
    does no harm. It never sees the real examples, and a generator with one good example per class scores the most;
    classes that the classifier does not know count for nothing. Compare only values from one classifier and equal
    numbers of examples per split: fewer examples score less, and a split of N rows at most N.

    Args:
        probabilities: (N, K) of any classifier, rows that sum to 1; computed in float64.
        splits: consecutive parts that are scored by themselves, at least 1, with 2 rows or more in each; shuffle the
            rows first where their order means anything. Published scores have 10 splits of 5,000.

    Returns:
        InceptionScore(mean, standard_error, splits).

    Raises:
        BadInput: no matrix of probabilities, or too few rows.
    """
    p = _checked(probabilities)
    if splits < 1:
        raise BadInput(f"'splits' must be at least 1, got {splits}; 10 is usual")
    if len(p) < 2 * splits:
        fewer = " or fewer splits" if splits > 1 else ""
        raise BadInput(f"splits={splits} needs at least {2 * splits} rows, got {len(p)}; give more examples{fewer}")
    scores = torch.stack([_score(part.to(torch.float64)) for part in p.tensor_split(splits)])
    return InceptionScore(scores.mean(), scores.std() / math.sqrt(splits) if splits > 1 else None, scores)


def _checked(p: Tensor) -> Tensor:
    if p.ndim != 2 or p.shape[1] == 0:
        raise BadInput(f"'probabilities' must be a matrix (N, K), one row per example, got {tuple(p.shape)}")
    p = p.detach().cpu() if p.device.type == "mps" else p.detach()
    # Written so that NaN fails; 1e-2 leaves room for half precision.
    if not (len(p) == 0 or (p.amin() >= 0 and bool(((p.sum(1) - 1).abs() < 1e-2).all()))):
        raise BadInput("'probabilities' must be at least 0 with rows that sum to 1; give logits.softmax(1)")
    return p


def _score(p: Tensor) -> Tensor:
    # Rows divided by their sums s, without a copy of them: H(p / s) = log s - sum p log p / s.
    sums = p.sum(1)
    mean = (1 / (sums * len(p))) @ p
    entropy = sums.log() - _plogp(p) / sums
    return (-_plogp(mean) - entropy.mean()).clamp_min(0).exp()


def _plogp(p: Tensor) -> Tensor:
    """The sum of p log p along the last dimension; what has probability 0 adds 0."""
    return p.clamp_min(1e-300).log_().mul_(p).sum(-1)
