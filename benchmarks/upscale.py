"""Super-resolution, four times in each direction: does the pixel stage beat bicubic, and what does an adversary add?

The recipe upscale-x4 learns from the 199 training photographs of BSDS500 and is judged on the 100 of the validation
part, reduced by bicubic interpolation with antialiasing. Beside each other: bicubic enlargement, the network before its
adversary came, the final one, and half of each. PSNR and SSIM on Y, without a border of 4 pixels; Frechet distance of
the random features of all patches of 32 x 32, beside that of two halves of the true patches; energy at the frequencies
of dots by that of the truth, see `grid_energy`. Then one photograph of 1,024 x 1,024 enlarged by the command: seconds
and peak memory of the process.

What results/upscale.json holds already is not done again, and a run that was interrupted goes on.

    python benchmarks/upscale.py --work DIR              # 30 minutes
    python benchmarks/upscale.py --work DIR --budget 5m --out try
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor

import evenodds
from common.stored import stored_results
from evenodds.apply.answering import answered
from evenodds.apply.making import mixed
from evenodds.files.write import write_json
from evenodds.game.arithmetic import luma
from evenodds.metrics.features.extract import extract
from evenodds.metrics.features.random import Random
from evenodds.metrics.frechet import frechet
from evenodds.metrics.psnr import psnr, video_luma
from evenodds.metrics.ssim import ssim
from evenodds.parts.degradations import Downscale
from evenodds.parts.mappers._parts import enlarged
from evenodds.runs.session import Session
from evenodds.show import pictures

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parents[2] / "shared/data/bsds500-train.zip"
SCALE, PATCH, WINDOW = 4, 32, 64
SHOWN = {"175032.jpg": (100, 150), "42049.jpg": (90, 200), "86000.jpg": (120, 120), "21077.jpg": (150, 120)}
"""Photographs of the validation part, and where the pieces of 128 x 128 that are shown begin."""


def photographs(part: str) -> dict[str, Tensor]:
    """(1, 3, H, W) in [-1, 1] by name, sides cut to multiples of the scale."""
    results = {}
    with zipfile.ZipFile(DATA) as archive:
        for name in sorted(name for name in archive.namelist() if name.startswith(f"{part}/")):
            pixels = np.asarray(Image.open(archive.open(name)).convert("RGB"))
            height, width = (side // SCALE * SCALE for side in pixels.shape[:2])
            x = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            results[Path(name).name] = x
    return results


def trained(recipe: str, work: Path, length: dict[str, Any]) -> Session:
    """A run of the training part alone."""
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(work, [name for name in archive.namelist() if name.startswith("train/")])
    run = work / recipe
    if (run / "config.yaml").exists():
        return evenodds.resume(run)
    return evenodds.fit(work / "train", recipe, out=run, **length)


def bicubic(small: Tensor) -> Tensor:
    """What an untrained network answers."""
    return enlarged(small, SCALE).clamp(-1, 1)


def arms(session: Session) -> dict[str, Any]:
    """Ways to enlarge (1, 3, h, w)."""

    def of(share: float) -> Any:
        generator = mixed(session, share)
        return lambda small: answered(session, small, generator)["x"]

    final = lambda small: answered(session, small)["x"]  # noqa: E731
    return {"bicubic": bicubic, "pixel": of(0.0), "half of each": of(0.5), "adversarial": final}


def patches(x: Tensor) -> Tensor:
    """(P, 3, 32, 32) of one image, without overlap."""
    rows = x[0].unfold(1, PATCH, PATCH).unfold(2, PATCH, PATCH)
    return rows.permute(1, 2, 0, 3, 4).flatten(0, 1)


def eight_bit(x: Tensor) -> Tensor:
    """As a file would hold it."""
    return ((x + 1) * 127.5).round() / 127.5 - 1


@torch.no_grad()
def measured(ways: dict[str, Any], truth: dict[str, Tensor], picture: Path) -> dict[str, Any]:
    """Figures of each way to enlarge, and the picture; see `arms`."""
    extractor, rng = Random((3, PATCH, PATCH)), torch.Generator().manual_seed(0)
    small = {name: eight_bit(Downscale(SCALE)(x, rng).clamp(-1, 1)) for name, x in truth.items()}
    real = torch.cat([extract(extractor, patches(x)) for x in truth.values()])
    order = torch.randperm(len(real), generator=rng)
    results: dict[str, Any] = {"frechet of two halves of the truth": float(frechet(*real[order].chunk(2)))}
    rows = {"truth": [_piece(truth[name], name) for name in SHOWN]}
    for arm, enlarge in ways.items():
        made = {name: eight_bit(enlarge(x)) for name, x in small.items()}
        ratios = torch.cat([psnr(made[name], x, border=SCALE) for name, x in truth.items()])
        inner = slice(SCALE, -SCALE)
        alike = torch.cat(
            [
                ssim(video_luma(made[name])[..., inner, inner], video_luma(x)[..., inner, inner])
                for name, x in truth.items()
            ]
        )
        fake = torch.cat([extract(extractor, patches(x)) for x in made.values()])
        results[arm] = {
            "psnr": float(ratios.mean()),
            "psnr_images": ratios.tolist(),
            "ssim": float(alike.mean()),
            "frechet": float(frechet(real, fake)),
            "energy": grid_energy(list(made.values()), list(truth.values())),
        }
        rows[arm] = [_piece(made[name], name) for name in SHOWN]
    columns = ["bicubic", "pixel", "half of each", "adversarial", "truth"]
    sheet = pictures.grid(np.concatenate([rows[arm] for arm in columns]), columns=len(SHOWN))
    pictures.write(picture, sheet)
    return results


def spectra(x: Tensor) -> Tensor:
    """(2, 64, 64): energy by frequency of the luma of one image, and of its two colours (BT.601) together.

    The mean over Hann windows of 64 x 64 that overlap by half.
    """
    y = luma(x)
    parts = torch.cat([y, (x[:, 2:] - y) / 1.772, (x[:, :1] - y) / 1.402], 1)[0]
    windows = parts.unfold(1, WINDOW, WINDOW // 2).unfold(2, WINDOW, WINDOW // 2).flatten(1, 2)
    hann = torch.hann_window(WINDOW)
    less_mean = windows - windows.mean((2, 3), keepdim=True)
    energy = torch.fft.fft2(less_mean * hann[:, None] * hann).abs().square().mean(1)
    return torch.stack([energy[0], energy[1:].sum(0)])


def grid_masks() -> tuple[Tensor, Tensor]:
    """Where the frequencies of dots lie in `spectra`, and where their neighbours do; (64, 64) bool each.

    Dots on the grid of an enlargement repeat every 4 or every 2 pixels: their frequencies are the multiples of 1/4
    cycle a pixel in both directions, but not (0, 0), each with the bins beside it, over which the window spreads a
    line. Their neighbours are 4 to 6 bins away, 1/16 to 3/32 cycle.
    """
    steps = torch.arange(WINDOW)
    away = (steps + WINDOW // 8) % (WINDOW // 4) - WINDOW // 8  # from the nearest multiple of 1/4 cycle
    apart = torch.maximum(away.abs()[:, None], away.abs())
    nearest = ((steps - away) % WINDOW)[:, None] + WINDOW * ((steps - away) % WINDOW)
    ours = nearest != 0  # not about (0, 0)
    return (apart <= 1) & ours, (apart >= 4) & (apart <= 6) & ours


def grid_energy(made: list[Tensor], truth: list[Tensor]) -> dict[str, float]:
    """Energy of images at the frequencies of dots, as a share of that of the truth; of luma, and of colours.

    Returns:
        "luma", "colour": made / truth at those frequencies. "luma_beside", "colour_beside": the same at their
        neighbours. Detail that is lacking lowers both alike; dots raise the first above the second.
    """
    of_made, of_truth = (torch.stack([spectra(x) for x in images]).mean(0) for images in (made, truth))
    shares = {}
    for suffix, mask in zip(("", "_beside"), grid_masks(), strict=True):
        for name, one, other in zip(("luma", "colour"), of_made, of_truth, strict=True):
            shares[name + suffix] = float(one[mask].sum() / other[mask].sum())
    return shares


def _piece(x: Tensor, name: str) -> np.ndarray:
    top, left = SHOWN[name]
    return np.asarray(((x[0, :, top : top + 128, left : left + 128] + 1) * 127.5).round().to(torch.uint8))


def megapixel(run: Path, work: Path) -> dict[str, Any]:
    """One photograph of 1,024 x 1,024 enlarged by the command."""
    x = next(iter(photographs("val").values()))
    large = torch.nn.functional.interpolate(x, (1024, 1024), mode="bicubic", antialias=True).clamp(-1, 1)
    pictures.write(work / "large.png", np.asarray(((large[0] + 1) * 127.5).round().to(torch.uint8)))
    begun = time.perf_counter()
    command = [sys.executable, "-m", "evenodds", "upscale", run, work / "large.png", work / "larger.png", "--again"]
    subprocess.run([str(word) for word in command], check=True)
    with Image.open(work / "larger.png") as made:
        size = made.size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"size": size, "seconds": time.perf_counter() - begun, "peak_mib": peak, "threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--images", type=int, help="in place of a budget: the same length whatever else runs")
    parser.add_argument("--set", nargs="*", default=[], help="settings beside the recipe's, as KEY=VALUE")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    length: dict[str, Any] = {"images": arguments.images} if arguments.images else {"budget": arguments.budget}
    given = (word.split("=", 1) for word in arguments.set)
    length |= {key.replace(".", "__"): yaml.safe_load(value) for key, value in given}
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "upscale.json"
    results = stored_results(path)
    if "run" not in results:
        session = trained("upscale-x4", arguments.work, length)
        last = session.history()[-1]
        results["run"] = {"images": session.images, "seconds": last["seconds"], "threads": torch.get_num_threads()}
        results["measured"] = measured(arms(session), photographs("val"), arguments.out / "upscale.jpg")
        write_json(path, results)
    if "megapixel" not in results:
        results["megapixel"] = megapixel(arguments.work / "upscale-x4", arguments.work)
        write_json(path, results)
    for arm, figures in results["measured"].items():
        one = figures if isinstance(figures, float) else {k: v for k, v in figures.items() if k != "psnr_images"}
        print(arm, json.dumps(one))
    print(json.dumps(results["run"]), json.dumps(results["megapixel"]))


if __name__ == "__main__":
    main()
