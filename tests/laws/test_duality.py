"""The duality gap where it is known in closed form."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenodds.data.readers.arrays import from_array
from evenodds.evaluation.equilibrium import duality_gap
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from tests.laws.test_evaluation import jensen_shannon_of_normals


class Shifted(nn.Module):
    """z (N, latent) -> (N, 1): a standard normal, moved, in the units of the model."""

    def __init__(self, run: Run, shift: float) -> None:
        super().__init__()
        self.units, self.shift = run.dataset.units, nn.Parameter(torch.tensor(shift))

    def forward(self, z: Tensor) -> Tensor:
        return self.units.to_model(z[:, :1] + self.shift)


@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_against_even_odds_the_gap_is_twice_the_divergence(shift: float, tmp_path: object) -> None:
    """D = 1/2 everywhere: no G' changes V = -log 4, and the best D' reaches 2 JSD - log 4 (theorem 1)."""
    x = np.random.default_rng(0).normal(size=(4000, 1))
    config = with_settings(recipe("table"), {"batch": 256, "learning_rate": 0.002, "device": "cpu"})
    run = Run(config, from_array(x, types="plain"))
    session = run.session(tmp_path, 0)  # type: ignore[arg-type]
    last = session.players["discriminator"].logit
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    players = {"generator": Shifted(run, shift), "discriminator": session.players["discriminator"]}
    session.players = players
    real = run.dataset.batch(run.held_out_index)["x"]
    found = duality_gap(session, run.dataset.take(run.train_index), real, session.prior(4000, 1), images=30_000)
    assert found.best_generator == pytest.approx(-2 * np.log(2), abs=1e-5)
    assert found.gap == pytest.approx(2 * jensen_shannon_of_normals(shift), abs=0.06)
