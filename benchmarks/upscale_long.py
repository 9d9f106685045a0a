"""upscale-x4 for longer: its pixel stage by itself, and its adversarial stage from there.

The figures are those of benchmarks/upscale.py, on the 100 photographs of the validation part of BSDS500: of the
network by pixels (seed 300), of the final one (seed 301), and of half of each. Both stages are runs of their own, so
that another adversarial stage can start from the same pixels. One that is there is measured as it stands: an
interrupted one goes on by `evenodds resume`. results/upscale-long.json holds what is measured.

    python benchmarks/upscale_long.py --work DIR
"""

import argparse
import json
from copy import copy
from pathlib import Path

from common.stored import stored_results
from evenodds.files.write import write_json
from evenodds.game.listeners.milestone import EARLIER
from upscale import RESULTS, arms, measured, photographs
from upscale_stage import run

PIXEL = {
    "images": 110_000, "seed": 300, "precision": "bfloat16",
    "task.adversarial": 0, "task.adversarial_from": 0, "task.matching": 0,
}  # fmt: skip
ADVERSARIAL = {
    "images": 12_000, "seed": 301, "precision": "bfloat16", "task.adversarial_from": 0,
    "learning_rate": 0.00025, "discriminator_learning_rate": 0.00025, "decay.start": 0,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "upscale-long.json"
    results = stored_results(path)
    if "measured" not in results:
        pixel = run(arguments.work / "long", PIXEL)
        final = copy(run(arguments.work / "adversarial", ADVERSARIAL, pixel))
        final.players = {**final.players, EARLIER: pixel.players["generator"]}
        results["images"] = {"pixel": pixel.images, "adversarial": final.images}
        results["measured"] = measured(arms(final), photographs("val"), arguments.out / "upscale-long.jpg")
        write_json(path, results)
    for arm, figures in results["measured"].items():
        one = figures if isinstance(figures, float) else {k: v for k, v in figures.items() if k != "psnr_images"}
        print(arm, json.dumps(one))


if __name__ == "__main__":
    main()
