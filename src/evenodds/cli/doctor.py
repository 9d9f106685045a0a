"""The command that checks a run folder: doctor."""

from __future__ import annotations

from dataclasses import asdict

from evenodds.cli.allow import loads
from evenodds.cli.app import Json, Run, RunData, Switch, app
from evenodds.files.terminal import result_json, result_table, say
from evenodds.files.text import aligned

__all__ = ["doctor"]


@app.command
@loads
def doctor(run: Run, *, data: RunData = None, skip_data: Switch = False, json: Json = False) -> int:
    """Check a run folder from end to end: files, checkpoints, history, data, versions. Nothing in it is executed.

    Status 2 says that something is broken: a fault.

    Parameters
    ----------
    skip_data
        Do not read the data of the run; of a stranger's run, they may be any path of yours.
    """
    from evenodds.cli.bar import reading
    from evenodds.runs.doctor import examine, sound

    findings = examine(run, data, read_data=not skip_data, reading=reading)
    if json:
        result_json({"run": str(run), "sound": sound(findings), "findings": [asdict(one) for one in findings]})
    else:
        result_table(aligned([(one.level, one.place, one.what) for one in findings]))
        faults = sum(one.level == "fault" for one in findings)
        say("no fault was found" if not faults else f"{faults:,} fault{'s' if faults > 1 else ''} found")
    return 0 if sound(findings) else 2
