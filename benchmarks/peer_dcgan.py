"""The baseline to beat: the widely known DCGAN tutorial, for 300 seconds on two cores of a CPU.

Radford et al. (2016), with the settings of the PyTorch tutorial that thousands start from: images resized to 64 x 64,
batch 64, 100 noise values, 64 feature maps, Adam at 2e-4 with betas (0.5, 0.999), binary cross-entropy, weights from
N(0, 0.02), a plain NCHW loop with separate real and fake passes, numbers read back at every step, and samples drawn
without leaving the training mode. Written anew from those settings. Two things favour the baseline: the resized
images lie in memory before the clock starts, and nothing is drawn or logged while it runs.

    python benchmarks/peer_dcgan.py                  # train, then score
    python benchmarks/peer_dcgan.py --stage score    # score the generators that the last training left in the cache
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

LATENT, FEATURES, BATCH, SIDE = 100, 64, 64, 64
SNAPSHOT_SECONDS = 60.0
RESULTS = Path(__file__).parent / "results"


def make_generator(channels: int = 1) -> nn.Sequential:
    """Noise (N, 100, 1, 1) -> images (N, channels, 64, 64) in [-1, 1]."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(LATENT, 8 * FEATURES, 4, 1, 0, bias=False),
        nn.BatchNorm2d(8 * FEATURES),
        nn.ReLU(True),
    ]
    for factor in (8, 4, 2):
        layers += [
            nn.ConvTranspose2d(factor * FEATURES, factor // 2 * FEATURES, 4, 2, 1, bias=False),
            nn.BatchNorm2d(factor // 2 * FEATURES),
            nn.ReLU(True),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(FEATURES, channels, 4, 2, 1, bias=False), nn.Tanh())


def make_discriminator(channels: int = 1) -> nn.Sequential:
    """Images (N, channels, 64, 64) -> probabilities (N, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(channels, FEATURES, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for factor in (1, 2, 4):
        layers += [
            nn.Conv2d(factor * FEATURES, 2 * factor * FEATURES, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * factor * FEATURES),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(8 * FEATURES, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def initialise(module: nn.Module) -> None:
    """Radford et al. (2016), section 4."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def enlarged(images: np.ndarray) -> Tensor:
    """uint8 (N, 28, 28) -> float (N, 1, 64, 64) in [-1, 1], bilinear as in the tutorial's Resize."""
    parts = [
        F.interpolate(part[:, None].float(), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        for part in torch.from_numpy(images).split(4096)
    ]
    return torch.cat(parts) / 127.5 - 1


def endless(images: Tensor) -> Iterator[Tensor]:
    """Shuffled batches, epoch after epoch; the last batch of an epoch is smaller, as in the tutorial."""
    while True:
        for chosen in torch.randperm(len(images)).split(BATCH):
            yield images[chosen]


def cpu_ticks() -> tuple[int, int]:
    """Ticks that the whole machine spent busy, and those of this process: shows whether the machine was shared."""
    fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    busy = sum(fields[:8]) - fields[3] - fields[4]
    times = os.times()
    return busy, round((times.user + times.system) * os.sysconf("SC_CLK_TCK"))


def train(images: np.ndarray, seconds: float, seed: int, cache: Path) -> dict[str, Any]:
    """The tutorial's loop until the clock says stop. Leaves a generator in the cache for every minute."""
    torch.manual_seed(seed)
    batches = endless(enlarged(images))
    generator, discriminator = make_generator(), make_discriminator()
    generator.apply(initialise)
    discriminator.apply(initialise)
    criterion = nn.BCELoss()
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    snapshots: list[dict[str, Any]] = []
    terms: list[list[float]] = []
    shown = 0
    paused = 0.0
    busy, own = cpu_ticks()
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start - paused) < seconds:
        if elapsed >= SNAPSHOT_SECONDS * (len(snapshots) + 1):
            pause = time.perf_counter()
            snapshots.append({"seconds": elapsed, "images": shown, "file": keep(generator, cache, len(snapshots))})
            paused += time.perf_counter() - pause
        x = next(batches)
        n = len(x)

        discriminator.zero_grad()
        output = discriminator(x).view(-1)
        cost_real = criterion(output, torch.full((n,), 1.0))
        cost_real.backward()
        mean_real = output.mean().item()
        fake = generator(torch.randn(n, LATENT, 1, 1))
        output = discriminator(fake.detach()).view(-1)
        cost_fake = criterion(output, torch.full((n,), 0.0))
        cost_fake.backward()
        mean_fake = output.mean().item()
        optimizer_d.step()

        generator.zero_grad()
        output = discriminator(fake).view(-1)
        cost_generator = criterion(output, torch.full((n,), 1.0))
        cost_generator.backward()
        mean_fake_after = output.mean().item()
        optimizer_g.step()

        terms.append(
            [cost_real.item() + cost_fake.item(), cost_generator.item(), mean_real, mean_fake, mean_fake_after]
        )
        shown += n
    busy_after, own_after = cpu_ticks()
    snapshots.append({"seconds": elapsed, "images": shown, "file": keep(generator, cache, len(snapshots))})
    available = (os.cpu_count() or 1) * elapsed * os.sysconf("SC_CLK_TCK")
    names = ("discriminator", "generator", "D(real)", "D(fake)", "D(fake) after")
    return {
        "seconds": elapsed,
        "steps": len(terms),
        "images": shown,
        "images_per_second": shown / elapsed,
        "seed": seed,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": machine(),
        "torch": torch.__version__,
        "cpu_share_of_this_process": (own_after - own) / available,
        "cpu_share_of_others": max(0, (busy_after - busy) - (own_after - own)) / available,
        "mean_of_last_100_steps": dict(zip(names, np.mean(terms[-100:], axis=0).tolist(), strict=True)),
        "snapshots": snapshots,
    }


def machine() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def keep(generator: nn.Module, cache: Path, number: int) -> str:
    """Writes the generator's tensors to the cache and returns the file's name."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"peer-dcgan-{number}.safetensors"
    save_file(generator.state_dict(), path)
    return path.name


@torch.no_grad()
def samples(generator: nn.Module, n: int, seed: int) -> np.ndarray:
    """uint8 (n, 28, 28): drawn at 64 x 64 in batches of 64, made smaller by area averaging, rounded."""
    rng = torch.Generator().manual_seed(seed)
    parts = []
    for noise in torch.randn(n, LATENT, 1, 1, generator=rng).split(BATCH):
        small = F.interpolate(generator(noise), size=(28, 28), mode="area")[:, 0]
        parts.append(((small + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(parts).numpy()


def score(images: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Fréchet distance to the test images on the classifier's features, and its classes."""
    import reference_classifier
    from evenodds.metrics.frechet import frechet

    return {
        "frechet": float(frechet(reference_classifier.features(images), reference_classifier.features(test))),
        "class_histogram": np.bincount(reference_classifier.predict(images), minlength=10).tolist(),
    }


def write_grid(images: np.ndarray, path: Path, side: int = 12) -> None:
    """The first side x side images as one grey PNG."""
    sheet = np.pad(images[: side * side], ((0, 0), (1, 1), (1, 1))).reshape(side, side, 30, 30)
    Image.fromarray(sheet.transpose(0, 2, 1, 3).reshape(side * 30, side * 30)).save(path, optimize=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes to a temporary name, then replaces: a reader never sees half a file."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(part, path)


def main() -> None:
    import reference_classifier

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", choices=("all", "train", "score"), default="all")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=999)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=None, help="folder with mnist.npz")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cache = reference_classifier.cache_folder()
    log = cache / "peer-dcgan-training.json"
    digits = reference_classifier.read("mnist", arguments.data)
    if arguments.stage != "score":
        training = train(digits["x_train"], arguments.seconds, arguments.seed, cache)
        write_json(log, training)
        print(f"{training['images']} images, {training['images_per_second']:.1f} images/s")
    if arguments.stage == "train":
        return

    report: dict[str, Any] = json.loads(log.read_text())
    generator = make_generator()
    test = digits["x_test"]
    for snapshot in report["snapshots"][-1:]:
        generator.load_state_dict(load_file(cache / snapshot.pop("file")))
        # The tutorial never calls eval(): its samples are normalised by their own batch.
        drawn = samples(generator.train(), 10_000, arguments.seed)
        snapshot.update(score(drawn, test))
    report |= {
        "frechet": report["snapshots"][-1]["frechet"],
        "class_histogram": report["snapshots"][-1]["class_histogram"],
    }
    report["frechet_in_eval_mode"] = score(samples(generator.eval(), 10_000, arguments.seed), test)["frechet"]
    train_images = digits["x_train"][
        torch.randperm(60_000, generator=torch.Generator().manual_seed(0))[:10_000].numpy()
    ]
    report["frechet_of_training_images"] = score(train_images, test)["frechet"]
    report["classifier"] = reference_classifier.fingerprint("mnist", arguments.data)
    report["classifier_accuracy"] = reference_classifier.accuracy("mnist", arguments.data)
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "peer-dcgan-mnist.json", report)
    write_grid(drawn, RESULTS / "peer-dcgan-mnist.png")
    print(f"Fréchet distance {report['frechet']:.3f}, eval mode {report['frechet_in_eval_mode']:.3f}")


if __name__ == "__main__":
    main()
