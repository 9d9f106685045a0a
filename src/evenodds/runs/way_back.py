"""The way back of a run that learned two: it makes images like its sources of images like those that it makes."""

from __future__ import annotations

from dataclasses import replace

from evenodds.errors import BadInput
from evenodds.runs.card import BesideCard, DataCard
from evenodds.runs.session import Session

__all__ = ["has_way_back", "way_back"]


def has_way_back(session: Session) -> bool:
    """Whether `way_back` has one: an exported file holds one way, whatever its run learned."""
    return session.file is None and session.task.way_back(session.card.shape) is not None


def way_back(session: Session) -> Session:
    """The run the other way round: what were its sources are what it makes, of images like those that it made.

    Whatever takes a run that makes images of images takes it: `apply.answering.answered`, `apply.making.maker_of`,
    `export.write.export`. The players are those of the run, under the names of what they do here.

    Raises:
        BadInput: the run has learned one way, or is an exported file, which holds one.

    Example:
        >>> import evenodds
        >>> from evenodds.runs.way_back import has_way_back
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> has_way_back(session)
        False
    """
    if session.file is not None:
        raise BadInput(f"{session.file} holds one way alone; take the run itself for the other one")
    back = session.task.way_back(session.card.shape)
    if back is None:
        raise BadInput(
            f"this run ({session.config.task.name}) has learned one way; leave --back out, or train both ways on two "
            "folders with the recipe cycle"
        )
    players = {name: session.players[here] for name, here in back.players.items() if here in session.players}
    return replace(session, card=_reversed(session.card), task=back.task, players=players)


def _reversed(card: DataCard) -> DataCard:
    """A data card whose items are the sources, and whose sources are the items."""
    source, items = card.beside["source"], BesideCard(card.shape, card.units)
    return replace(card, shape=source.shape, units=source.units or card.units, beside={**card.beside, "source": items})
