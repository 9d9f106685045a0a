"""What the mean of eight positions brings: `upscale --ensemble` beside one pass, on photographs not learned from.

    python benchmarks/ensemble.py [--seconds 150] [--photographs 20]

Trains the pixel stage of `upscale-x4` on the 199 training photographs of BSDS500, for so much processor time of one
thread, and enlarges photographs of the validation part, reduced by bicubic interpolation with antialiasing. PSNR on Y
without a border of 4 pixels. Writes benchmarks/results/ensemble.json.
"""

import argparse
import json
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evenodds.apply.answering import answered
from evenodds.apply.ensemble import eightfold
from evenodds.metrics.psnr import psnr
from evenodds.parts.degradations import Downscale
from evenodds.parts.mappers._parts import enlarged
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "bsds500-train.zip"
RESULTS = Path(__file__).parent / "results" / "ensemble.json"
SCALE = 4


class Spent:
    """Ends a run after so many seconds of processor time."""

    def __init__(self, seconds: float) -> None:
        self.end_at = time.process_time() + seconds

    def begin(self, training: Any) -> None: ...

    def after_round(self, training: Any) -> None:
        training.stop = training.stop or time.process_time() > self.end_at

    def end(self, training: Any) -> None: ...


def trained(seconds: float, folder: Path) -> Session:
    """The pixel stage alone, without decay: its end is not known in advance."""
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("train/")])
    alone = {"task.adversarial": 0, "task.matching": 0, "decay": "constant", "device": "cpu", "threads": 1}
    config = with_settings(
        recipe("upscale-x4"), {"data": str(folder / "train"), "images": "1M", "save_share": 1, "watch": "off", **alone}
    )
    return start(config, out=folder / "run", listeners=[Spent(seconds)])


@torch.no_grad()
def measured(session: Session, count: int) -> dict[str, Any]:
    """PSNR of each photograph, by each way, and the processor time of each way."""
    results: dict[str, Any] = {}
    ways = {"bicubic": lambda x: enlarged(x, SCALE), "one pass": lambda x: answered(session, x)["x"]}
    of_arrays = eightfold(lambda x: ways["one pass"](torch.from_numpy(x)).numpy())
    ways["mean of eight"] = lambda x: torch.from_numpy(of_arrays(x.numpy()))
    with zipfile.ZipFile(DATA) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("val/"))[:: 100 // count][:count]
        truth = [np.asarray(Image.open(archive.open(name)).convert("RGB")) for name in names]
    for way, enlarge in ways.items():
        begun, ratios = time.process_time(), []
        for pixels in truth:
            height, width = (side // SCALE * SCALE for side in pixels.shape[:2])
            x = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
            small = Downscale(SCALE)(x, torch.Generator().manual_seed(0)).clamp(-1, 1)
            small = ((small + 1) * 127.5).round() / 127.5 - 1
            ratios.append(float(psnr(enlarge(small).clamp(-1, 1), x, border=SCALE)))
        spent = time.process_time() - begun
        results[way] = {
            "psnr": round(sum(ratios) / len(ratios), 3),
            "images": ratios,
            "processor_seconds": round(spent, 1),
        }
    gain = np.subtract(results["mean of eight"]["images"], results["one pass"]["images"])
    results["gain"] = {"mean": round(float(gain.mean()), 3), "least": round(float(gain.min()), 3)}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--photographs", type=int, default=20)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        session = trained(chosen.seconds, Path(place))
        results = {"images": session.images, **measured(session, chosen.photographs)}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({name: value for name, value in results.items()}))


if __name__ == "__main__":
    main()
