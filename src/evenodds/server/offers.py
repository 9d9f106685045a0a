"""What one run, or a file that it was exported to, answers: each kind of request as rows of passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evenodds.apply.classified import COMMAND as CLASSIFY
from evenodds.apply.classifying import probabilities
from evenodds.apply.converting import network_of
from evenodds.apply.encoder import existing_encoder, has_encoder
from evenodds.apply.imputer import table_filler
from evenodds.apply.inversion import estimated
from evenodds.apply.making import maker_of
from evenodds.apply.photo import Network
from evenodds.apply.selecting import drawn_in
from evenodds.errors import BadInput
from evenodds.export.model import Player
from evenodds.game.threads import allowed_threads, candidates, fastest, fixed_by_user, rates_by_threads
from evenodds.runs.imputing import TableFiller
from evenodds.runs.session import Session
from evenodds.runs.strategies import DRAWS
from evenodds.runs.way_back import has_way_back, way_back
from evenodds.server.passes import Kind, Rows

__all__ = ["Offers", "chosen_threads"]

WORDS = ("sample", "encode", CLASSIFY, "fill", "upscale", "translate", "segment")
"""All that a run may be asked for."""
MOST_ROWS = 64
"""Rows of a pass."""
NUMBERS = {"cpu": 2**14}
"""Of the images of a pass: a CPU gains nothing by more, and one who asks alone waits for the whole of a pass."""
ON_DEVICE = 2**20
"""The same of other devices."""
FILLED = 16
"""Rows of a table that are filled in a pass, where they are not wide."""


@dataclass(frozen=True)
class Offers:
    """What a run answers.

    Args:
        session: the run.
        names: of what it answers, among `WORDS`.
        rows: of a pass; None: by the size of the images.
        encoder: of the run, where it has one.
        network: of a run that makes images of images.
        back: the network of its way back, where it learned both.
    """

    session: Session
    names: tuple[str, ...]
    rows: int | None = None
    encoder: nn.Module | None = None
    network: Network | None = None
    back: Network | None = None

    @staticmethod
    def of(session: Session, rows: int | None = None) -> Offers:
        """Those of a run; BadInput where it answers nothing that is served."""
        task, answers = session.task, [name for name in WORDS if _has(session, name)]
        if not answers:
            raise BadInput(f"{session.folder} answers none of {', '.join(WORDS)}; serve a run, or another file of it")
        encoder = existing_encoder(session) if "encode" in answers else None
        network = None if task.conversion(session.card.shape) is None else network_of(maker_of(session))
        back = network_of(maker_of(way_back(session))) if has_way_back(session) else None
        return Offers(session, tuple(answers), rows, encoder, network, back)

    def require(self, name: str) -> None:
        """BadInput, which says what there is, where the run does not answer it."""
        if name not in self.names:
            more = ""
            if name == "encode" and self.session.draws:
                more = "; encode needs an encoder: run `evenodds encode` on the run once, and start the server again"
            raise BadInput(
                f"this server answers {' and '.join(self.names)}, and no {name}: its run is of the task "
                f"{self.session.config.task.name}{more}"
            )

    def sampling(self, truncation: float) -> Kind:
        """z (N, latent), and c (N, K) of conditional runs -> x (N, ...) in [-1, 1]."""
        session, left = drawn_in(self.session, truncation)

        def compute(rows: Rows) -> Rows:
            c = torch.from_numpy(rows["c"]) if "c" in rows else None
            return {"x": session.answer(torch.from_numpy(rows["z"]), c).numpy()}

        in_w = truncation if left != truncation else 1.0
        return Kind(("sample", in_w), compute, self.size(self.session.card.shape))

    def encoding(self) -> Kind:
        """x (N, ...) in [-1, 1] -> z (N, latent), and c (N, K) of conditional runs."""
        encoder = self.encoder
        assert encoder is not None

        def compute(rows: Rows) -> Rows:
            z, c = estimated(self.session, torch.from_numpy(rows["x"]), encoder)
            return {"z": z.cpu().numpy(), **({} if c is None else {"c": c.cpu().numpy()})}

        return Kind("encode", compute, self.size(self.session.card.shape))

    def classifying(self) -> Kind:
        """x (N, ...) in [-1, 1] -> probabilities (N, K) of the classes."""

        def compute(rows: Rows) -> Rows:
            return {"probabilities": probabilities(self.session, torch.from_numpy(rows["x"]))}

        return Kind(CLASSIFY, compute, self.size(self.session.card.shape))

    def filling(self) -> Kind:
        """x (N, C, H, W) in [-1, 1], mask (N, 1, H, W), z (N, latent) -> x (N, C, H, W)."""

        def compute(rows: Rows) -> Rows:
            answer = self.session.reply({name: torch.from_numpy(value) for name, value in rows.items()})
            return {"x": answer["x"].numpy()}

        return Kind("fill", compute, self.size(self.session.card.shape))

    def filling_rows(self, draws: int) -> Kind:
        """x and mask (N, E), z (N, K, latent), row (N,) -> x (N, K, E), and of words their probabilities (N, C)."""

        def compute(rows: Rows) -> Rows:
            answer = self.session.reply({name: torch.from_numpy(value) for name, value in rows.items()})
            return {name: answer[name].numpy() for name in ("x", "shares") if name in answer}

        shape = (draws, *self.session.card.shape)
        few = self.rows is None and math.prod(shape) <= NUMBERS["cpu"]  # a look-up gains by more than one image does
        return Kind(("fill", draws), compute, max(FILLED, self.size(shape)) if few else self.size(shape))

    def table_filler(self, ask: Callable[[Kind, Rows], Rows]) -> TableFiller:
        """What fills tables by a run that learned it, of which each row is a row of a pass.

        Args:
            ask: waits for what is made of rows.
        """

        def answer(request: Rows) -> Rows:
            return ask(self.filling_rows(request["z"].shape[1]), request)

        filler = table_filler(self.session)
        return replace(filler, imputer=replace(filler.imputer, ask=answer))

    def require_back(self) -> None:
        """BadInput where there is no way back, or where it is all there is."""
        if self.back is None:
            what = self.session.file or f"the run of this server ({self.session.config.task.name})"
            raise BadInput(f"{what} has one way alone, which is taken as it is; leave `back` out")

    def converter(self, ask: Callable[[Kind, Rows], Rows], back: bool = False) -> Network:
        """The network of a run that makes images of images, each of whose windows is a row of a pass.

        Args:
            ask: waits for what is made of rows.
            back: that of the way back.
        """
        network = self.back if back else self.network
        assert network is not None

        def apply(windows: NDArray[Any]) -> NDArray[Any]:
            size = self.size((network.tiling.scale**2 * windows.shape[1], *windows.shape[2:]))
            kind = Kind(("convert", back, *windows.shape[1:]), _through(network), size)
            return ask(kind, {"source": np.ascontiguousarray(windows)})["x"]

        return replace(network, apply=apply)

    def size(self, shape: Sequence[int]) -> int:
        """Rows of a pass, each of that shape: a power of two."""
        if self.rows is not None:
            return self.rows
        rows = NUMBERS.get(self.session.device.type, ON_DEVICE) // math.prod(shape)
        return 1 << max(1, min(MOST_ROWS, rows)).bit_length() - 1

    def trials(self) -> list[Callable[[], Any]]:
        """A pass with zeros in it of what the run answers first; of its way back too."""
        networks = [network for network in (self.network, self.back) if network is not None]
        return [self._conversion_of_zeros(network) for network in networks] or [self._answer_to_zeros()]

    def _conversion_of_zeros(self, network: Network) -> Callable[[], Any]:
        side = max(32, network.tiling.multiple)
        source = np.zeros((self.size((network.inputs, side, side)), network.inputs, side, side), np.float32)
        return lambda: _through(network)({"source": source})

    def _answer_to_zeros(self) -> Callable[[], Any]:
        session, name = self.session, self.names[0]
        if session.card.has_gaps:
            imputer = self.table_filler(lambda kind, rows: kind.compute(rows)).imputer
            nothing = np.full((self.filling_rows(DRAWS).size, len(session.card.columns)), np.nan)
            return lambda: imputer.mean(nothing)
        kinds = {
            "sample": lambda: self.sampling(1.0),
            "encode": self.encoding,
            CLASSIFY: self.classifying,
            "fill": self.filling,
        }
        kind = kinds[name]()
        shape, x = session.card.shape, np.zeros((kind.size, *session.card.shape), np.float32)
        z = np.zeros((kind.size, session.latent.size if session.draws else 1), np.float32)
        c = session.task.default_condition
        given = {} if c is None else {"c": c.expand(kind.size, -1).numpy()}
        rows: Mapping[str, Rows] = {
            "sample": {"z": z, **given},
            "encode": {"x": x},
            CLASSIFY: {"x": x},
            "fill": {"x": x, "mask": np.ones((kind.size, 1, *shape[1:]), np.float32), "z": z},
        }
        return lambda: kind.compute(rows[name])


def _has(session: Session, name: str) -> bool:
    """Whether a run answers it: of an exported file, whether it is what the file answers."""
    about = next((player.about for player in session.players.values() if isinstance(player, Player)), None)
    if about is not None:
        return about.answers == name
    if name == "encode":
        return session.draws and has_encoder(session)
    if name == "fill":
        return "mask" in session.task.request_names
    if name == "sample":
        return session.draws_of_z_alone
    if session.task.command != name:
        return False
    return name == CLASSIFY or session.task.conversion(session.card.shape) is not None


def _through(network: Network) -> Callable[[Rows], Rows]:
    def compute(rows: Rows) -> Rows:
        return {"x": network.apply(rows["source"])}

    return compute


def chosen_threads(offers: Offers, asked: int | None) -> int:
    """Threads of a pass: as asked for, as the user set them elsewhere, or the fastest of those that were tried."""
    if asked is not None:
        return allowed_threads(asked)
    most = torch.get_num_threads()
    if offers.session.device.type != "cpu" or most == 1 or fixed_by_user():
        return most
    play = offers.trials()[0]
    return fastest(rates_by_threads(lambda rounds: [play() for _ in range(rounds)], candidates(most)))
