"""Players whose parameters are cut and spread over processes by torch's FSDP2 (`fully_shard`), on CPUs."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from evenodds.game import processes
from evenodds.parts.losses.penalties import finite_difference, r1
from evenodds.parts.networks import mlp
from tests import sliced

Penalty = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def slopes_apart() -> float:
    """The largest difference from one process of the slopes of a cost with finite differences."""
    return _apart(lambda net, real, fake, noise: finite_difference(net, real, fake, normal=noise))


def slopes_of_r1() -> str:
    """What becomes of a cost with R1, which is differentiated twice: the kind of the error, or nothing."""
    try:
        _apart(lambda net, real, fake, noise: r1(net, real, fake))
    except RuntimeError as error:
        return type(error).__name__
    return ""


def _apart(penalty: Penalty) -> float:
    plain = _discriminator()
    spread, mesh = deepcopy(plain), init_device_mesh("cpu", (processes.size(),))
    fully_shard(spread, mesh=mesh)
    rng = torch.Generator().manual_seed(1)
    values = torch.randn(3, 4 * processes.size(), 2, generator=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of views that it returns
        _cost(spread, values[:, processes.rank() :: processes.size()], penalty).backward()  # type: ignore[no-untyped-call]
    _cost(plain, values, penalty).backward()  # type: ignore[no-untyped-call]
    pairs = zip(spread.parameters(), plain.parameters(), strict=True)
    return max(float((one.grad.full_tensor() - other.grad).abs().max()) for one, other in pairs)  # type: ignore[union-attr,operator]


def _discriminator() -> nn.Module:
    torch.manual_seed(0)
    return mlp.Discriminator((2,), width=8)


def _cost(net: nn.Module, values: Tensor, penalty: Penalty) -> Tensor:
    real, fake, noise = values
    return F.softplus(net(fake) - net(real)).mean() + penalty(net, real, fake, noise).mean()


def game() -> float:
    """The largest difference of a game whose discriminator is spread from one whose is not.

    Raises:
        RuntimeError: it cannot be played.
    """
    case = sliced.CASES["extragradient"]
    settings = {**case.settings, "learner": "gradient", "penalty": "finite_difference", "channels_last": False}
    config = sliced.config_of(replace(case, settings=settings))
    plain, spread = (sliced.Run(config, sliced.data_of(case)) for _ in range(2))
    fully_shard(spread.game.players["discriminator"], mesh=init_device_mesh("cpu", (processes.size(),)))
    spread.learner = sliced.build_learner(config, spread.game.players)
    mine, theirs = (sliced.outcome(run, []) for run in (plain, spread))
    return sliced.furthest(mine, theirs)[0]
