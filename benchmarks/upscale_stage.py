"""The adversarial stage of upscale-x4: what draws its dots, and what ends them?

Every way starts from the weights of ONE pixel stage (18,000 pieces of 96 x 96, seed 11) and plays the adversarial
stage alone, for equally many images (seed 21). A way with chroma=source starts from the same luma: the last layer of
the pixel stage, which is linear, is put into luma and two colours. Figures are those of benchmarks/upscale.py, on the
100 photographs of the validation part of BSDS500.

A run that is there is measured as it stands; results/upscale_stage.json holds what is measured.

    python benchmarks/upscale_stage.py --work DIR
    python benchmarks/upscale_stage.py --work DIR --ways full source
"""

import argparse
import json
import zipfile
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import evenodds
from common.stored import stored_results
from evenodds.apply.answering import answered
from evenodds.files.write import write_json
from evenodds.metrics.features.extract import extract
from evenodds.metrics.features.random import Random
from evenodds.metrics.frechet import frechet
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Downscale
from evenodds.parts.mappers.residual import Generator
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session
from upscale import DATA, PATCH, RESULTS, SCALE, eight_bit, grid_energy, patches, photographs

PIXEL = {
    "images": 18_000, "seed": 11, "task.adversarial": 0, "task.adversarial_from": 0, "task.matching": 0,
    "generator.chroma": "full", "task.comb": 0, "precision": "float32",
}  # fmt: skip
STAGE = {
    "seed": 21, "learning_rate": 0.00025, "discriminator_learning_rate": 0.00025, "decay.start": 0,
    "task.adversarial_from": 0, "task.adversarial": 0.005, "generator.chroma": "full", "task.comb": 0,
    "precision": "float32",
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "source": {"generator.chroma": "source"},
    "source, comb": {"generator.chroma": "source", "task.comb": 3.0},
    "source, perceptual": {"generator.chroma": "source", "task.comb": 3.0, "task.perceptual": 0.1},
}


def data(work: Path) -> Path:
    """The training photographs."""
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(work, [name for name in archive.namelist() if name.startswith("train/")])
    return work / "train"


def run(folder: Path, settings: dict[str, Any], source: Session | None = None) -> Session:
    """A run of that folder; as it stands where it is there."""
    if (folder / "config.yaml").exists():
        return evenodds.load(folder)
    named = {"data": str(data(folder.parent)), "threads": 1, **settings}
    return start(with_settings(recipe("upscale-x4"), named), out=folder, source=source)


def in_luma(session: Session) -> Session:
    """The pixel stage with chroma=source: the same luma, and colours as the mean over the pixels of a place."""

    def parted(values: Tensor) -> Tensor:
        red, green, blue = values.unflatten(0, (3, SCALE**2))
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        colours = [((one - luma) / factor).mean(0, keepdim=True) for one, factor in ((blue, 1.772), (red, 1.402))]
        return torch.cat([luma, *colours])

    generator = Generator(3, 3, scale=SCALE, chroma="source", width=32, blocks=8)
    state = session.players["generator"].state_dict()
    generator.load_state_dict(state | {name: parted(state[name]) for name in ("leave.weight", "leave.bias")})
    changed = copy(session)
    changed.players = {**session.players, "generator": generator}
    changed.config = with_settings(session.config, {"generator.chroma": "source"})
    return changed


@torch.no_grad()
def measured(session: Session, truth: dict[str, Tensor]) -> dict[str, Any]:
    """Figures of the final generator."""
    extractor, rng = Random((3, PATCH, PATCH)), torch.Generator().manual_seed(0)
    small = {name: eight_bit(Downscale(SCALE)(x, rng).clamp(-1, 1)) for name, x in truth.items()}
    made = {name: eight_bit(answered(session, x)["x"]) for name, x in small.items()}
    real, fake = (torch.cat([extract(extractor, patches(x)) for x in images.values()]) for images in (truth, made))
    ratios = torch.cat([psnr(made[name], x, border=SCALE) for name, x in truth.items()])
    return {
        "images": session.images,
        "psnr": float(ratios.mean()),
        "frechet": float(frechet(real, fake)),
        "energy": grid_energy(list(made.values()), list(truth.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    path, truth = arguments.out / "upscale_stage.json", photographs("val")
    results = stored_results(path)
    pixel = run(arguments.work / "pixel", PIXEL)
    sources = {"full": pixel, "source": in_luma(pixel)}
    for name in ["pixel", *arguments.ways]:
        if name not in results:
            settings = {**STAGE, **WAYS.get(name, {}), "images": arguments.images}
            folder = arguments.work / name.replace(", ", "-")
            session = pixel if name == "pixel" else run(folder, settings, sources[settings["generator.chroma"]])
            results[name] = measured(session, truth)
            write_json(path, results)
        print(name, json.dumps(results[name]), flush=True)


if __name__ == "__main__":
    main()
