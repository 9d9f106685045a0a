"""Image to image: taking noise out, and giving colours, each beside its simple baseline.

Learned from the training photographs of BSDS500, judged on the validation part.

denoise: Gaussian noise of 15, 25 and 50 of 255. Beside each other: the noisy image as it is; non-local means (Buades
et al. 2005) with the noise known, its strength chosen on 10 training images; the network, which is not told how much.
PSNR on Y.

colourise: from the luma alone. Beside each other: grey as it is, and the network; PSNR over all channels, mean chroma,
and the Frechet distance of random features of patches of 32 x 32.

What results/translate.json holds already is not done again.

    python benchmarks/translate.py --work DIR                 # 8 minutes for each
    python benchmarks/translate.py denoise --work DIR --budget 2m --out try
    python benchmarks/translate.py colourise --work DIR --images 8000 --set seed=100 task.perceptual=0.1 --out try
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from common.stored import stored_results
from evenodds.apply.answering import answered
from evenodds.files.write import write_json
from evenodds.metrics.features.extract import extract
from evenodds.metrics.features.random import Random
from evenodds.metrics.frechet import frechet
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Grey
from evenodds.runs.session import Session
from evenodds.show import pictures
from upscale import RESULTS, SHOWN, eight_bit, patches, photographs, trained

Photographs = dict[str, Tensor]
STRENGTHS = (15, 25, 50)


def noisy(truth: Photographs, strength: int) -> Photographs:
    """With noise, always the same."""
    rng = torch.Generator().manual_seed(strength)
    return {name: x + strength / 127.5 * torch.randn(x.shape, generator=rng) for name, x in truth.items()}


def non_local_means(x: Tensor, deviation: float, softness: float, reach: int = 7, patch: int = 2) -> Tensor:
    """x (1, C, H, W): each pixel is the mean of those within reach, weighted by how alike their surroundings are."""
    total, weights = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    padded = F.pad(x, [reach] * 4, mode="reflect")
    height, width = x.shape[2:]
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            other = padded[:, :, down : down + height, right : right + width]
            apart = F.avg_pool2d((x - other).square().mean(1, keepdim=True), 2 * patch + 1, 1, patch, False, False)
            weight = torch.exp(-(apart - 2 * deviation**2).clamp(min=0) / (softness * deviation) ** 2)
            total, weights = total + weight * other, weights + weight
    return total / weights


def chosen_softness(train: Photographs, strength: int) -> float:
    """The best of a few on 10 training images."""
    few = dict(list(train.items())[::20][:10])
    made = noisy(few, strength)
    options = (0.3, 0.5, 0.7, 0.9)
    scores = [
        sum(float(psnr(non_local_means(made[name], strength / 127.5, softness), x)) for name, x in few.items())
        for softness in options
    ]
    return options[int(np.argmax(scores))]


def row(images: Photographs) -> list[np.ndarray]:
    """The pieces that are shown."""
    pieces = []
    for name, (top, left) in SHOWN.items():
        piece = images[name][0, :, top : top + 128, left : left + 128].expand(3, -1, -1)
        pieces.append(np.asarray(((piece + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)))
    return pieces


def through(session: Session, images: Photographs) -> Photographs:
    return {name: eight_bit(answered(session, x)["x"]) for name, x in images.items()}


def denoise(session: Session, truth: Photographs, out: Path) -> dict[str, Any]:
    train = photographs("train")
    results: dict[str, Any] = {}
    for strength in STRENGTHS:
        dirty = noisy(truth, strength)
        softness = chosen_softness(train, strength)
        arms = {
            "as it is": {name: x.clamp(-1, 1) for name, x in dirty.items()},
            "non-local means": {name: non_local_means(x, strength / 127.5, softness) for name, x in dirty.items()},
            "network": through(session, dirty),
        }
        results[f"noise {strength}"] = {
            arm: float(torch.cat([psnr(made[name].clamp(-1, 1), x) for name, x in truth.items()]).mean())
            for arm, made in arms.items()
        } | {"softness": softness}
        if strength == 25:
            rows = [piece for images in (*arms.values(), truth) for piece in row(images)]
            pictures.write(out / "denoise.jpg", pictures.grid(np.stack(rows), columns=len(SHOWN)))
    return results


def colourise(session: Session, truth: Photographs, out: Path) -> dict[str, Any]:
    rng, extractor = torch.Generator(), Random((3, 32, 32))
    grey = {name: Grey()(x, rng) for name, x in truth.items()}
    arms = {"grey": {name: x.expand(-1, 3, -1, -1) for name, x in grey.items()}, "network": through(session, grey)}
    real = torch.cat([extract(extractor, patches(x)) for x in truth.values()])
    results = {}
    for arm, made in {**arms, "truth": truth}.items():
        features = torch.cat([extract(extractor, patches(x.contiguous())) for x in made.values()])
        chroma = torch.stack([(x - x.mean(1, keepdim=True)).abs().mean() for x in made.values()])
        errors = torch.stack([(made[name] - x).square().mean() for name, x in truth.items()])
        results[arm] = {"chroma": float(chroma.mean())}
        if arm != "truth":
            results[arm] |= {
                "frechet": float(frechet(real, features)),
                "psnr": float((10 * (4 / errors).log10()).mean()),
            }
    rows = [piece for images in (*arms.values(), truth) for piece in row(images)]
    pictures.write(out / "colourise.jpg", pictures.grid(np.stack(rows), columns=len(SHOWN)))
    return results


JUDGES: dict[str, Callable[[Session, Photographs, Path], dict[str, Any]]] = {
    "denoise": denoise,
    "colourise": colourise,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(JUDGES))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--budget", default="8m")
    parser.add_argument("--images", type=int, help="in place of a budget: the same length whatever else runs")
    parser.add_argument("--set", nargs="*", default=[], help="settings beside the recipe's, as KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    length: dict[str, Any] = {"images": arguments.images} if arguments.images else {"budget": arguments.budget}
    given = (word.split("=", 1) for word in arguments.set)
    length |= {key.replace(".", "__"): yaml.safe_load(value) for key, value in given}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "translate.json"
    results = stored_results(path)
    for recipe in arguments.recipes:
        if recipe not in results:
            session = trained(recipe, arguments.work, length)
            with torch.no_grad():
                results[recipe] = JUDGES[recipe](session, photographs("val"), arguments.out)
            last = session.history()[-1]
            results[recipe] |= {
                "images": session.images,
                "seconds": last["seconds"],
                "threads": torch.get_num_threads(),
            }
            write_json(path, results)
        print(recipe, json.dumps(results[recipe]), flush=True)


if __name__ == "__main__":
    main()
