"""One pass for both players gives each the gradient of its own cost."""

import pytest
import torch

from evenodds.errors import BadInput
from evenodds.parts.losses import adversarial, divergences
from evenodds.parts.losses.penalties import r1
from evenodds.parts.networks.dcgan import Discriminator, Generator
from evenodds.tasks.contest import Contest
from tests.games import small_task

LOSSES = [
    adversarial.minimax,
    adversarial.non_saturating,
    adversarial.wasserstein,
    adversarial.relativistic_paired,
    divergences.jensen_shannon,
    divergences.kl,
]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_each_player_gets_its_own_gradient(loss: object, fused: bool) -> None:
    torch.manual_seed(0)
    g, d = Generator(4, (1, 8, 8), width=4).double(), Discriminator((1, 8, 8), width=4, norm="none").double()
    with torch.no_grad():
        for parameter in d.parameters():
            parameter.mul_(4)  # logits that differ, so that the ratio of slopes does
    real, z = torch.rand(6, 1, 8, 8).double(), torch.randn(6, 4).double()
    contest = Contest(loss, fused=fused)  # type: ignore[arg-type]
    contest.simultaneous_costs(d, real, g(z), {}).total().backward()
    ours = [p.grad.clone() for p in (*d.parameters(), *g.parameters()) if p.grad is not None]
    fake = g(z)
    of_d = torch.autograd.grad(loss(d(real), d(fake.detach()))[0].mean(), list(d.parameters()))  # type: ignore[operator]
    of_g = torch.autograd.grad(loss(d(real), d(fake))[1].mean(), list(g.parameters()))  # type: ignore[operator]
    assert max(float(grad.abs().max()) for grad in of_g) > 1e-4
    for mine, other in zip(ours, (*of_d, *of_g), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-7)


def test_what_cannot_be_simultaneous_is_refused() -> None:
    with pytest.raises(BadInput, match="1:1"):
        small_task(simultaneous=True, discriminator_steps=2).moves()
    with pytest.raises(BadInput, match="those without a penalty"):
        small_task(simultaneous=True, penalty=r1).moves()
    for loss in (adversarial.hinge, adversarial.least_squares):
        with pytest.raises(BadInput, match="slopes at every logit"):
            small_task(loss, simultaneous=True).moves()
