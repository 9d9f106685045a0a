"""The commands that look at what there is: list, show."""

from __future__ import annotations

from evenodds.cli.allow import loads
from evenodds.cli.app import Run, app
from evenodds.files.terminal import result, result_table
from evenodds.files.text import aligned

__all__ = ["list_", "show"]


@app.command(name="list")
def list_(kind: str = "kinds") -> None:
    """List what can be named: losses, networks, recipes, sources, features, metrics, settings, ...

    Parameters
    ----------
    kind
        What to list.
    """
    from evenodds.runs.find import KINDS
    from evenodds.runs.known import known

    if kind == "kinds":
        rows = [(plural, f"evenodds list {plural}") for plural in [*KINDS, "metrics", "settings"]]
    elif kind == "settings":
        from evenodds.runs.settings_table import documented

        rows = [(key, f"{note} [{default}]") for key, default, note in documented()]
    else:
        rows = known(kind)
    result_table(aligned(rows))


@app.command
@loads
def show(run: Run) -> None:
    """Show what a run is and how it stands."""
    from evenodds.runs.summary import summary

    for name, value in summary(run).items():
        result(f"{name:<14}  {value}")
