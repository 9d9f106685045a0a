"""Builds the source distribution and the wheel, checks both, and plays with what an installation of them gives.

    make dist                                   # build, check, install, play; the demonstration from the source
    make dist ARGUMENTS=--test                  # also `make test` from the source: run it on idle cores
    build/tools/bin/python tools/distribution.py --no-play    # build and check alone

It needs `build` and `twine`, which `make dist` installs into build/tools, and git, which says what belongs in.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST, WORK = ROOT / "dist", ROOT / "build"
PACKAGE = "evenodds"
LICENCE = "Apache-2.0 AND MIT"
"""Of evenodds and of what lies in the studio's folder of vendored files."""
NOT_SHIPPED = (".ci/", ".github/", ".gitignore", "tests/browser/vendor/")
"""Tracked files that the source distribution leaves out."""
MADE = ("PKG-INFO", "setup.cfg", "src/evenodds.egg-info/")
"""Files that building adds to it."""


def run(*words: str | Path, cwd: Path = ROOT) -> None:
    """Runs a command without the variables that lead Python elsewhere; ends this one where it fails."""
    print("+", *words, flush=True)
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    if status := subprocess.run([str(word) for word in words], cwd=cwd, env=environment).returncode:
        sys.exit(f"this failed with status {status}: {' '.join(map(str, words))}")


def require(holds: bool, what: str) -> None:
    """Ends with what is wrong, unless it holds."""
    if not holds:
        sys.exit(f"not fit for release: {what}")


def tracked() -> set[str]:
    """Files of the repository, as they stand on the disk."""
    if not (ROOT / ".git").exists():
        sys.exit(f"{ROOT} must be a checkout of the repository: git says which files belong in")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def built() -> tuple[Path, Path]:
    """The source distribution, and the wheel that is made of it."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST)
    source, wheel = sorted(DIST.glob("*.tar.gz")), sorted(DIST.glob("*.whl"))
    require(len(source) == len(wheel) == 1, f"one of each was expected, got {[*source, *wheel]}")
    run(sys.executable, "-m", "twine", "check", "--strict", *source, *wheel)
    return source[0], wheel[0]


def same(what: str, found: set[str], expected: set[str]) -> None:
    """Ends unless the names are those that are expected."""
    require(not expected - found, f"{what} lacks {sorted(expected - found)[:10]}")
    require(not found - expected, f"{what} has {sorted(found - expected)[:10]}, which nobody added to the repository")
    print(f"{what}: {len(found)} files, as expected")


def check_wheel(path: Path) -> None:
    """Ends unless the wheel holds the package, its data and its licences, and nothing else."""
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
        information = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(wheel.read(information))
    own = {name for name in names if not name.startswith(information.rpartition("/")[0])}
    same("the wheel", own, {name.removeprefix("src/") for name in tracked() if name.startswith(f"src/{PACKAGE}/")})
    for part in ("py.typed", "runs/recipes/digits.yaml", "studio/static/index.html"):
        require(f"{PACKAGE}/{part}" in own, f"the wheel lacks {part}")
    check_metadata(metadata, path.name.split("-")[1])
    licences = set(metadata.get_all("License-File", []))
    folder = information.replace("METADATA", "licenses/")
    same("its licences", {name.removeprefix(folder) for name in names if name.startswith(folder)}, licences)
    vendored = {name for name in tracked() if name.startswith(f"src/{PACKAGE}/") and "LICENSE" in name}
    require(licences == {"LICENSE", *vendored}, f"the metadata name the licences {sorted(licences)}")


def check_metadata(metadata: Message, version: str) -> None:
    """Ends unless version, licence and extras are those that the repository says."""
    said = (ROOT / "src" / PACKAGE / "version.py").read_text(encoding="utf-8")
    require(f'"{version}"' in said, f"the wheel is of version {version}, and version.py says otherwise")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    require(f"## {version}" in changes, f"CHANGELOG.md has no part for version {version}")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    require(f"version: {version}\n" in citation, f"CITATION.cff is not of version {version}")
    require(metadata["License-Expression"] == LICENCE, f"the licence is {metadata['License-Expression']}")
    require("all" in metadata.get_all("Provides-Extra", []), "there is no extra named all")


def check_source(path: Path) -> Path:
    """Ends unless the source distribution holds what is tracked and meant for it; the folder that it is unpacked to."""
    place = WORK / "source"
    shutil.rmtree(place, ignore_errors=True)
    with tarfile.open(path) as archive:
        archive.extractall(place, filter="data")
    folder = place / path.name.removesuffix(".tar.gz")
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    shipped = {name for name in tracked() if not name.startswith(NOT_SHIPPED)}
    same("the source distribution", {name for name in names if not name.startswith(MADE)}, shipped)
    return folder


def play_installed(wheel: Path) -> None:
    """Installs the wheel into an empty environment, and trains there as a user does."""
    place, folder = WORK / "installed", WORK / "played"
    for path in (place, folder):
        shutil.rmtree(path, ignore_errors=True)
    folder.mkdir(parents=True)
    run(sys.executable, "-m", "venv", place)
    python, evenodds = place / "bin" / "python", place / "bin" / PACKAGE
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", f"{wheel}[demo]")
    run(python, "-m", "pip", "check")
    run(evenodds, "--version", cwd=folder)
    run(evenodds, "doctor", cwd=folder)
    run(evenodds, "train", "digits", "--images", "6400", cwd=folder)
    run(evenodds, "sample", "runs/digits-1", "-n", "4", "--grid", "four.png", cwd=folder)
    require((folder / "four.png").is_file(), "the installed package drew no samples")


def play_source(folder: Path, test: bool) -> None:
    """The commands of the README, from the unpacked source distribution."""
    for target in ("demo", *(["test"] if test else [])):
        run("make", "--no-print-directory", target, cwd=folder)
    require((folder / "runs" / "digits-1" / "samples.png").is_file(), "`make demo` left no samples")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-play", action="store_true", help="build and check alone")
    parser.add_argument("--test", action="store_true", help="also run the test suite of the source distribution")
    arguments = parser.parse_args()
    tracked()
    source, wheel = built()
    check_wheel(wheel)
    folder = check_source(source)
    if not arguments.no_play:
        play_installed(wheel)
        play_source(folder, arguments.test)
    print(f"fit for release: {source.name}, {wheel.name}")


if __name__ == "__main__":
    main()
