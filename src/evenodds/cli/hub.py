"""The commands that hand a run on, and take one: push, pull."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Run, Switch, Words, app, listed_names
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say
from evenodds.files.text import quoted

__all__ = ["pull", "push"]


@app.command
@loads
def push(
    run: Run,
    name: str | None = None,
    *,
    to: Path | None = None,
    licence: Annotated[str | None, Parameter(name=["--licence", "--license"])] = None,
    private: Switch = False,
    revision: str | None = None,
    with_: Annotated[Words, Parameter(name="--with")] = None,
) -> None:
    """Hand a run on: to a model hub, or as a folder; with a page made of what is known, and the sums of all files.

    Data, their places and the names of their files stay here.

    Parameters
    ----------
    name
        OWNER/NAME on the hub; it is made where it is not there.
    to
        In place of a name, the folder to make, for any other way. It must not be there, or be empty.
    licence
        Of the run, such as apache-2.0 or cc-by-4.0; other, where it is none of those that hubs know.
    private
        Only you see it.
    revision
        The branch, which is made where it is not there [default: main].
    with_
        What else is handed on: pictures, in which items of the data are seen; values, of up to 1,000 items, by which
        samples are asked for; rows of the data, which a run that fills tables looks up and cannot do without.
    """
    from evenodds.export import hub
    from evenodds.export.shared import require_licence
    from evenodds.runs.session import load

    if (name is None) == (to is None):
        under = "" if licence is not None else ", and under which --licence, such as cc-by-4.0"
        raise BadInput(f"say where the run goes: OWNER/NAME on the hub, or --to DIR{under}")
    if to is not None and (private or revision is not None):
        raise BadInput("--private and --revision are for a hub; leave them out with --to")
    licence, extra = require_licence(licence), listed_names(with_) or []
    session = load(run, device="cpu")
    if to is not None:
        pushed, source = hub.push_to(session, to, licence, extra), quoted(to)
    else:
        pushed = hub.push(session, name or "", licence, extra, private=private, revision=revision, say=say)
        source = f"{name}@{revision}" if revision else str(name)
    for line in pushed.handed.left_out:
        say(line)
    say(f"take it with:  evenodds pull {source}")
    say(f"to be sure that it is this one:  --sum {pushed.digest}")
    result(pushed.place)


@app.command
def pull(
    source: str,
    *,
    to: Path | None = None,
    sum_: Annotated[str | None, Parameter(name="--sum")] = None,
) -> None:
    """Take a run that was handed on. Every file is checked by its sum, and nothing in it is executed.

    Parameters
    ----------
    source
        OWNER/NAME or OWNER/NAME@REVISION on the hub, or a folder that `evenodds push --to` wrote.
    to
        The run folder to make; it must not be there, or be empty [default: runs/NAME].
    sum_
        What `evenodds push` printed: another run than this one is refused.
    """
    from evenodds.export import hub
    from evenodds.runs.folder_facts import noun_of

    pulled = hub.pull(source, to, digest=sum_, say=say)
    named = quoted(pulled.folder)
    after = f"{pulled.manifest.images:,} {noun_of(pulled.folder)}"
    say(f"run {pulled.manifest.run} after {after}, licence {pulled.manifest.licence}")
    say(f"{len(pulled.manifest.files):,} files, each as it was pushed; what is known of the run: {named}/README.md")
    say(f"look first:    evenodds doctor {named} --skip-data")
    say(f"go on with it: evenodds resume {named}, with --data PLACE where you have its data")
    result(pulled.folder)
