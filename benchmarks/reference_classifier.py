"""The reference classifier: a small classifier of MNIST, Fashion-MNIST or CIFAR-10 whose inner layer measures images.

Inception features say little about 28 x 28 grey images, so the benchmarks compare images on the 128 numbers before
this classifier's last layer. It is trained once on the training images only, kept in the cache
(`$EVENODDS_CACHE`, else `~/.cache/evenodds-benchmarks`), and is the same for every generator that is measured.
Distances by two differently trained classifiers do not compare: `fingerprint` names the cached file.
Its classes mean little for images that are not yet like the data: it must name one of ten, and often the same one.

    python benchmarks/reference_classifier.py     # trains when nothing is cached, prints the test accuracy
    python benchmarks/reference_classifier.py --dataset fashion_mnist --data /where/the/npz/lies
    python benchmarks/reference_classifier.py --dataset cifar10
"""

import argparse
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

WIDTH = 128
EPOCHS = {"mnist": 7, "fashion_mnist": 5, "cifar10": 10}
ITEMS = {"mnist": (28, 28), "fashion_mnist": (28, 28), "cifar10": (32, 32, 3)}
VERSION = 1  # raise it when the network or its training changes: an old cached classifier must not answer for a new one


def read(dataset: str = "mnist", data: Path | None = None) -> dict[str, np.ndarray]:
    """The arrays x_train, y_train, x_test, y_test of `<data>/<dataset>.npz`, or of two zips of images, uint8.

    Args:
        dataset: "mnist", "fashion_mnist" or "cifar10".
        data: folder with the .npz or the zips; by default `../shared/data` seen from the repository's root.

    Raises:
        SystemExit: the file is absent; the message names the place and the argument.
    """
    folder = data if data is not None else Path(__file__).resolve().parents[2] / "shared" / "data"
    path = folder / ("cifar10-jpeg-train.zip" if dataset == "cifar10" else f"{dataset}.npz")
    if not path.exists():
        raise SystemExit(f"{path} is needed and does not exist; name the folder that holds {path.name} with --data")
    if dataset == "cifar10":
        parts = {part: _unzipped(folder / f"cifar10-jpeg-{part}.zip") for part in ("train", "test")}
        return {f"{kind}_{part}": parts[part][number] for part in parts for number, kind in enumerate("xy")}
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")}


def _unzipped(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, 3) and classes (N,), numbered in the order of their folders' names; both uint8."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        x = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names])
    classes = sorted({name.split("/")[0] for name in names})
    return x, np.array([classes.index(name.split("/")[0]) for name in names], np.uint8)


def cache_folder() -> Path:
    """Where classifiers are kept between benchmarks."""
    return Path(os.environ.get("EVENODDS_CACHE", "") or Path.home() / ".cache" / "evenodds-benchmarks")


def cached(dataset: str) -> Path:
    """The file of one classifier."""
    # The name of earlier caches: with another, a classifier would be trained anew, and distances would not compare.
    return cache_folder() / f"judge-{dataset}-{VERSION}.safetensors"


