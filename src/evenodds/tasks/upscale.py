"""Super-resolution, after SRGAN (Ledig et al. 2017) and ESRGAN (Wang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evenodds.errors import BadInput
from evenodds.parts.degradations import Degradation, Downscale, Realistic
from evenodds.tasks._playable import DataDescription
from evenodds.tasks.translate import Translate

__all__ = ["Upscale"]


@dataclass(frozen=True, kw_only=True)
class Upscale(Translate):
    """Translate, with sources that are `scale` times smaller: a pixel stage, then an adversarial one.

    Args:
        scale: 2, 3 or 4.
        realistic: sources are blurred, noisy and compressed too, by random amounts, as photographs from elsewhere
            are; without it, they are bicubic reductions, for which the scores of papers are.
    """

    scale: int = 4
    realistic: bool = False
    sees_source: bool = False
    turns: str = "all"
    command: ClassVar[str] = "upscale"

    @classmethod
    def layout(cls, options: Mapping[str, Any]) -> str:
        """Images alone."""
        return "images"

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """How sources are made."""
        scale, realistic = options.get("scale", cls.scale), options.get("realistic", cls.realistic)
        if "degradation" in options:
            raise BadInput("the task upscale makes its own sources; set task.scale and task.realistic")
        degradation: Degradation = Realistic(scale) if realistic else Downscale(scale)
        return {**super().suits(data, {"degradation": degradation}), "degradation": degradation, "scale": scale}
