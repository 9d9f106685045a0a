"""The features of the Fréchet inception distance behind a resizing that loses no details to aliases: clean-FID."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from evenodds.metrics.features.inception import Inception

__all__ = ["Clean"]


class Clean(Inception):
    """As inception, from images that are resized as clean-FID does: Parmar, Zhang and Zhu (2022), section 3.

    The published resizing of 2015 reads four pixels for each place, so that large images leave aliases in the features.
    Here it is bicubic with a support that grows with the image, as that of Pillow, in floating point: nothing is
    rounded or cut off afterwards. Images of 299 x 299 have the features of both. Scores compare with published
    clean-FID and clean-KID figures, not with FID.
    """

    name = "clean"
    resize = "8 bits, antialiased bicubic to 299x299"
    published: ClassVar[str] = "published clean-FID"

    def _resized(self, levels: Tensor) -> Tensor:
        if levels.shape[2:] == (self.side, self.side):
            return levels
        return F.interpolate(levels, (self.side, self.side), mode="bicubic", antialias=True, align_corners=False)
