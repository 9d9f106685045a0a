"""Files in, files out: one image, or a folder or zip of them, converted one by one, whatever some of them are.

Several processes share the files of a folder: each writes its own, and process 0 looks up what is to be done.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from evenodds.apply.photo import read
from evenodds.data.folders.archives import is_archive
from evenodds.data.folders.files import ENDINGS, file_at, opened
from evenodds.data.pictures.opening import File, Unusable, checked_limit
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.pictures.png import is_whole_png
from evenodds.data.wording import count
from evenodds.errors import BadInput
from evenodds.files.names import name_key, real, safe_name, safe_path
from evenodds.files.outputs import Outputs, State, Written, require_writable
from evenodds.files.read import as_type
from evenodds.game import exchange, processes

__all__ = ["Convert", "Converted", "Job", "convert_all", "is_unreadable", "jobs", "many"]

Convert = Callable[[DecodedImage, Path, Callable[[int, int], None]], list[str]]
"""Writes what becomes of a picture; the file of that path last, as it says that the picture is done. Told (parts done,
parts in all) as it goes. Returns what is to be said of it: clauses about {}, such images."""

MOST_SAID = 10
"""Files that are skipped, each of which is said."""
_WHOLE = 1000  # Parts of a file that progress is counted in.
_READING = 100  # Of these, its decoding.


@dataclass(frozen=True)
class Job:
    """An image file and the PNG that it becomes."""

    file: File
    target: Path


@dataclass
class Converted:
    """What became of the files."""

    written: list[Path] = field(default_factory=list)
    there: list[Path] = field(default_factory=list)
    """What an earlier call had written, and this one left."""
    changed: int = 0
    """How many of these were changed since."""
    skipped: list[str] = field(default_factory=list)
    """What could not be converted: its name, and why."""
    notes: Counter[str] = field(default_factory=Counter)
    """Clauses about {}, images, and how many these are."""
    ignored: int = 0
    """Files that are no images, by their names, or hidden."""

    def summary(self, out: Path) -> list[str]:
        """Plain lines."""
        done = f"{count(len(self.written), 'image')} written to {out}"
        changed = f", {self.changed:,} of them changed since" if self.changed else ""
        there = f"{len(self.there):,} were there already{changed} (--again makes them anew)" if self.there else ""
        skipped = f"{len(self.skipped):,} skipped" if self.skipped else ""
        ignored = f"{count(self.ignored, 'other file')} left alone" if self.ignored else ""
        notes = [clause.format(count(n, "image")) for clause, n in self.notes.items()]
        return [*notes, "; ".join(part for part in (done, there, skipped, ignored) if part)]


def convert_all(
    source: Path,
    out: Path,
    convert: Convert,
    outputs: Outputs,
    *,
    again: bool = False,
    results: Path | None = None,
    most_pixels: int | None = None,
    beside: Callable[[Path], list[Path]] = lambda target: [],
    step: Callable[[str, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Converted:
    """Converts an image, or all images of a folder or archive; what cannot be read is skipped and the rest is done.

    Args:
        source: the image, folder (through and through) or archive (never extracted).
        out: a PNG file to write, for one image; or a folder, which gets `NAME.png` for each `NAME.jpg`, and the folders
            that the source has. Where images differ in their endings alone they become `NAME.jpg.png` and so on.
        convert: does the work on one picture; it writes by `outputs`.
        outputs: of the command.
        again: whether images of a folder are made anew that an earlier call has written; else these are left, so that
            what was interrupted goes on where it was, if `outputs.way` is as it was. One image that is named is always
            made, and so is what is empty or unreadable.
        results: a folder of results, within which no image is taken as an input; None: `out`.
        most_pixels: of an image; larger ones are skipped before they are decoded. None: 89,478,485.
        beside: all further files that are written with a target.
        step: told (what, done, in all), from the beginning of the first file on.
        say: told of each file that is skipped, when it is.

    Raises:
        BadInput: there is no such source, or no image in it, or an input or a file of the user's would be overwritten;
            nothing is written then.
    """
    converted, say = Converted(), _first(say)
    limit = checked_limit(most_pixels)
    with jobs(source, out, results, converted, limit) as todo:
        exchange.same_on_all(f"the images in {source}", str([job.file.name for job in todo]))
        there = exchange.agreed(lambda: _looked_up(source, todo, outputs, again or not many(source), beside))
        converted.there = [todo[int(k)].target for k in there]
        converted.changed = sum(there.values())
        mine = _worked(
            source.name, todo, [k for k in range(len(todo)) if str(k) not in there], convert, limit, step, say
        )
        for k, (why, notes) in exchange.collected(mine).items():
            if why is None:
                converted.written.append(todo[k].target)
                converted.notes.update(notes)
                continue
            converted.skipped.append(why)
            if say is not None and k not in mine:
                say(f"skipped {why}")
        _write_down(outputs)
    return converted


def _first(say: Callable[[str], None] | None) -> Callable[[str], None] | None:
    """Says the first lines, and once that more are left unsaid."""
    if say is None:
        return None
    said = itertools.count()

    def some(line: str) -> None:
        if (number := next(said)) < MOST_SAID:
            say(line)
        elif number == MOST_SAID:
            say("more are skipped; how many is said at the end")

    return some


def _looked_up(
    source: Path, todo: list[Job], outputs: Outputs, again: bool, beside: Callable[[Path], list[Path]]
) -> dict[str, bool]:
    """The numbers of the jobs whose results are left as they are, and whether these were changed since.

    Raises:
        BadInput: another result may not be written, or one that is there was made by another run or other flags.
    """
    states = [State.ABSENT if again else outputs.state(job.target) for job in todo]
    left = {str(k): state is State.CHANGED for k, state in enumerate(states) if state in (State.WRITTEN, State.CHANGED)}
    otherwise = [job.target for k, job in enumerate(todo) if str(k) in left and outputs.is_of_another_way(job.target)]
    if otherwise:
        more = f" (so it is with {len(otherwise) - 1:,} more)" if len(otherwise) > 1 else ""
        raise BadInput(
            f"{otherwise[0]} was made by other weights or with other flags{more}; name another folder for the results, "
            "or add --again, which makes all of them anew"
        )
    fresh = [job.target for k, job in enumerate(todo) if str(k) not in left]
    inputs = [source, *(source / job.file.name for job in todo)]
    outputs.require(dict.fromkeys(path for target in fresh for path in (target, *beside(target))), inputs)
    return left


Outcome = tuple[str | None, list[str]]
"""Why an image was skipped, or None; and what is to be said of it."""


def _worked(
    name: str,
    todo: list[Job],
    fresh: list[int],
    convert: Convert,
    most_pixels: int,
    step: Callable[[str, int, int], None] | None,
    say: Callable[[str], None] | None,
) -> dict[int, Outcome]:
    """Converts, of the jobs that are to be done, those of this process.

    Args:
        name: of the source.
        fresh: the numbers of the jobs that are to be done, by any process.
    """
    outcomes: dict[int, Outcome] = {}
    mine = fresh[processes.rank() :: processes.size()]
    turns = list(range(len(todo))) if processes.size() == 1 else mine  # what is there already is counted as done
    for turn, k in enumerate(turns):
        if k in mine:
            part = _part(step, name, turn, len(turns))
            part(0, _WHOLE)
            outcomes[k] = _converted(todo[k], convert, most_pixels, part)
            if outcomes[k][0] is not None and say is not None:
                say(f"skipped {outcomes[k][0]}")
        if step is not None:
            step(name, _WHOLE * (turn + 1), _WHOLE * len(turns))
    return outcomes


def _write_down(outputs: Outputs) -> None:
    """The record of process 0 gets what others have recorded: a network disk may lose lines that several append."""
    for number in range(1, processes.size()):
        lines = as_type(exchange.agreed(lambda: [asdict(one) for one in outputs.recorded], number), list[Written], "")
        if not processes.follows():
            outputs.write_down(lines)


def is_unreadable(path: Path) -> bool:
    """Whether a result is empty, or is a PNG that cannot be read to its end."""
    return path.stat().st_size == 0 or (path.suffix.lower() == ".png" and not is_whole_png(path))


@contextmanager
def jobs(
    source: Path,
    out: Path,
    results: Path | None = None,
    converted: Converted | None = None,
    most_pixels: int | None = None,
) -> Iterator[list[Job]]:
    """The images of a source, in the order of their names, and what they become; their files can be read meanwhile."""
    results = results or out
    _check(source, results)
    if not many(source):
        target = out if out.suffix.lower() == ".png" and not out.is_dir() else out / f"{safe_name(source.stem)}.png"
        if target.exists() and target.samefile(source):
            raise BadInput(f"{target} is the input itself; name another file or folder for the result")
        yield [Job(file_at(source), target)]
        return
    with opened(source, checked_limit(most_pixels)) as (files, others):
        inside = _prefix(source, results)
        files = [file for file in files if not inside or not file.name.startswith(inside)]
        if converted is not None:
            converted.ignored = len([file for file in others if not inside or not file.name.startswith(inside)])
        if not files:
            raise BadInput(f"{source} holds no images ({', '.join(ENDINGS)})")
        names = _names([file.name for file in files])
        yield [Job(file, out / name) for file, name in zip(files, names, strict=True)]


def _converted(job: Job, convert: Convert, most_pixels: int, part: Callable[[int, int], None]) -> Outcome:
    """Converts one; its name and the reason where that cannot be."""
    try:
        _require_inside(job.file.name)
        picture = read(job.file, most_pixels, lambda done, total: part(_READING * done // max(1, total), _WHOLE))
        if isinstance(picture, DecodedImage):
            return None, convert(picture, job.target, _after_reading(part))
        return picture, []
    except (Unusable, BadInput) as error:
        return f"{job.file.name} ({error})", []
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):  # as torch says it
            raise
        return f"{job.file.name} (out of memory; give smaller tiles)", []


def _require_inside(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Unusable("its name leads out of the folder")


def many(source: Path) -> bool:
    """Whether it is a folder or an archive."""
    return source.is_dir() or is_archive(source.name)


def _check(source: Path, out: Path) -> None:
    if not os.path.exists(source):
        raise BadInput(f"no file or folder '{source}' exists; give an image, a folder or an archive of images")
    several = many(source)
    if several and out.exists() and not out.is_dir():
        raise BadInput(f"the images of {source} need a folder to be written to, got the file {out}")
    if not several and out.suffix and out.suffix.lower() != ".png" and not out.is_dir():
        raise BadInput(f"results are PNG files, as these lose nothing, got '{out.name}'; name it {out.stem}.png")
    if source.is_dir() and out.exists() and out.samefile(source):
        raise BadInput(f"{out} holds the inputs themselves; name another folder for the results")
    require_writable(out if several else out.parent, "name another place for the results")


def _prefix(source: Path, out: Path) -> str:
    """How names begin of what earlier calls wrote to a folder inside the source; empty if it lies elsewhere."""
    if not source.is_dir() or not real(out).is_relative_to(real(source)):
        return ""
    return real(out).relative_to(real(source)).as_posix() + "/"


def _names(names: list[str]) -> list[str]:
    """A safe path NAME.png for each; with the old ending where several would be the same, then with a number.

    Names that differ in case or Unicode form alone are the same.
    """
    short = [safe_path(PurePosixPath(name).with_suffix("").as_posix()) + ".png" for name in names]
    uses = Counter(map(name_key, short))
    full = [f"{safe_path(name)}.png" for name in names]
    mixed = [one if uses[name_key(one)] == 1 else other for one, other in zip(short, full, strict=True)]
    used: set[str] = set()
    return [_unused(one, used) for one in mixed]


def _unused(name: str, used: set[str]) -> str:
    """The name, or the first of NAME-2.png, NAME-3.png, ... that is not taken; added to what is taken."""
    stem, number = name.removesuffix(".png"), 1
    while name_key(name) in used:
        number += 1
        name = f"{stem}-{number}.png"
    used.add(name_key(name))
    return name


def _after_reading(part: Callable[[int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: part(_READING + (_WHOLE - _READING) * done // max(1, total), _WHOLE)


def _part(step: Callable[[str, int, int], None] | None, what: str, k: int, files: int) -> Callable[[int, int], None]:
    def on_part(done: int, total: int) -> None:
        if step is not None:
            step(what, _WHOLE * k + _WHOLE * done // max(1, total), _WHOLE * files)

    return on_part
