"""A task of a family that the package does not know, one class in this file, is trained, sampled, evaluated, reported.

Neither Generate nor ImageToImage: the adversarial autoencoder of Makhzani et al. (2016). Its discriminator tells codes
from draws of the prior, so no player judges items.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

import evenodds
from evenodds.apply.features import features
from evenodds.apply.selecting import sample
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.report import report
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.parts.priors import Prior
from evenodds.runs.session import Session
from evenodds.tasks._defaults import TaskDefaults
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.contest import Contest
from tests.short import AT_THE_END


@dataclass(frozen=True, kw_only=True)
class AdversarialAutoencoder(TaskDefaults):
    """x -> code -> x, with codes that a discriminator cannot tell from draws of the prior."""

    reconstruction: float = 1.0
    contest: Contest
    prior: Prior  # neither first nor in the order of other tasks: settings are passed by name
    roles: ClassVar[tuple[str, ...]] = ("encoder", "generator", "discriminator")
    snapshot_items: ClassVar[int] = 5

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """Images alone."""
        if len(data.shape) != 3:
            raise BadInput(f"autoencoders of this test are for images, got items of shape {data.shape}; give images")
        return {}

    @property
    def sees_x_alone(self) -> bool:
        """The discriminator sees codes."""
        return False

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The encoder is a discriminator with one output for each coordinate of the code."""
        size = self.prior.size
        return {
            "encoder": NetworkSpec("Discriminator", (tuple(shape),), {"outputs": size}),
            "generator": NetworkSpec("Generator", (size, tuple(shape))),
            "discriminator": NetworkSpec("Discriminator", ((size,),)),
        }

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "z" and the contest's draws, for codes."""
        z = self.prior(len(real["x"]), rng)
        return {**real, "z": z, **self.contest.deal(z, rng)}

    def moves(self) -> Sequence[Move]:
        """Reconstruction, then the game of codes."""
        return [
            Move("autoencoder", ("encoder", "generator"), self.reconstruction_cost),
            *self.contest.discriminator_moves(self.penalised_cost, self.plain_cost),
            Move("encoder", ("encoder",), self.encoder_cost),
        ]

    def reconstruction_cost(self, players: Players, hand: Batch) -> Costs:
        """The mean squared error after encoding and decoding."""
        again = players["generator"](players["encoder"](hand["x"]))
        return Costs({"reconstruction": self.reconstruction * F.mse_loss(again, hand["x"])})

    def penalised_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, with the penalty."""
        return self._discriminator_cost(players, hand, penalised=True)

    def plain_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, without the penalty."""
        return self._discriminator_cost(players, hand, penalised=False)

    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        with torch.no_grad():
            code = players["encoder"](hand["x"])
        return self.contest.discriminator_costs(players["discriminator"], hand["z"], code, dict(hand), penalised)

    def encoder_cost(self, players: Players, hand: Batch) -> Costs:
        """The encoder plays the generator's part: its codes are the fakes."""
        code = players["encoder"](hand["x"])
        return self.contest.generator_costs(players["discriminator"], hand["z"], code, dict(hand))

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """One sample beside each real item."""
        return {"z": self.prior(len(real["x"]), rng)}

    @torch.no_grad()
    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "z", "x" or both; answers "x" and "reconstruction"."""
        answers = {"x": request["z"]} if "z" in request else {}
        codes = answers | ({"reconstruction": players["encoder"](request["x"])} if "x" in request else {})
        return {name: players["generator"](code) for name, code in codes.items()}

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The generator alone: no player judges items."""
        return {"generator": players["generator"]}

    def snapshot(self, real: Batch, answer: Callable[[Batch], Batch]) -> list[Tensor]:
        """Items above what comes back of them."""
        return [real["x"], answer({"x": real["x"]})["reconstruction"]]


TASK = f"{__name__}:AdversarialAutoencoder"
SMALL = {
    "device": "cpu",
    **AT_THE_END,
    "batch": 16,
    "prior__size": 6,
    "views": "",
    "view_chance": "always",
    "generator": "mlp",
    "generator__width": 16,
    "discriminator": "mlp",
    "discriminator__width": 16,
    "loss": "non_saturating",
    "average_half_life": 0,
    "decay": "constant",
    "task__reconstruction": 2.0,
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return evenodds.fit("digits", "digits", out=tmp_path_factory.mktemp("runs") / "run", task=TASK, images=320, **SMALL)


def test_it_trains_and_goes_on(session: Session, tmp_path: Path) -> None:
    assert session.task.roles == AdversarialAutoencoder.roles
    assert session.task.reconstruction == 2.0  # type: ignore[attr-defined]
    lines = session.history()
    terms = {"autoencoder/reconstruction", "discriminator/adversarial", "encoder/adversarial"}
    assert terms <= {name for line in lines for name in line}
    scores = [line["score"] for line in lines if "score" in line]
    assert scores
    assert np.isfinite(scores).all()
    evenodds.fit("digits", "digits", out=tmp_path / "parts", task=TASK, images=160, **SMALL)
    rest = evenodds.resume(tmp_path / "parts", settings={"images": 320}, allow=(__name__,))
    for name, player in session.players.items():
        for a, b in zip(player.parameters(), rest.players[name].parameters(), strict=True):
            assert torch.equal(a, b)


def test_it_samples(session: Session, tmp_path: Path) -> None:
    again = evenodds.load(session.folder, device="cpu", allow=(__name__,))
    assert np.array_equal(again.sample(9), session.sample(9))
    assert (again.task.command, again.draws, again.conditions.kind is not None) == ("sample", True, False)
    assert main(["sample", str(session.folder), "-n", "4", "--npz", str(tmp_path / "x.npz"), "--allow", __name__]) == 0
    with np.load(tmp_path / "x.npz") as arrays:
        assert len(arrays[arrays.files[0]]) == 4
    with Image.open(sorted((session.folder / "samples").iterdir())[-1]) as snapshot:
        assert snapshot.size[0] > 2 * snapshot.size[1]  # five columns of two rows


def test_what_it_cannot_do_is_said(session: Session) -> None:
    with pytest.raises(BadInput, match="no discriminator that judges items"):
        session.probability_real(session.sample(2))
    with pytest.raises(BadInput, match="not conditional"):
        session.conditions.to_model([1])
    with pytest.raises(BadInput, match="no discriminator to select"):
        sample(session, 3, select="rejection")
    with pytest.raises(BadInput, match="does not see x alone"):
        features(session, torch.zeros(2, 1, 8, 8))


def test_it_is_evaluated_and_reported(session: Session) -> None:
    evaluation = evaluate(session, metrics=["kernel", "equilibrium", "duality_gap"], features="pixels", n=60)
    kernel = evaluation.score("kernel")
    assert kernel is not None
    assert np.isfinite(kernel.value)
    assert evaluation["equilibrium"]["duality_gap"] is None
    assert any("no discriminator that judges items" in note for note in evaluation["equilibrium"]["notes"])
    page, content = report(session, metrics=["kernel", "equilibrium"], features="pixels", n=60)
    assert "no discriminator that judges items" in page.read_text(encoding="utf-8")
    assert json.loads(content.read_text())["subject"]["items"] == 60