class Network(nn.Module):
    """Five convolutions, then 128 features and 10 logits.

    Normalised only where the maps are small: batch norm of large channels-last maps costs more than the convolutions.
    """

    def __init__(self, dataset: str = "mnist") -> None:
        super().__init__()
        layers: list[nn.Module] = []
        plan = [(1, 32, 5, 2), (32, 64, 3, 1), (64, 64, 3, 2), (64, 128, 3, 1), (128, 128, 3, 2)]
        if dataset == "cifar10":
            plan = [(3, 64, 5, 2), (64, 64, 3, 1), (64, 128, 3, 2), (128, 128, 3, 1), (128, 128, 3, 2)]
        for before, after, size, stride in plan:
            layers.append(nn.Conv2d(before, after, size, stride, size // 2))
            layers += [nn.BatchNorm2d(after)] if before >= 64 else []
            layers.append(nn.ReLU(inplace=True))
        self.body = nn.Sequential(*layers)
        self.embed = nn.Linear(128 * 4 * 4, WIDTH)
        self.last = nn.Linear(WIDTH, 10)

    def features(self, x: Tensor) -> Tensor:
        """(N, 1, 28, 28) or (N, 3, 32, 32) in [0, 1] -> (N, 128), at least 0."""
        return F.relu(self.embed(self.body(x).flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.dropout(self.features(x), 0.3, self.training))


def prepared(x: np.ndarray) -> Tensor:
    """uint8 (N, 28, 28) or (N, 32, 32, 3) -> float (N, 1, 28, 28) or (N, 3, 32, 32) in [0, 1], channels last."""
    if x.dtype != np.uint8 or x.shape[1:] not in ITEMS.values():
        raise ValueError(
            "the reference classifier needs uint8 images (N, 28, 28) or (N, 32, 32, 3), "
            f"got {x.dtype} {x.shape}; resize and round first"
        )
    images = torch.from_numpy(np.ascontiguousarray(x))
    tensor = (images[:, None] if images.ndim == 3 else images.movedim(3, 1)).float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


def moved(x: Tensor, rng: torch.Generator, mirror: bool) -> Tensor:
    """Light augmentation: up to 10 degrees, 10 % scale, 2 pixels; left-right flips where they keep the class."""
    n = len(x)
    draws = torch.rand(n, 4, generator=rng) * 2 - 1
    angle, scale = draws[:, 0] * (torch.pi / 18), 1 + 0.1 * draws[:, 1]
    cos, sin, shift = angle.cos() * scale, angle.sin() * scale, draws[:, 2:] * (2 / 14)
    side = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0) if mirror else torch.ones(n)
    rows = [torch.stack([cos * side, -sin, shift[:, 0]], 1), torch.stack([sin * side, cos, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def batches(n: int, size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of one epoch, shuffled; the incomplete last batch is left out."""
    order = torch.randperm(n, generator=rng)
    yield from order[: n - n % size].split(size)


@torch.enable_grad()  # the first question may come from within no_grad
def train(dataset: str, data: Path | None, seed: int = 0) -> Network:
    """One-cycle AdamW for a few epochs: about four minutes on two cores."""
    arrays = read(dataset, data)
    x, y = prepared(arrays["x_train"]), torch.from_numpy(arrays["y_train"]).long()
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    network = Network(dataset).to(memory_format=torch.channels_last)
    size, epochs = 128, EPOCHS[dataset]
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(x) // size))
    for epoch in range(epochs):
        start = time.perf_counter()
        for chosen in batches(len(x), size, rng):
            images = moved(x[chosen], rng, mirror=dataset != "mnist")
            with torch.autocast("cpu", torch.bfloat16, enabled=dataset == "cifar10"):
                logits = network(images)
            cost = F.cross_entropy(logits.float(), y[chosen], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            cost.backward()
            optimizer.step()
            plan.step()
        print(
            f"reference classifier of {dataset}: epoch {epoch + 1} of {epochs}, {time.perf_counter() - start:.1f} s",
            flush=True,
        )
    return network.eval()


@lru_cache(maxsize=2)
def network_of(dataset: str = "mnist", data: Path | None = None) -> Network:
    """The classifier of a data set, from the cache, or trained now and put there."""
    if dataset not in EPOCHS:
        raise SystemExit(f"no reference classifier for '{dataset}'; known: {', '.join(sorted(EPOCHS))}")
    path = cached(dataset)
    if not path.exists():
        trained = train(dataset, data)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        save_file({name: tensor.contiguous() for name, tensor in trained.state_dict().items()}, part)
        os.replace(part, path)
    network = Network(dataset)
    network.load_state_dict(load_file(path))
    return network.to(memory_format=torch.channels_last).eval()


@torch.no_grad()
def features(x: np.ndarray, *, dataset: str = "mnist", data: Path | None = None) -> Tensor:
    """The features of images: uint8 (N, 28, 28) or (N, 32, 32, 3) -> float (N, 128), the input of its last layer."""
    network = network_of(dataset, data)
    return torch.cat([network.features(part) for part in prepared(x).split(1000)])


@torch.no_grad()
def predict(x: np.ndarray, *, dataset: str = "mnist", data: Path | None = None) -> np.ndarray:
    """The predicted classes: uint8 (N, 28, 28) or (N, 32, 32, 3) -> int64 (N,) in 0..9."""
    return network_of(dataset, data).last(features(x, dataset=dataset, data=data)).argmax(1).numpy()


def accuracy(dataset: str = "mnist", data: Path | None = None) -> float:
    """Share of the 10,000 test images that the classifier names rightly."""
    arrays = read(dataset, data)
    return float((predict(arrays["x_test"], dataset=dataset, data=data) == arrays["y_test"]).mean())


def fingerprint(dataset: str = "mnist", data: Path | None = None) -> str:
    """Tells one trained classifier from another: the first 12 hexadecimal digits of its file's SHA-256."""
    network_of(dataset, data)
    return hashlib.sha256(cached(dataset).read_bytes()).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="mnist", choices=sorted(EPOCHS))
    parser.add_argument("--data", type=Path, default=None, help="folder with the data; default ../shared/data")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    reached = accuracy(arguments.dataset, arguments.data)
    print(
        f"{arguments.dataset}: test accuracy {reached:.4f}, classifier {fingerprint(arguments.dataset, arguments.data)}"
    )


if __name__ == "__main__":
    main()
