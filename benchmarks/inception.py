"""Our Inception and DINOv2 against independent implementations, on random weights loaded into both.

    python benchmarks/inception.py [--images 2]

Needs torch-fidelity for Inception and transformers for DINOv2; what is not installed is skipped, and says so. The
weights are random, so this proves the architecture, the names of the parts and the resize, not the published file.
torch-fidelity imports torchvision; where that has no build for the machine, its missing operators are stood in for,
none of which the comparison runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from evenodds.metrics.features.dino import Dino, _prepare, _Transformer
from evenodds.metrics.features.inception import Inception, _Network


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=2)
    images = options.parse_args().images
    torch.set_num_threads(1)
    for what, compare in (("inception", inception), ("dino", dino)):
        try:
            found = compare(images)
        except ImportError as error:
            print(f"{what}: skipped, {error.name} is not installed")
            continue
        for line, value in found.items():
            print(f"{what}: {line}: {value}")


def random_state(network: nn.Module, rng: torch.Generator) -> dict[str, Tensor]:
    """Weights that keep the activations of order 1, with statistics of batch normalisation that are not 0 and 1."""
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "gamma", "bn.weight", "norm1.weight", "norm2.weight", "norm.weight")):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=rng)
        elif tensor.ndim > 1:
            fan = tensor[0].numel() if tensor.ndim != 3 else 1
            gain = 30 if name == "fc.weight" else 1.5  # else the probabilities would all be alike
            state[name] = torch.randn(tensor.shape, generator=rng) * (gain / fan) ** 0.5
        elif tensor.ndim:
            state[name] = 0.1 * torch.randn(tensor.shape, generator=rng)
        else:
            state[name] = torch.zeros((), dtype=tensor.dtype)
    return state


def apart(ours: Tensor, theirs: Tensor) -> str:
    """The largest difference as a share of the spread of theirs."""
    return f"{float((ours - theirs).abs().max() / theirs.std()):.1e}"


def inception(images: int) -> dict[str, str]:
    stand_in_for_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    rng = torch.Generator().manual_seed(0)
    state = random_state(_Network(), rng)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(state, path)
        wanted = ["2048", "logits_unbiased"]
        theirs = FeatureExtractorInceptionV3("inception-v3-compat", wanted, feature_extractor_weights_path=str(path))
    ours = Inception((3, 40, 25), state=state)
    levels = torch.randint(256, (images, 3, 40, 25), generator=rng, dtype=torch.uint8)
    with torch.no_grad():
        features, logits = theirs(levels)
        mine, probabilities = ours.both((levels.float() - 127.5) / 127.5)
    return {
        "tensors of equal names and shapes": str(len(state)),
        "parameters": f"{sum(parameter.numel() for parameter in theirs.parameters()):,}",
        "features differ by, of their spread": apart(mine, features),
        "log probabilities differ by, of their spread": apart(probabilities.log(), logits.log_softmax(1)),
    }


def dino(images: int) -> dict[str, str]:
    stand_in_for_torchvision()
    from transformers import Dinov2Config, Dinov2Model

    rng = torch.Generator().manual_seed(0)
    state = random_state(_Transformer(384, 12, 1536, 16 * 16, 14), rng)
    config = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=224, patch_size=14)
    theirs = Dinov2Model(config).eval()
    theirs.load_state_dict(renamed(state))
    ours = Dino((3, 64, 48), state=state)
    levels = torch.randint(256, (images, 3, 64, 48), generator=rng).float()
    with torch.no_grad():
        features = theirs(_prepare(levels)).last_hidden_state[:, 0]
        mine = ours((levels - 127.5) / 127.5)
    return {"features differ by, of their spread": apart(mine, features)}


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names that transformers gives to the same tensors; the three maps of attention apart."""
    words = {
        "cls_token": "embeddings.cls_token",
        "mask_token": "embeddings.mask_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "blocks.": "encoder.layer.",
        "attn.proj": "attention.o_proj",
        "ls1.gamma": "layer_scale1.lambda1",
        "ls2.gamma": "layer_scale2.lambda1",
    }
    found = {}
    for name, tensor in state.items():
        for ours, theirs in words.items():
            name = name.replace(ours, theirs)
        name = name.replace("norm.", "layernorm.") if name.startswith("norm.") else name
        if "attn.qkv" in name:
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                found[name.replace("attn.qkv", f"attention.{part}_proj")] = piece
        else:
            found[name] = tensor
    return found


_libraries: list[torch.library.Library] = []


def stand_in_for_torchvision() -> None:
    """Declares the two operators without which torchvision cannot be imported where it was built for other devices."""
    if not _libraries and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)


if __name__ == "__main__":
    main()
