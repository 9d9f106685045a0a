"""How well a classifier does: by class, on the whole, and whether its probabilities can be taken at their word."""

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["calibration_error", "class_scores"]


def class_scores(predicted: Tensor, truth: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Precision, recall and F1 of every class (van Rijsbergen 1979).

    The mean recall over the classes that occur is the balanced accuracy (Brodersen et al. 2010).

    Args:
        predicted: (N,) int64 in [0, classes).
        truth: (N,) int64 in [0, classes).
        classes: K, how many there are.

    Returns:
        Three times (K,) float64 in [0, 1]: precision, 0 for a class that was never named; recall and F1, NaN for a
        class that does not occur in `truth`, of which nothing can be known.

    Raises:
        BadInput: no items, different lengths, or numbers of no class.
    """
    _check(predicted, truth, classes)
    table = torch.bincount(truth * classes + predicted, minlength=classes * classes).view(classes, classes).double()
    right, named, there = table.diagonal(), table.sum(0), table.sum(1)
    absent = there == 0
    precision = right / named.clamp_min(1)
    recall, f1 = right / there.clamp_min(1), 2 * right / (named + there).clamp_min(1)
    return precision, recall.masked_fill(absent, torch.nan), f1.masked_fill(absent, torch.nan)


def calibration_error(probabilities: Tensor, truth: Tensor, bins: int = 15) -> Tensor:
    """Expected calibration error: |confidence - accuracy| in bins of confidence, weighted by their shares.

    Guo et al. (2017), eq. 3. The confidence is the probability of the class that is named; bins are of equal width.

    Args:
        probabilities: (N, K) float, rows that sum to 1.
        truth: (N,) int64 in [0, K).
        bins: M of the paper, at least 1.

    Returns:
        Scalar float64 in [0, 1]; 0 where, in every bin, the confidence is the share that is right.

    Raises:
        BadInput: shapes that do not go together, rows that are no probabilities, or no bins.
    """
    if bins < 1:
        raise BadInput(f"'bins' must be at least 1, got {bins}; 15 are usual")
    if probabilities.ndim != 2 or not len(probabilities):
        raise BadInput(f"'probabilities' must be (N, K) with N >= 1, got {tuple(probabilities.shape)}")
    p = probabilities.detach().double()
    if not bool(((p >= -1e-6) & (p <= 1 + 1e-6)).all()) or not bool(((p.sum(1) - 1).abs() < 1e-3).all()):
        raise BadInput("rows of 'probabilities' must lie in [0, 1] and sum to 1; apply a softmax to logits")
    confidence, predicted = p.max(1)
    _check(predicted, truth, p.shape[1])
    # Bins are (0, 1/M], (1/M, 2/M], ...: the upper end belongs to the bin.
    place = ((confidence * bins).ceil().long() - 1).clamp(0, bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64, device=p.device)
    gap.index_add_(0, place, confidence - (predicted == truth).double())
    return gap.abs().sum() / len(p)


def _check(predicted: Tensor, truth: Tensor, classes: int) -> None:
    if predicted.ndim != 1 or predicted.shape != truth.shape or not len(truth):
        raise BadInput(f"'predicted' and 'truth' must be (N,), got {tuple(predicted.shape)} and {tuple(truth.shape)}")
    for name, labels in (("predicted", predicted), ("truth", truth)):
        if labels.is_floating_point() or int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise BadInput(f"'{name}' must hold whole numbers from 0 to {classes - 1}; leave unknown labels out")
