"""The command line: `evenodds --help`."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import App, Argument, CycloptsError

__all__ = ["main", "whole_app"]


@cache
def whole_app() -> App:
    """The app with the commands of every file of this room, which join it when they are imported."""
    from evenodds.cli.app import app

    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return app


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit status. Errors are one line on standard error, never a traceback.

    A closed or full standard error does not stop a command, nor does a reader of standard output that has gone.
    Set EVENODDS_DEBUG=1 to see the traceback of an error.
    """
    from evenodds.cli.launched import as_launched
    from evenodds.cli.signals import orderly_end
    from evenodds.cli.streams import lasting_streams

    with lasting_streams(), orderly_end(), as_launched(sys.argv[1:] if arguments is None else arguments) as wanted:
        try:
            return _status(arguments) if wanted else 0
        except ImportError as error:  # before there is a command line
            return _fail(_missing(error), 1)


def _status(arguments: list[str] | None) -> int:
    from cyclopts import CycloptsError

    from evenodds.cli.launched import loss_behind
    from evenodds.cli.signals import Ended
    from evenodds.errors import BadInput, Diverged, Lost
    from evenodds.files.process import is_follower
    from evenodds.files.terminal import terminal

    try:
        with terminal():
            status = whole_app()(arguments, exit_on_error=False, print_error=False)
            sys.stdout.flush()
    except CycloptsError as error:
        return _fail(f"{_misread(error)} See --help.", 2)
    except BadInput as error:
        return _fail(str(error), 2)
    except Diverged as error:
        return _fail(f"the run has diverged: {error}", 3)
    except Lost as error:
        return _fail(str(error), 1, not error.told)
    except Ended as signal:
        behind = loss_behind()
        return _fail(behind or str(signal), 128 + signal.number, None if behind else not is_follower())
    except KeyboardInterrupt:
        return _fail("interrupted", 130, not is_follower())  # all processes are
    except ImportError as error:
        return _fail(_missing(error), 1)
    except OSError as error:
        why = error.strerror or str(error)
        return _fail(f"{why}: {error.filename}" if error.filename else why, 1)
    except Exception as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
            return _fail("out of memory; use a smaller batch or network", 1)
        return _fail(f"{_place(error)}{type(error).__name__}: {error}; EVENODDS_DEBUG=1 shows where", 1)
    return status if isinstance(status, int) else 0


def _place(error: Exception) -> str:
    """Where an error that nobody expected comes from: a line of the user's own module, where there is one."""
    from evenodds.runs.allowed import line_of_own

    line = line_of_own(error)
    return f"{line}: " if line else "unexpected "


def _misread(error: CycloptsError) -> str:
    """Why a command line cannot be read, as a sentence."""
    from cyclopts import MissingArgumentError, UnknownCommandError, UnusedCliTokensError

    chain = error.command_chain or ()
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return _too_much(" ".join(("evenodds", *chain)), error.unused_tokens, _arguments(chain))
    if isinstance(error, MissingArgumentError) and error.argument is not None and error.argument.index is not None:
        places = [one.name.strip("-").upper() for one in _arguments(chain) if one.index is not None and one.required]
        missing = error.argument.name.strip("-").upper()
        return f"{missing} is missing: `{' '.join(('evenodds', *chain, *places))}`."
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        from evenodds.runs.find import canonical

        if recipe := canonical("recipes", error.unused_tokens[0]):
            return f"{recipe} is a recipe, not a command; a run of it is made by `evenodds train {recipe}`."
    return " ".join(str(error).split())


def _arguments(chain: Sequence[str]) -> Sequence[Argument]:
    """What a command takes."""
    return list(whole_app()[chain[0]].assemble_argument_collection()) if chain else []


def _too_much(command: str, words: Sequence[str], takes: Sequence[Argument]) -> str:
    """That words stand behind all that a command takes, and what to type where the first is a path of data."""
    from evenodds.files.misfit import shortened
    from evenodds.files.names import is_there
    from evenodds.files.text import quoted

    line = f"{' '.join(map(shortened, words[:3]))} stands behind all that `{command}` takes"
    if is_there(words[0]) and any("--data" in one.names for one in takes):
        return f"{line}; data are named so: --data {quoted(words[0])}."
    return f"{line}."


def _missing(error: ImportError) -> str:
    """What is said where a package is missing or broken that evenodds needs."""
    package = (error.name or "a package").partition(".")[0]
    remedy = (
        f"pip install {package}" if package in ("cyclopts", "rich", "torch") else "`evenodds doctor` names the remedy"
    )
    return f"{package}, which this needs, cannot be imported: {error}; {remedy}"


def _fail(message: str, status: int, speaks: bool | None = None) -> int:
    """Says why a command fails, once however many processes there are.

    Args:
        speaks: whether it is this process that says so; None: to be found out.
    """
    from evenodds.cli.launched import is_first_to_tell, named
    from evenodds.files.terminal import say

    if os.environ.get("EVENODDS_DEBUG"):
        raise
    line = " ".join(message.split())
    if speaks is None:
        speaks, line = is_first_to_tell(), named(line)
    if speaks:
        say(f"evenodds: error: {line}", urgent=True)
    return status
