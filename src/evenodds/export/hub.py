"""Runs handed on by a model hub, or as a folder by any other way; and taken from there, checked file by file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evenodds.errors import BadInput, excerpt
from evenodds.export.manifest import (
    CARD,
    IGNORED,
    NAME,
    Manifest,
    copied,
    files_below,
    read_manifest,
    require_same,
)
from evenodds.export.shared import Handed, stage
from evenodds.files.extras import Missing, needs
from evenodds.files.misfit import shortened
from evenodds.files.names import safe_name
from evenodds.files.outputs import require_writable
from evenodds.files.regular import sha256_of
from evenodds.files.write import replaced_folder
from evenodds.runs.origin import Origin, write_origins
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["Pulled", "Pushed", "pull", "push", "push_to"]

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
"""owner/name on a hub."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pushed:
    """Where a run is now, and what of it.

    Args:
        digest: SHA-256 of the list of files, by which those who pull it can tell that it is this one.
    """

    place: str
    handed: Handed
    digest: str


@dataclass(frozen=True)
class Pulled:
    """A run that was taken from another place."""

    folder: Path
    manifest: Manifest
    origin: Origin


def push_to(session: Session, target: Path, licence: str, extra: Collection[str] = ()) -> Pushed:
    """Writes what is handed on of a run to a folder; see `stage`.

    Args:
        target: it must not be there, or be empty.
    """
    _require_free(target)
    with replaced_folder(target) as temporary:
        handed = stage(session, temporary, licence, extra, target.name)
        digest = sha256_of(temporary / NAME)
    return Pushed(str(target), handed, digest)


def _require_free(target: Path) -> None:
    """BadInput where something is at a path already."""
    require_writable(target.parent, "name another folder with --to")
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise BadInput(f"{target} is there already, and is left as it is; name another folder with --to")


# To a hub ------------------------------------------------------------------------------------------------------------


def push(
    session: Session,
    name: str,
    licence: str,
    extra: Collection[str] = (),
    *,
    private: bool = False,
    revision: str | None = None,
    say: Say = lambda line: None,
) -> Pushed:
    """Puts what is handed on of a run into a repository of a hub, as one commit; see `stage`.

    Args:
        name: owner/name; the repository is made where it is not there.
        private: whether only its owner sees it.
        revision: the branch, which is made where it is not there.

    Raises:
        BadInput: the repository holds files that evenodds did not put there, or the hub refuses.
    """
    _require_repository(name)
    api = _api("pushed")
    with TemporaryDirectory(prefix="evenodds-push-") as place:
        folder = Path(place)
        handed = stage(session, folder, licence, extra, name)
        digest = sha256_of(folder / NAME)
        with _told(name, "pushed"):
            there, parent = _prepared(api, name, private, revision)
            files, size = len(handed.manifest.files) + 1, handed.manifest.bytes / 2**20
            say(f"pushing {files:,} files, {size:,.1f} MiB, to {name}")
            before = _before(api, name, revision, there)
            operations = _operations(folder, handed.manifest, before, there, say)
            shown = f"{session.images:,} {session.card.noun}"
            message = f"evenodds {__version__}: run {handed.manifest.run} after {shown}"
            commit = api.create_commit(
                name, operations, commit_message=message, revision=revision, parent_commit=parent
            )
    return Pushed(f"{name}@{commit.oid[:12]}", handed, digest)


def _prepared(api: Any, name: str, private: bool, revision: str | None) -> tuple[set[str], str]:
    """Makes repository and branch where they are not there; the files that are, and the commit."""
    if not api.repo_exists(name):
        api.create_repo(name, private=private)
    elif private and not api.repo_info(name).private:
        raise BadInput(f"{name} is there and public, so that --private would not hold; give another name")
    if revision is not None:
        api.create_branch(name, branch=revision, exist_ok=True)
    info = api.repo_info(name, revision=revision)
    return {one.rfilename for one in info.siblings or ()} - set(IGNORED), info.sha


def _before(api: Any, name: str, revision: str | None, there: set[str]) -> dict[str, str]:
    """The files that an earlier push put there, by name, with their sums; BadInput where there are others."""
    earlier: dict[str, str] = {}
    if NAME in there:
        manifest = read_manifest(Path(api.hf_hub_download(name, NAME, revision=revision)), name)
        earlier = {NAME: "", **{file: entry.sha256 for file, entry in manifest.files.items()}}
        if CARD in there and sha256_of(api.hf_hub_download(name, CARD, revision=revision)) != earlier.get(CARD):
            earlier[CARD] = EDITED
    if foreign := sorted(there - set(earlier)):
        raise BadInput(
            f"{name} holds '{excerpt(foreign[0])}', which `evenodds push` did not put there; nothing was pushed: give "
            "another name, or take it out"
        )
    return earlier


EDITED = "edited"


