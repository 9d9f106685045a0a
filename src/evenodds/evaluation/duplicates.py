"""Near duplicates among a user's images: they teach a network by heart, and leak from training to held-out items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, unknown
from evenodds.metrics.duplicates import Group, near_duplicates
from evenodds.metrics.features.extract import extract
from evenodds.pretrained import efficientnet_lite
from evenodds.runs.find import find

__all__ = ["THRESHOLDS", "Duplicates", "duplicates"]

THRESHOLDS = {"pretrained": 0.85, "random": 0.985}
"""Cosines of features from which two images are near duplicates.

Of 60 photographs of BSDS500 no two had more than 0.79 and 0.979. Pretrained features found all that were saved again
as JPEG of quality 40 or were a fifth brighter, most that were mirrored, reduced to a third or cut to nine tenths, and
half of those that were cut to three quarters; random ones found those that were saved again, reduced, or cut to nine
tenths. Images of one simple kind, such as digits, are alike to begin with.
"""
MISSING = "random features miss mirrored and brightened copies: pip install 'evenodds[pretrained]' finds them"
AT_ONCE = 256


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Args:
        groups: of numbers of items.
        features: by which they were compared.
        threshold: the least cosine of a pair.
        items: that were compared.
        remarks: sentences on what better features would take, and on a threshold that most images pass.
    """

    groups: list[Group]
    features: str
    threshold: float
    items: int
    remarks: tuple[str, ...]


def duplicates(
    data: Dataset,
    features: str | None = None,
    threshold: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Duplicates:
    """Groups of near duplicates among all items of a data set of images.

    Args:
        features: pretrained or random; None: pretrained where its weights are here.
        threshold: the least cosine of a pair; None: `THRESHOLDS`.
        progress: told (items done, items in all).

    Raises:
        BadInput: no images, or features that cannot look at them.
    """
    if data.kind != "image":
        raise BadInput(f"near duplicates are looked for among images, got data of kind '{data.kind}'")
    if features not in (None, *THRESHOLDS):
        raise unknown("kind of features for near duplicates", str(features), list(THRESHOLDS))
    here = efficientnet_lite.is_here()
    name = features or ("pretrained" if here and data.shape[0] in (1, 3) else "random")
    limit = THRESHOLDS[name] if threshold is None else threshold
    extractor, parts = find("features", name)(data.shape), []
    for index in torch.split(torch.arange(len(data)), AT_ONCE):
        parts.append(extract(extractor, data.batch(index)["x"], batch=AT_ONCE))
        progress(int(index[-1]) + 1, len(data))
    groups = near_duplicates(torch.cat(parts), limit)
    remarks = [] if here or features else [MISSING]
    if groups and 2 * len(groups[0].items) > len(data):
        remarks.append("most images are in one group: they are alike as a kind; raise --threshold to find copies")
    return Duplicates(groups, name, limit, len(data), tuple(remarks))
