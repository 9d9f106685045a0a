"""The command that opens the page: studio."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.app import Device, app
from evenodds.cli.ranges import whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say

__all__ = ["studio"]

Folders = Annotated[list[Path] | None, Parameter(name="--data", negative="", consume_multiple=True)]


@app.command
def studio(
    runs: Path = Path("runs"),
    *,
    data: Folders = None,
    port: Annotated[int, whole(0, 65_535)] = 0,
    host: str = "127.0.0.1",
    token: str | None = None,
    browser: bool = True,
    device: Device = "auto",
) -> int:
    """Open the studio: a page in which runs are watched, started, played with and put to work.

    It answers this machine alone, and whoever opens the address that is printed.

    Parameters
    ----------
    runs
        The folder of the runs.
    data
        Folders that data and pictures may lie in, below which the page may look [default: the current folder].
    port
        Of the address; 0 takes one that is free.
    host
        Of the address. One that other machines reach needs --token; what is sent is not encrypted.
    token
        In place of one that is made at each start; at least 16 characters.
    browser
        Open the page in the browser.
    """
    from evenodds.files.extras import Missing, needs

    try:
        with needs("studio"):
            from evenodds.server.listening import Door, serve
            from evenodds.studio.start import studio as application
    except Missing as error:
        raise BadInput(f"the studio cannot start: {error.reason}") from error
    door = Door.taken(host, port, token)
    folders = data or [Path.cwd()]
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"--data needs a folder, got {folder}; name one that is there")
    gate = application(door.access, runs, folders, device)
    say(f"the studio answers at {door.address} until Ctrl-C; runs that it started go on without it")
    result(door.key)
    if browser:
        from webbrowser import open_new_tab

        open_new_tab(door.key)
    with suppress(KeyboardInterrupt):
        serve(gate, door)
    say("the studio has ended")
    return 0