def _operations(folder: Path, manifest: Manifest, before: dict[str, str], there: set[str], say: Say) -> list[Any]:
    """What a commit does: adds what is handed on, and takes away what an earlier push put there and this one does not.

    A page that was edited there stays.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [NAME, *manifest.files]
    if before.get(CARD) == EDITED:
        added.remove(CARD)
        say(f"{CARD} was edited there, and is left as it is; take it out there to get the new one")
    adds = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=str(folder / file)) for file in added]
    gone = sorted((set(before) & there) - {*added, CARD})
    return [*adds, *(CommitOperationDelete(path_in_repo=file) for file in gone)]


# From a hub, or a folder ---------------------------------------------------------------------------------------------


def pull(source: str, to: Path | None = None, *, digest: str | None = None, say: Say = lambda line: None) -> Pulled:
    """Takes a run from a hub or from a folder that `push` wrote. Every file is checked by its sum, before any is kept.

    Nothing in it is executed. What was pulled from a hub before is taken from the cache of its library where
    HF_HUB_OFFLINE is set.

    Args:
        source: a folder, or owner/name or owner/name@revision on a hub.
        to: the run folder to make; it must not be there, or be empty. `runs/NAME` where None.
        digest: what the SHA-256 of the list of files must be.

    Raises:
        BadInput: a file is missing, is not what was pushed, or is there beside those that were; it is named.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        target = Path("runs") / safe_name(path.resolve().name) if to is None else to
        _require_free(target)
        return _taken(path, path, str(path), target, ("a folder", None), digest, say)
    name, _, revision = source.partition("@")
    if source.startswith((".", "/", "~", "\\")) or not REPOSITORY.fullmatch(name):
        raise BadInput(f"no folder at {shortened(source)}, and no name on a hub; give owner/name, or a folder")
    target = Path("runs") / safe_name(name.partition("/")[2]) if to is None else to
    _require_free(target)
    with _told(source, "pulled"):
        folder = _fetched(name, revision or None, say)
    return _taken(folder, folder.parents[1], source, target, (name, folder.name), digest, say)


def _require_repository(name: str) -> None:
    if not REPOSITORY.fullmatch(name):
        raise BadInput(f"a run is pushed to owner/name, got {shortened(name)}; for a folder, write --to DIR")


def _fetched(name: str, revision: str | None, say: Say) -> Path:
    """The folder in the library's cache that holds a revision of a repository; only files of a run are fetched."""
    api = _api("pulled")
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        listed = api.hf_hub_download(name, NAME, revision=revision, local_files_only=True)
        wanted = [NAME, *read_manifest(Path(listed), name).files]
        return Path(api.snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=wanted))
    info = api.repo_info(name, revision=revision, files_metadata=True)
    sizes = {one.rfilename: one.size for one in info.siblings or ()}
    names = {file for file in sizes if file.partition("/")[0] not in IGNORED}
    if NAME not in names:
        raise BadInput(f"{name} holds no {NAME}, so it is no run that `evenodds push` put there")
    manifest = read_manifest(Path(api.hf_hub_download(name, NAME, revision=revision)), name)
    require_same(manifest, names, name)
    for file, entry in manifest.files.items():
        if file != CARD and sizes.get(file) not in (None, entry.bytes):
            raise BadInput(f"{name}: {file} is not what was pushed (its size differs); nothing was taken")
    say(f"pulling {len(manifest.files) + 1:,} files, {manifest.bytes / 2**20:,.1f} MiB, from {name}")
    wanted = [NAME, *manifest.files]
    return Path(api.snapshot_download(name, revision=revision, allow_patterns=wanted))


def _taken(
    source: Path, home: Path, where: str, target: Path, origin: tuple[str, str | None], digest: str | None, say: Say
) -> Pulled:
    """A run copied to its folder, whole or not at all."""
    manifest = read_manifest(source / NAME, where)
    found = sha256_of(source / NAME)
    if digest is not None and digest.lower() != found:
        raise BadInput(f"{where} is not the run that was meant: the sum of its list of files is {found}")
    require_same(manifest, set(files_below(source)), where)
    m = manifest
    this = Origin(*origin, m.run, m.images, m.data_fingerprint, m.licence, m.evenodds, found)
    with replaced_folder(target) as temporary:
        for line in copied(manifest, source, temporary, where, home):
            say(line)
        write_origins(temporary, [*manifest.past, this])
    return Pulled(target, manifest, this)


# The library ---------------------------------------------------------------------------------------------------------


def _api(done: str) -> Any:
    """The hub's library; its token, address and cache are those of its usual places."""
    try:
        with needs("hub"):
            from huggingface_hub import HfApi, utils
    except Missing as error:
        raise BadInput(f"nothing was {done}: {error.reason}") from error
    library: Any = utils
    library.logging.set_verbosity_error()  # its tries are not said one by one
    library.disable_progress_bars()
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="evenodds", library_version=__version__)


@contextmanager
def _told(name: str, done: str) -> Iterator[None]:
    """Within it, what the library fails with is said in one line."""
    from huggingface_hub import errors

    try:
        yield
    except BadInput:
        raise
    except errors.OfflineModeIsEnabled as error:
        raise BadInput(f"nothing was {done}: HF_HUB_OFFLINE is set; take it away to reach the hub") from error
    except errors.RevisionNotFoundError as error:
        raise BadInput(f"nothing was {done}: {name} has no such revision; give a branch, a tag or a commit") from error
    except errors.RepositoryNotFoundError as error:
        raise BadInput(
            f"nothing was {done}: no {name} that you may see; check the name, or log in with `hf auth login`"
        ) from error
    except (errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError) as error:
        raise BadInput(
            f"nothing was {done}: {name} cannot be reached, or is not whole in the cache; pull it once with a network, "
            "and HF_HUB_OFFLINE=1 takes that"
        ) from error
    except errors.HfHubHTTPError as error:
        raise BadInput(f"nothing was {done}: {_refusal(error)}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"nothing was {done}: {name}: {_first_line(error)}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise
        raise BadInput(
            f"nothing was {done}: the hub cannot be reached ({_first_line(error)}); try again later"
        ) from error


def _refusal(error: Any) -> str:
    """Why a hub refuses."""
    status = getattr(error.response, "status_code", None)
    if status in (401, 403):
        return "the hub does not let you; log in with `hf auth login`, with a token that may write"
    if status == 412:
        return "somebody else has pushed there at this moment; look at it, and push again"
    return f"the hub says {status}: {getattr(error, 'server_message', None) or _first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
