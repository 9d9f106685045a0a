"""A penalty on a share of the batch has the gradient of the penalty on the whole batch, in expectation."""

import pytest
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Costs
from evenodds.game.slices import portion
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.penalties import r1_r2
from evenodds.tasks.contest import Contest
from tests.games import small_players, small_task

N = 12


def gradient(costs: Costs, players: dict[str, torch.nn.Module]) -> Tensor:
    parameters = [*players["discriminator"].parameters()]
    slopes = torch.autograd.grad(costs.total(), parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten() for slope in slopes])


@pytest.mark.parametrize("simultaneous", [False, True])
def test_the_mean_over_all_shares_is_the_whole(simultaneous: bool) -> None:
    players = {name: player.double() for name, player in small_players().items()}
    terms = {"penalty": r1_r2, "weight": 5.0, "every": 2, "simultaneous": simultaneous}
    whole = small_task(**terms).moves()[0].cost
    shared = small_task(**terms, share=0.25).moves()[0].cost
    hand = {"x": torch.randn(N, 2).double(), "z": torch.randn(N, 3).double()}
    # Every item bears the penalty once.
    turns = [shared(players, {k: v.roll(3 * turn, 0) for k, v in hand.items()}) for turn in range(4)]
    mean = torch.stack([gradient(costs, players) for costs in turns]).mean(0)  # type: ignore[arg-type]
    exact = gradient(whole(players, hand), players)  # type: ignore[arg-type]
    torch.testing.assert_close(mean, exact, rtol=1e-9, atol=1e-12)
    facts = whole(players, hand).facts  # type: ignore[attr-defined]
    for name, value in turns[0].facts.items():  # type: ignore[attr-defined]
        torch.testing.assert_close(value, facts[name])
    plain = gradient(small_task().plain_cost(players, hand), players)
    assert (exact - plain).norm() > 0.1 * plain.norm()


def test_portions_hold_every_number_of_their_items() -> None:
    hand = {"x": torch.arange(4.0), "view": torch.arange(8.0).view(2, 4), "source/view": torch.arange(8.0).view(2, 4)}
    first = portion(hand, slice(0, 1))
    assert {name: value.tolist() for name, value in first.items()} == {
        "x": [0.0],
        "view": [[0.0], [4.0]],
        "source/view": [[0.0], [4.0]],
    }


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5])
def test_shares_lie_above_0_and_at_most_at_1(share: float) -> None:
    with pytest.raises(BadInput, match="share of the batch"):
        Contest(non_saturating, r1_r2, share=share)
