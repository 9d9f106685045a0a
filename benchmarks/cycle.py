"""Translation between two sets without pairs, where the truth is known: does `cycle` learn what no matching can do?

Of the 199 training photographs of BSDS500, every other one stays as it is (A), and the others are changed (B): greens
turn to orange and brown, blues grey, and light falls; see `autumn`. No photograph is in both. The recipe `cycle`
learns from the two sets. It is judged on the 100 photographs of the validation part, whose truth is that change.

Beside it: the photographs as they are; mean and deviation of each channel of the colour space of Ruderman et al.
matched over the whole set (Reinhard et al. 2001); and the whole covariance of red, green and blue matched (Pitie and
Kokaram 2007, the linear map that moves colours least). Both know the two training sets alone, as the network does.

PSNR over all channels, and the Frechet distance of random features of patches of 32 x 32, both ways; for the network
also the PSNR of each photograph after there and back, with the picture between rounded to 8 bits and not.

A search judges on photographs of A, which no run has seen changed, so that those of the final table choose nothing.
What the results hold already is not done again.

    python benchmarks/cycle.py --work DIR                                    # the recipe, seeds 0 and 1
    python benchmarks/cycle.py --work DIR search --ways source --seconds 60  # settings, by equal processor time
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import evenodds
from common.stored import stored_results
from evenodds.apply.answering import answered
from evenodds.files.write import write_json
from evenodds.metrics.features.extract import extract
from evenodds.metrics.features.random import Random
from evenodds.metrics.frechet import frechet
from evenodds.metrics.psnr import psnr
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session
from evenodds.show import pictures
from photographs import timed
from upscale import PATCH, RESULTS, eight_bit, patches, photographs

Photographs = dict[str, Tensor]
Map = Callable[[Tensor], Tensor]
BOTH = ("to autumn", "to summer")
SHOWN = ("253055.jpg", "241048.jpg", "291000.jpg", "126007.jpg")
"""Photographs of the validation part, all of one size."""

HUES = (0, 30, 70, 140, 200, 360)
TURNED = (0, 18, 32, 52, 200, 360)
"""Hues in degrees, and what becomes of them; linear between: grass (90) becomes 38, orange-brown."""
GREEN, BLUE = (50.0, 170.0), (185.0, 275.0)
"""First and last hue of leaves and of skies, which fade in within 20 degrees."""
LIGHT = (0.8, 1.2)
"""Light v, in [0, 1], becomes 0.8 v^1.2."""

OLD: dict[str, Any] = {
    "size": 64, "fit": "crop", "channels": 3, "task": {"name": "cycle", "cycle": 10.0}, "penalty": "r1",
    "penalty_weight": 0.1, "generator": {"name": "unet", "width": 32, "norm": "none"}, "learning_rate": 0.0005,
    "discriminator": {"name": "patch", "width": 32}, "loss": "least_squares", "precision": "float32", "batch": 8,
    "optimizer": {"name": "Adam", "betas": [0.5, 0.99]}, "decay": {"name": "cosine", "start": 0.5, "end": 0.02},
}  # fmt: skip
"""The recipe as it was."""
TILES: dict[str, Any] = {**OLD, "fit": "tiles"}
SMALL: dict[str, Any] = {
    **TILES,
    "generator": {"name": "unet", "width": 24, "norm": "none", "stem": 2, "depth": 2},
    "precision": "bfloat16",
}
SOURCE: dict[str, Any] = {**SMALL, "generator.skip": True}
NARROW: dict[str, Any] = {**SOURCE, "discriminator.width": 16, "batch": 4}
RATES: dict[str, Any] = {**NARROW, "learning_rate": 0.001, "discriminator_learning_rate": 0.002}
LOOSE: dict[str, Any] = {**RATES, "task.cycle": 3.0}
LOGITS: dict[str, Any] = {**LOOSE, "loss": "non_saturating", "penalty": "r1_r2"}
WAYS: dict[str, dict[str, Any]] = {
    "as it was": OLD,
    "tiles": TILES,
    "small": SMALL,
    "source": SOURCE,
    "narrow": NARROW,
    "rates": RATES,
    "loose": LOOSE,
    "logits": LOGITS,
    "logits, cycle 10": {**LOGITS, "task.cycle": 10.0},
    "logits, cycle 1": {**LOGITS, "task.cycle": 1.0},
    "logits, cycle 0.3": {**LOGITS, "task.cycle": 0.3},
    "logits, wider": {**LOGITS, "discriminator.width": 32},
    "logits, relative": {**LOGITS, "loss": "relativistic_paired"},
    "logits, cycle 1, lighter": {**LOGITS, "task.cycle": 1.0, "penalty_weight": 0.01},
    "logits, cycle 1, slower, lighter": {
        **LOGITS,
        "task.cycle": 1.0,
        "penalty_weight": 0.01,
        "learning_rate": 0.0005,
    },
    "logits, slower": {**LOGITS, "learning_rate": 0.0005},
    "logits, faster": {**LOGITS, "learning_rate": 0.002, "discriminator_learning_rate": 0.004},
}


def autumn(x: Tensor) -> Tensor:
    """The change, of x (N, 3, H, W) in [-1, 1], in 8 bits as a file holds it.

    In hue, saturation and light (HSV; Smith 1978): each pixel for itself, and none by a linear map of its colours.
    """
    rgb = (x + 1) / 2
    light, least = rgb.amax(1), rgb.amin(1)
    chroma = light - least
    red, green, blue = rgb.unbind(1)
    safe = chroma.clamp(min=1e-6)
    hue = torch.where(
        light == red,
        (green - blue) / safe % 6,
        torch.where(light == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    degrees = np.interp((60 * hue).numpy(), HUES, TURNED)
    saturation = chroma / light.clamp(min=1e-6)
    green, blue = (
        torch.minimum(60 * hue - first, last - 60 * hue).div(20).clamp(0, 1) * (2 * saturation).clamp(max=1)
        for first, last in (GREEN, BLUE)
    )
    saturation = (saturation * (1 + 0.4 * green) * (1 - 0.75 * blue)).clamp(max=1)
    darker = LIGHT[0] * light ** LIGHT[1]
    new_light = darker + 0.25 * green * darker + 0.7 * blue * light * (1 - darker)
    sixth = torch.from_numpy(degrees).float() / 60
    places = [(sixth + n) % 6 for n in (5, 3, 1)]
    channels = [new_light * (1 - saturation * torch.minimum(at, 4 - at).clamp(0, 1)) for at in places]
    return eight_bit(torch.stack(channels, 1).clamp(0, 1) * 2 - 1)


def two_sets(work: Path) -> Path:
    """A/ and B/, PNG files of the two halves of the training photographs."""
    place = work / "sets"
    for k, (name, x) in enumerate(photographs("train").items()):
        side, image = ("A", x) if k % 2 == 0 else ("B", autumn(x))
        file = place / side / f"{Path(name).stem}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            pictures.write(file, as_bytes(image[0]))
    return place


def as_bytes(x: Tensor) -> np.ndarray:
    """(3, H, W) of 8 bits."""
    return np.asarray(((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))


# --- maps of colours, which see no place ------------------------------------------------------------------------------

TO_CONES = torch.tensor([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
OPPONENT = torch.diag(torch.tensor([3.0, 6.0, 2.0]).rsqrt()) @ torch.tensor([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]])


def opponent(rgb: Tensor) -> Tensor:
    """(P, 3) in [0, 1] -> l alpha beta (Reinhard et al. 2001, eqs. 4 to 6), of colours of at least 1/255."""
    return (rgb.clamp(min=1 / 255) @ TO_CONES.T).log10() @ OPPONENT.T


def colours(images: Photographs) -> Tensor:
    """(P, 3) in [0, 1]: every 16th pixel of a set."""
    return torch.cat([(x[0].flatten(1).T[::16] + 1) / 2 for x in images.values()])


def by_pixel(change: Map) -> Map:
    """An image through a map of colours (P, 3) in [0, 1]."""

    def of(x: Tensor) -> Tensor:
        made = change((x[0].flatten(1).T + 1) / 2).T.reshape(x.shape)
        return eight_bit(made.clamp(0, 1) * 2 - 1)

    return of


def deviations(source: Photographs, target: Photographs) -> Map:
    """Mean and deviation of three channels (Reinhard et al. 2001, eqs. 10 and 11), over sets."""
    one, other = opponent(colours(source)), opponent(colours(target))
    gain = other.std(0) / one.std(0)
    back = torch.linalg.inv(OPPONENT).T, torch.linalg.inv(TO_CONES).T
    return by_pixel(lambda rgb: (10 ** (((opponent(rgb) - one.mean(0)) * gain + other.mean(0)) @ back[0])) @ back[1])


def covariance(source: Photographs, target: Photographs) -> Map:
    """Mean and covariance by the linear map that moves least (Pitie and Kokaram 2007, eq. 13)."""
    one, other = colours(source), colours(target)
    root = power(one.T.cov(), 0.5)
    inverse = power(one.T.cov(), -0.5)
    map_ = inverse @ power(root @ other.T.cov() @ root, 0.5) @ inverse
    return by_pixel(lambda rgb: (rgb - one.mean(0)) @ map_ + other.mean(0))


def power(a: Tensor, exponent: float) -> Tensor:
    """Of a symmetric positive matrix."""
    values, vectors = torch.linalg.eigh(a)
    return vectors @ torch.diag(values**exponent) @ vectors.T


# --- judged -----------------------------------------------------------------------------------------------------------


def baselines() -> dict[str, tuple[Map, Map]]:
    """Ways to autumn, and back to summer."""
    train = list(photographs("train").items())
    a, b = dict(train[::2]), {name: autumn(x) for name, x in train[1::2]}
    as_is: Map = lambda x: x  # noqa: E731
    return {
        "as it is": (as_is, as_is),
        "mean and deviation": (deviations(a, b), deviations(b, a)),
        "covariance": (covariance(a, b), covariance(b, a)),
    }


def network(session: Session) -> tuple[Map, Map]:
    """Both generators of a run."""
    backward = session.players["backward"]
    return (
        lambda x: eight_bit(answered(session, x)["x"]),
        lambda x: eight_bit(backward(x).clamp(-1, 1)),
    )


def sets(part: str = "val", step: int = 1) -> tuple[Photographs, Photographs]:
    """Photographs, and their truth: those of the validation part, or every so many-th."""
    summer = dict(list(photographs(part).items())[::step])
    return summer, {name: autumn(x) for name, x in summer.items()}


@torch.no_grad()
def judged(ways: tuple[Map, Map], summer: Photographs, fall: Photographs) -> dict[str, Any]:
    """Figures of both ways."""
    extractor = Random((3, PATCH, PATCH))
    seen = lambda images: torch.cat([extract(extractor, patches(x)) for x in images.values()])  # noqa: E731
    figures: dict[str, Any] = {}
    for name, way, source, truth in zip(BOTH, ways, (summer, fall), (fall, summer), strict=True):
        made = {key: way(x) for key, x in source.items()}
        ratios = torch.cat([psnr(made[key], x, colours=True).clamp(max=60) for key, x in truth.items()])
        figures[name] = {"psnr": float(ratios.mean()), "frechet": float(frechet(seen(truth), seen(made)))}
    return figures


@torch.no_grad()
def home(session: Session, summer: Photographs) -> dict[str, float]:
    """PSNR of the photographs after there and back, and with the picture between as a file holds it."""
    ratios: dict[str, list[Tensor]] = {"": [], " by a file": []}
    for x in summer.values():
        there = answered(session, x)["x"]
        for how, between in zip(ratios, (there, eight_bit(there)), strict=True):
            back = session.players["backward"](between).clamp(-1, 1)
            ratios[how].append(psnr(back, x, colours=True))
    return {f"there and back{how}": float(torch.cat(values).mean()) for how, values in ratios.items()}


def final(
    seed: int, arguments: argparse.Namespace, summer: Photographs, fall: Photographs, matched: Map
) -> dict[str, Any]:
    """All figures of a run, and for seed 0 the picture."""
    begun = time.process_time()
    session = played(seed, arguments.images, arguments.work)
    spent = time.process_time() - begun
    there, back = network(session)
    if seed == 0:
        sheet([matched, there, partial(through, there, back)], summer, fall, arguments.out / "cycle.jpg")
    length = {"images": session.images, "seconds": session.history()[-1]["seconds"], "processor_seconds": spent}
    return {**length, **judged((there, back), summer, fall), **home(session, summer)}


def through(there: Map, back: Map, x: Tensor) -> Tensor:
    """There and back."""
    return back(there(x))


@torch.no_grad()
def sheet(rows: list[Map], summer: Photographs, fall: Photographs, file: Path) -> None:
    """Photographs at a third of their size: as they are, through each way, and before the last one their truth."""
    made = [{name: way(summer[name]) for name in SHOWN} for way in [lambda x: x, *rows]]
    made.insert(-1, fall)
    pieces = [as_bytes(F.avg_pool2d(images[name], 3)[0]) for images in made for name in SHOWN]
    pictures.write(file, pictures.grid(np.stack(pieces), columns=len(SHOWN)))


def searched(way: str, seed: int, seconds: float, work: Path) -> dict[str, Any]:
    """One run of so many seconds of the processor, judged on every third photograph of A, whose truth it never saw."""
    fixed = {"data": str(two_sets(work)), "seed": seed, "device": "cpu", "threads": 1, "watch": "off"}
    rare = {"evaluate_share": 1, "save_share": 1}
    config, each = timed(with_settings(recipe("cycle"), {**WAYS[way], **fixed, **rare}), seconds)
    begun = time.process_time()
    session = start(config, out=work / f"{way.replace(' ', '-').replace(',', '')}-{seed}")
    spent = time.process_time() - begun
    summer, fall = sets("train", 6)
    there, back = network(session)
    row = {
        "images": session.images,
        "processor_seconds": round(spent, 1),
        "milliseconds_an_image": round(1e3 * each, 2),
    }
    return {**row, **judged((there, back), summer, fall)}


def played(seed: int, images: int, work: Path) -> Session:
    """A run of the recipe; as it stands where it is there."""
    folder = work / f"cycle-{seed}"
    if (folder / "config.yaml").exists():
        return evenodds.resume(folder)
    return evenodds.fit(two_sets(work), "cycle", out=folder, seed=seed, threads=1, device="cpu", images=images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="final", choices=("final", "search"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help="of a search")
    parser.add_argument("--seconds", type=float, default=60, help="of the processor, for each way of a search")
    parser.add_argument("--images", type=int, default=16_000, help="of each final run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for place in (arguments.work, arguments.out):
        place.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "cycle.json"
    results = stored_results(path)

    def store(name: str, figures: Callable[[], dict[str, Any]]) -> None:
        if name not in results:
            results[name] = figures()
            write_json(path, results)
        print(name, json.dumps(results[name]), flush=True)

    if arguments.what == "search":
        for seed in arguments.seeds or [100]:
            for way in arguments.ways:
                store(f"{way}, seed {seed}", partial(searched, way, seed, arguments.seconds, arguments.work))
        return
    summer, fall = sets()
    simple = baselines()
    for name, ways in simple.items():
        store(name, partial(judged, ways, summer, fall))
    for seed in arguments.seeds or [0, 1]:
        store(f"network, seed {seed}", partial(final, seed, arguments, summer, fall, simple["covariance"][0]))


if __name__ == "__main__":
    main()
