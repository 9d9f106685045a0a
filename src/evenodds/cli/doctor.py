"""The command that checks an installation, or a run folder: doctor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Json, RunData, Switch, app
from evenodds.data.wording import count
from evenodds.errors import BadInput
from evenodds.files.finding import FAULT, Finding, sound
from evenodds.files.terminal import result, result_json, say

__all__ = ["doctor"]

LEVEL, PLACE = 5, 13
"""Characters of the columns with the level of a finding, and with the part of the installation."""


@app.command
@loads
def doctor(
    run: Annotated[Path | None, Parameter(help="The run folder [default: the installation is checked].")] = None,
    *,
    data: RunData = None,
    skip_data: Switch = False,
    json: Json = False,
) -> int:
    """Check what is installed and what this machine computes with; or a run folder from end to end.

    Without RUN: evenodds, Python, packages, extras and what each would bring, devices, threads, precision, memory,
    cache and disk, with a remedy for what is wrong. With RUN: its files, checkpoints, history, data, versions. Nothing
    in it is executed. Status 2 says that something is broken: a fault.

    Parameters
    ----------
    skip_data
        Do not read the data of the run; of a stranger's run, they may be any path of yours.
    """
    if run is None:
        if data is not None or skip_data:
            raise BadInput("--data and --skip-data are for a run; name its folder: evenodds doctor RUN --skip-data")
        return _told(_of_the_machine(), None, json, PLACE)
    if data is not None and skip_data:
        raise BadInput(
            "--data says where the data of the run lie, which --skip-data does not read; give one of the two"
        )
    from evenodds.cli.bar import reading
    from evenodds.runs.doctor import examine

    findings = examine(run, data, read_data=not skip_data, reading=reading)
    return _told(findings, run, json, max((len(one.place) for one in findings), default=0))


def _of_the_machine() -> Iterator[Finding]:
    from evenodds.runs.installation import examine_installation
    from evenodds.runs.machine import examine_machine

    yield from examine_installation()
    yield from examine_machine()


def _told(found: Iterable[Finding], run: Path | None, json: bool, width: int) -> int:
    """Prints findings as they come: the first ones need no torch, for which the others wait; the status.

    Args:
        width: of the column with their places.
    """
    findings = []
    for one in found:
        findings.append(one)
        if not json:
            result(f"{one.level:<{LEVEL}}  {one.place:<{width}}  {one.what}")
    if json:
        place = {} if run is None else {"run": str(run)}
        result_json({**place, "sound": sound(findings), "findings": [asdict(one) for one in findings]})
    else:
        faults = sum(one.level == FAULT for one in findings)
        say(f"{count(faults, 'fault')} found" if faults else "no fault was found")
    return 0 if sound(findings) else 2
