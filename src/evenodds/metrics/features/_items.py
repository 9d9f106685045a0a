"""What extractors make of items before their networks see them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["check_colours", "check_items", "colours"]


def check_items(x: Tensor, shape: Sequence[int]) -> None:
    """Raises BadInput unless x is (N, *shape)."""
    if tuple(x.shape[1:]) != tuple(shape):
        want = ", ".join(map(str, shape))
        raise BadInput(f"features of ({want}) need x (N, {want}), got {tuple(x.shape)}; use data of one shape")


def check_colours(shape: Sequence[int], name: str) -> tuple[int, ...]:
    """The shape of an item as a tuple; BadInput unless it is that of a grey or coloured image."""
    if len(shape) == 1:
        raise BadInput(
            f"'{name}' needs images (1 or 3, H, W), got rows of {shape[0]} numbers; use 'pixels' or 'random'"
        )
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise BadInput(f"'{name}' needs images (1 or 3, H, W), got {tuple(shape)}; leave alpha out, or use 'random'")
    return tuple(shape)


def colours(x: Tensor, shape: Sequence[int]) -> Tensor:
    """(N, *shape) in [-1, 1], grey or colour, -> (N, 3, H, W) float32, whole numbers in [0, 255]; grey is repeated."""
    check_items(x, shape)
    return (x.float() * 127.5 + 127.5).round_().clamp_(0, 255).expand(-1, 3, -1, -1)
