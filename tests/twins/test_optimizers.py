"""Optimizers step as torch's own do, bit for bit, without its compiler; tensors of players are found as torch does."""

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from evenodds.game.members import buffers_of, parameters_of
from evenodds.game.optimizers import eager
from evenodds.runs.find import find, names


def trained(kind: type[torch.optim.Optimizer]) -> tuple[list[torch.Tensor], dict[str, object]]:
    """Parameters after three steps, of which the last is that of another optimizer with the first one's state."""
    net = nn.Linear(3, 2)
    nn.init.constant_(net.weight, 0.5)
    nn.init.constant_(net.bias, -0.1)
    rng = torch.Generator().manual_seed(0)
    optimizer = kind(net.parameters(), lr=0.1)  # type: ignore[call-arg]
    for number in range(3):
        if number == 2:
            state = optimizer.state_dict()
            optimizer = kind(net.parameters(), lr=0.1)  # type: ignore[call-arg]
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        net(torch.randn(4, 3, generator=rng)).square().mean().backward()
        optimizer.step()
    optimizer.zero_grad()
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    return list(net.parameters()), optimizer.state_dict()["state"]


@pytest.mark.parametrize("name", names("optimizers"))
def test_the_same_bits_and_the_same_state(name: str) -> None:
    kind = find("optimizers", name)
    if name == "Muon":
        pytest.skip("it takes matrices alone")
    plain, plain_state = trained(kind)
    mine, state = trained(eager(kind))
    assert all(torch.equal(a, b) for a, b in zip(plain, mine, strict=True))
    assert repr(state) == repr(plain_state)
    assert eager(kind) is eager(kind)
    assert issubclass(eager(kind), kind)


def test_tensors_of_players_are_those_of_torch_in_its_order() -> None:
    shared = nn.BatchNorm1d(3)
    tied = nn.Linear(3, 3, bias=False)
    player = nn.Sequential(nn.Linear(2, 3), shared, nn.ModuleList([tied, nn.Dropout()]), shared, nn.Linear(3, 3))
    player[4].weight = tied.weight
    assert [*map(id, parameters_of(player))] == [*map(id, player.parameters())]
    assert [*map(id, buffers_of(player))] == [*map(id, player.buffers())]
    assert len(parameters_of(player)) == 6


def test_hooks_and_schedules_see_the_step() -> None:
    seen: list[str] = []
    parameter = nn.Parameter(torch.ones(1))
    adam = eager(torch.optim.Adam)([parameter], lr=0.1)
    before = register_optimizer_step_pre_hook(lambda *_: seen.append("before all"))
    adam.register_step_post_hook(lambda *_: seen.append("after"))
    schedule = torch.optim.lr_scheduler.StepLR(adam, 1)
    parameter.grad = torch.ones(1)
    assert adam.step(lambda: seen.append("closure") or torch.zeros(())) == 0
    schedule.step()
    before.remove()
    assert seen == ["before all", "closure", "after"]
    assert adam.param_groups[0]["lr"] == pytest.approx(0.01)
    with torch.profiler.profile() as profiler:
        adam.step()
        adam.zero_grad()
    assert {"Optimizer.step#Adam.step", "Optimizer.zero_grad#Adam.zero_grad"} <= {
        e.key for e in profiler.key_averages()
    }
