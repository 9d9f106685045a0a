"""DINOv2: a vision transformer trained on photographs without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.metrics.features._items import check_colours, colours
from evenodds.pretrained.state import digest, fill, find_weights, located, read_weights

__all__ = ["Dino"]

URL = "https://dl.fbaipublicfiles.com/dinov2"
SHA256 = {
    "vitl14": "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    "vitb14": "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
    "vits14": "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
}
"""The largest first."""

_SIDE = 224
_PASS = 32
"""Images in memory at once."""


class Dino:
    """The class token of DINOv2 (Oquab et al. 2023): 1024 features for ViT-L/14, 768 for B, 384 for S.

    FD_DINOv2 (Stein et al. 2023) is the Fréchet distance between those of ViT-L/14; it agrees with human judgement
    better than FID.

    Images are rounded to 8 bits, resized to 224 x 224 by an antialiased bicubic filter, rounded again, and
    standardised by the mean and deviation of ImageNet. Grey images are repeated to three channels.

    Args:
        shape: of one item, (1 or 3, H, W).
        state: named tensors, for weights of one's own, whose size is read off; None to read the published file.
        size: which file: "vits14", "vitb14" or "vitl14"; None for the largest that is here.

    Raises:
        BadInput: alpha or no image, no file, a wrong one, or tensors that do not fit.
    """

    name = "dino"
    resize = "8 bits, antialiased bicubic to 224x224"

    def __init__(
        self, shape: Sequence[int], *, state: Mapping[str, Tensor] | None = None, size: str | None = None
    ) -> None:
        self.shape, self.comparable = check_colours(shape, self.name), ""
        if state is None:
            size = size or next((name for name in SHA256 if located(_file(name))), "vitl14")
            if size not in SHA256:
                raise unknown("size of DINOv2", size, SHA256)
            path = find_weights(self.name, _file(size), SHA256[size], f"{URL}/dinov2_{size}/{_file(size)}")
            self.comparable = "published FD_DINOv2" if path.name == _file("vitl14") else ""
            state = read_weights(path)
        with torch.device("meta"):
            network = _like(state)
        self.network = fill(network, state, self.name)
        self.weights = digest(self.network.state_dict())

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, *shape) in [-1, 1] -> (N, F) float32."""
        network = self.network.to(x.device)
        levels = colours(x, self.shape)
        parts = (levels[start : start + _PASS] for start in range(0, len(levels), _PASS))
        return torch.cat([network(_prepare(part)) for part in parts])


def _file(size: str) -> str:
    return f"dinov2_{size}_pretrain.pth"


def _prepare(levels: Tensor) -> Tensor:
    if levels.shape[2:] != (_SIDE, _SIDE):
        # Bicubic weights overshoot; 8-bit files, which published figures come from, cannot.
        levels = F.interpolate(levels, (_SIDE, _SIDE), mode="bicubic", antialias=True).round_().clamp_(0, 255)
    mean = levels.new_tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = levels.new_tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return (levels / 255 - mean) / deviation


def _like(state: Mapping[str, Tensor]) -> _Transformer:
    """A transformer of the size that the weights have."""
    needed = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.mlp.fc1.weight")
    missing = [name for name in needed if name not in state]
    if missing:
        raise BadInput(f"these are not the weights of 'dino': no {missing[0]}; take a ViT-S, B or L without registers")
    width, hidden = state["cls_token"].shape[-1], len(state["blocks.0.mlp.fc1.weight"])
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    places = state["pos_embed"].shape[1] - 1
    return _Transformer(width, depth, hidden, places, state["patch_embed.proj.weight"].shape[-1])


class _Transformer(nn.Module):
    """(N, 3, H, W) standardised -> (N, width). The names of its parts are those in the published files."""

    def __init__(self, width: int, depth: int, hidden: int, places: int, patch: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + places, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # of the training; in the files, but not used
        self.patch_embed = _Patches(width, patch)
        self.blocks = nn.ModuleList(_Block(width, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.patch_embed(x)
        rows, columns = tokens.shape[2:]
        tokens = tokens.flatten(2).transpose(1, 2)
        tokens = torch.cat((self.cls_token.expand(len(x), -1, -1), tokens), 1) + self._places(rows, columns)
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = self.norm(tokens[:, 0])
        return features

    def _places(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows columns, width): the embeddings of the places, interpolated to this many."""
        first, others = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        side = round(others.shape[1] ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = others.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        # The authors scale by (rows + 0.1) / side, which moves the samples a little; published figures contain it.
        scales = ((rows + 0.1) / side, (columns + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=scales, mode="bicubic")
        return torch.cat((first, grid.flatten(2).transpose(1, 2)), 1)


class _Patches(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.proj(x)
        return patches


class _Scale(nn.Module):
    """LayerScale (Touvron et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return attended


class _Perceptron(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return output


class _Block(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width)
        self.ls1 = _Scale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Perceptron(width, hidden)
        self.ls2 = _Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        x = x + self.ls2(self.mlp(self.norm2(x)))
        return x
