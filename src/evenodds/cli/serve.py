"""The command that answers for one run over HTTP: serve."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from evenodds.cli.allow import loads
from evenodds.cli.app import Checkpoint, Device, Words, app
from evenodds.cli.opening import RunOrModel, run_or_model
from evenodds.cli.ranges import real, whole
from evenodds.errors import BadInput
from evenodds.files.terminal import result, say

__all__ = ["serve"]

MIB = 2**20


@Parameter(name="*")
@dataclass(frozen=True)
class Limits:
    """How much is taken.

    Parameters
    ----------
    queue
        Requests that wait at most; those beyond are refused at once, with status 429.
    most_samples
        Of one request: samples, fillings, images or rows to encode or classify; rows to fill times their fillings.
    most_mib
        Of one request with an image or rows.
    most_megapixels
        Of an image, before and after.
    seconds
        From the whole of a request to its answer; then status 503.
    grace
        Seconds that requests have which were taken before Ctrl-C or SIGTERM.
    """

    queue: Annotated[int, whole(1, 100_000)] = 64
    most_samples: Annotated[int, whole(1, 10**6)] = 4096
    most_mib: Annotated[int, whole(1, 1024)] = 32
    most_megapixels: Annotated[float, real(0, 1000, above=True)] = 24.0
    seconds: Annotated[float, real(0, 3600, above=True)] = 60.0
    grace: Annotated[float, real(0, 3600)] = 30.0


DEFAULTS = Limits()


@app.command
@loads
def serve(
    run: RunOrModel,
    *,
    port: Annotated[int, whole(0, 65_535)] = 8000,
    host: str = "127.0.0.1",
    token: Annotated[str | None, Parameter(env_var="EVENODDS_TOKEN")] = None,
    called: Words = None,
    rows: Annotated[int | None, whole(1, 4096)] = None,
    threads: Annotated[int | None, whole(1, 4096)] = None,
    limits: Limits = DEFAULTS,
    checkpoint: Checkpoint = "last",
    device: Device = "auto",
) -> int:
    """Answer for one run over HTTP: samples, codes, classes, fillings, pictures made of pictures.

    It answers this machine alone, and whoever has the token. Requests that wait together are computed together.

    Parameters
    ----------
    port
        Of the address; 0 takes one that is free.
    host
        Of the address. One that other machines reach needs --token; what is sent is not encrypted.
    token
        In place of one that is made at each start; at least 16 characters. The variable EVENODDS_TOKEN shows it to no
        list of processes.
    called
        Further names that the header Host may say, as they are in addresses: models:8000, or models.example.org behind
        a proxy.
    rows
        Images, or rows of a table, that go through the network at once [default: by their size].
    threads
        Of the computation [default: the fastest number, which is tried for a second or two].
    """
    from evenodds.files.extras import Missing, needs

    try:
        with needs("serve"):
            from evenodds.server.bounds import Bounds
            from evenodds.server.listening import Door
            from evenodds.server.listening import serve as answer
            from evenodds.server.serving import CLOSED, serving
    except Missing as error:
        raise BadInput(f"the server cannot start: {error.reason}") from error
    bounds = Bounds(
        queue=limits.queue,
        samples=limits.most_samples,
        upload=limits.most_mib * MIB,
        pixels=round(limits.most_megapixels * 1e6),
        seconds=limits.seconds,
        grace=limits.grace,
    )
    session = run_or_model(run, checkpoint, device)
    door = Door.taken(host, port, token, called or (), CLOSED)
    application = serving(session, door.access, bounds, rows, threads)
    say(f"the run {run} answers at {door.address} until Ctrl-C; the page there says how to ask")
    result(f"{door.address} {door.access.token}" if token is None else door.address)
    with suppress(KeyboardInterrupt):
        answer(application, door, bounds.grace)
    say("the server has ended")
    return 0
