"""`evenodds serve` put together: one run, its endpoints, and the bounds within which they answer."""

from __future__ import annotations

from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np
import torch
from starlette.types import ASGIApp

from evenodds.apply.classified import COMMAND as CLASSIFY
from evenodds.export.run_card import card_of
from evenodds.runs.session import Session
from evenodds.server import api, reference
from evenodds.server.access import Access
from evenodds.server.application import application
from evenodds.server.asking import Service
from evenodds.server.bounds import Bounds, Line
from evenodds.server.gate import Limits
from evenodds.server.metering import Measured, Meter
from evenodds.server.offers import Offers, chosen_threads
from evenodds.server.passes import Passes

__all__ = ["CLOSED", "serving"]

CLOSED = ("/v1/", "/metrics")
"""Beginnings of the paths that need the token."""
OPEN = ("/", "/style.css", "/openapi.json", "/healthz", "/readyz")
"""The others."""


def serving(
    session: Session,
    access: Access,
    bounds: Bounds = Bounds(),  # noqa: B008, it is frozen
    rows: int | None = None,
    threads: int | None = None,
) -> ASGIApp:
    """The application of one run.

    Args:
        session: the run, or an exported file in its place.
        access: who may ask.
        bounds: how much.
        rows: of a pass; None: by the size of the images.
        threads: of a pass; None: the fastest number.

    Raises:
        BadInput: the run answers nothing that is served.
    """
    offers, line = Offers.of(session, rows), Line(bounds)
    meter, number = Meter(line), chosen_threads(offers, threads)
    for trial in offers.trials():  # what fails with every request fails now
        trial()
    passes = Passes(lambda: torch.set_num_threads(number), meter.of_pass)
    service = Service(offers, line, passes, meter, _about(offers, bounds, number))
    limits = Limits(
        body=2**20,
        upload=bounds.upload,
        pause=bounds.pause,
        whole=bounds.seconds,
        changes=UNBOUNDED,
        uploads=api.PATHS[1:],
    )
    gate = application(
        "evenodds serve",
        access,
        [api.router, reference.router],
        {"service": service},
        limits=limits,
        closing=service.end,
        described_at="/openapi.json",
        cookies=False,
    )
    return Measured(gate, meter, frozenset({*api.PATHS, *OPEN, "/v1/model", "/metrics"}))


UNBOUNDED = 1e9
"""Requests a second: those who wait are bounded, and not the pace."""


def _about(offers: Offers, bounds: Bounds, threads: int) -> dict[str, Any]:
    """What GET /v1/model says."""
    session, card = offers.session, offers.session.card
    conditions, examples = card.conditions, np.asarray(card.examples or [])
    by_class = session.conditions.by_class or CLASSIFY in offers.names
    asked_by: dict[str, Any] = {"classes": list(card.classes)} if by_class else {}
    if conditions is not None and session.conditions.kind in ("attributes", "values"):
        spans = zip(examples.min(0).tolist(), examples.max(0).tolist(), strict=True) if len(examples) else ()
        ranges = dict(zip(conditions.names, spans, strict=False))
        asked_by = {"given": {name: ranges.get(name) for name in conditions.names}}
    return {
        "answers": list(offers.names),
        **({"back": offers.back is not None} if "translate" in offers.names else {}),
        "kind": card.kind,
        "shape": list(card.shape),
        **asked_by,
        **({"columns": {column.name: column.kind for column in card.units.columns}} if card.has_gaps else {}),
        "card": card_of(session),
        "limits": asdict(bounds),
        "device": session.device.type,
        "threads": threads,
        "rows_of_a_pass": offers.size((prod(card.shape),)),
    }
