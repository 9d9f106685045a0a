"""What an exported file says of itself: enough to use it without the run, and to tell which run it is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from evenodds.export.entry import ADVICE, FORMAT, Entry, content_of
from evenodds.export.identity import changed_settings, identity, placeless
from evenodds.export.words import LICENCE
from evenodds.files.read import as_type
from evenodds.runs.card import DataCard
from evenodds.runs.layers import numbers_per_pixel
from evenodds.runs.origin import read_origins
from evenodds.runs.remembering import rows_kept
from evenodds.runs.session import Session
from evenodds.runs.way_back import way_back
from evenodds.version import __version__

__all__ = ["About", "about_run", "read_words", "run_id"]


@dataclass(frozen=True)
class About:
    """What an exported file says of itself.

    Args:
        answers: sample, fill, encode, features, upscale, translate, segment or classify.
        run: see `run_id`.
        images: real images that the players had seen.
        card: of the data, without places and items.
        config: settings of the run, without its data.
        half: whether the networks compute in float16.
        multiple: what heights and widths are multiples of, where they are free.
        margin: reach of the network in pixels; None where it depends on all of the image.
        numbers_per_pixel: of a network of images, see evenodds.runs.layers.
        settings: those that are not the recipe's, as they are shown; None in files from before.
        back: whether it is the way back of a run that learned both; its card is that of `evenodds.runs.way_back`.
        kept_rows: rows of the data in the file, which it looks up.
    """

    answers: str
    version: str
    run: str
    images: int
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]
    card: DataCard
    config: Mapping[str, Any]
    half: bool = False
    multiple: int = 1
    margin: int | None = None
    numbers_per_pixel: float = 0.0
    licence: str = LICENCE
    settings: Mapping[str, str] | None = None
    back: bool = False
    kept_rows: int = 0

    @property
    def uint8(self) -> bool:
        """Whether images are bytes."""
        images = (*self.inputs, *self.outputs)
        return any(one.dtype == "uint8" and one.name != "labels" for one in images)

    def words(self) -> dict[str, str]:
        """The metadata of a file: plain ones for readers in any language, and "evenodds" with all, in JSON."""
        card = self.card
        plain: dict[str, Any] = {
            "format": FORMAT,
            "answers": self.answers,
            "evenodds_version": self.version,
            "run": self.run,
            "data_fingerprint": card.fingerprint or "unknown",
            "recipe": str(self.config.get("recipe", "")),
            "images": self.images,
            "value_range": "the data's own units" if self.uint8 else [-1, 1],
            "units": card.units.line(),
            "licence": self.licence,
        }
        if self.back:
            plain["back"] = True
        if self.kept_rows:
            plain["rows_of_the_data_in_this_file"] = self.kept_rows
        if self.multiple > 1:
            plain["sides_are_multiples_of"] = self.multiple
        if card.classes:
            plain["classes"] = list(card.classes)
        if card.columns:
            plain["columns"] = list(card.columns)
        if card.conditions is not None:
            plain["conditions"] = card.conditions.to_json()
        if "labels" in card.beside and card.beside["labels"].palette is not None:
            plain["palette"] = card.beside["labels"].palette.to_json()
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        entries = {name: [asdict(one) for one in values[name]] for name in ("inputs", "outputs")}
        plain["evenodds"] = {**values, **entries, "card": card.to_json()}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in plain.items()}
        return {name: text.encode("utf-8", "backslashreplace").decode() for name, text in texts.items()}


def run_id(session: Session) -> str:
    """See `identity`."""
    weights = (
        (name, key, value.detach().cpu().contiguous().numpy().tobytes())
        for name, player in sorted(session.players.items())
        for key, value in sorted(player.state_dict().items())
    )
    return identity(session.config, session.card.fingerprint, weights)


def about_run(session: Session, licence: str | None, back: bool = False) -> dict[str, Any]:
    """What a file says of the run, as arguments of About.

    Args:
        back: whether the file is of its way back; its run is the same.
    """
    run = run_id(session)
    if back:
        session = way_back(session)
    generator = session.players.get("generator")
    conversion = session.task.conversion(session.card.shape)
    per_pixel = 0.0
    if generator is not None and conversion is not None:
        multiple = int(getattr(generator, "multiple", 1))
        per_pixel = numbers_per_pixel(generator, conversion.inputs, multiple, session.device)
    return {
        "version": __version__,
        "run": run,
        "images": session.images,
        "card": shared_card(session.card),
        "config": placeless(session.config),
        "margin": getattr(generator, "margin", None),
        "numbers_per_pixel": per_pixel,
        "settings": changed_settings(session.config),
        "back": back,
        "kept_rows": rows_kept(session.players.values()),
        "licence": licence or next((one.licence for one in read_origins(session.folder)[-1:]), LICENCE),
    }


def shared_card(card: DataCard) -> DataCard:
    """A data card without places, items and what was found in files; conditions keep their examples."""
    return replace(card, blocks=(), place=None, held_out=(), report=())


def read_words(words: Mapping[str, str], where: str) -> About:
    """What the metadata of a file say; BadInput where evenodds did not write them."""
    return as_type(content_of(words, where), About, where, ADVICE)
