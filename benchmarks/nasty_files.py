"""Every command that takes image files, tried on files as people have them: what each says, and what comes out.

Four short runs (upscale, colourise, denoise, segment) of photographs of BSDS500 and scenes of CamVid; then a folder of
16-bit, CMYK, palette, rotated, tiny, truncated and wrong files, and each of them alone; then a trial and synthetic
images of two classes with 24 digits and these files in each. The transcript, with the kinds of what was written, is
results/nasty_files.txt.

    python benchmarks/nasty_files.py --work DIR
"""

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.nasty import BROKEN, READABLE, mixed_folder  # noqa: E402

from evenodds.files.write import write_text  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
RUNS = {"upscale-x2": "upscale", "colourise": "translate", "denoise": "translate", "segment": "segment"}


def photographs(work: Path) -> dict[str, Path]:
    """Forty of BSDS500, and CamVid."""
    folder = work / "photos"
    if not folder.is_dir():
        with zipfile.ZipFile(SHARED / "bsds500-train.zip") as archive:
            archive.extractall(folder, sorted(name for name in archive.namelist() if name.startswith("train/"))[:40])
    return {"upscale": folder, "translate": folder, "segment": SHARED / "camvid-240x180.zip"}


def classes(root: Path) -> Path:
    """Two classes of digits among such files, and a class without any."""
    digits = load_digits()
    for label, name in enumerate(("zero", "one")):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, (content, *_) in {**READABLE, **BROKEN}.items():
            (folder / file).write_bytes(content)
        for k in np.flatnonzero(digits.target == label)[:24]:
            image = Image.fromarray((digits.images[k] * 15.9).astype(np.uint8))
            image.resize((28, 28)).save(folder / f"{k}.png")
    (root / "none").mkdir(exist_ok=True)
    return root


def said(work: Path, *words: object) -> str:
    """A command, all that it says, and its status; without the folder where all lies."""
    told = [str(word) for word in words]
    done = subprocess.run([sys.executable, "-m", "evenodds", *told], capture_output=True, text=True)
    lines = [f"$ evenodds {' '.join(told)}", *done.stdout.splitlines(), *done.stderr.splitlines()]
    return "\n".join([*lines, f"(status {done.returncode})", ""]).replace(f"{work}/", "")


def kinds(folder: Path) -> str:
    """Size and kind of each image below the folder."""
    lines = []
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as image:
            bits = 16 if "16" in str(image.tile[0][3]) else 8
            lines.append(f"{path.relative_to(folder)}: {image.size[0]} x {image.size[1]}, {image.mode}, {bits} bits")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    work: Path = parser.parse_args().work.resolve()
    folder, data = mixed_folder(work / "mixed"), photographs(work)
    parts = [said(work, "train", "upscale-x2", "--data", folder, "--images", 64, "--out", work / "none", "--quiet")]
    for recipe, command in RUNS.items():
        run = work / recipe
        if not (run / "README.txt").is_file():
            said(work, "train", recipe, "--data", data[command], "--images", 320, "--out", run, "--quiet")
        parts += [said(work, command, run, folder, work / "out" / recipe, "--again")]
        parts += [said(work, command, run, folder, work / "out" / recipe)]  # now all is there
        parts += [kinds(work / "out" / recipe)]
    for name in [*READABLE, *BROKEN]:
        path = next(folder.rglob(name))
        parts.append(said(work, "upscale", work / "upscale-x2", path, work / "single.png"))
    labelled, run = classes(work / "classes"), work / "by-class"
    short = ["--arms", "smote", "--seeds", 3, "--budget", "150s", "--out", work / "trial"]
    parts.append(said(work, "trial", "--data", labelled, *short))
    asked = ["--data", labelled, "--set", "task=condition", "--images", 640, "--out", run, "--quiet"]
    parts.append(said(work, "train", "gray-28", *asked))
    parts.append(said(work, "augment", run, "--per-class", 5, "--to", work / "synthetic"))
    write_text(ROOT / "benchmarks" / "results" / "nasty_files.txt", "\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()
