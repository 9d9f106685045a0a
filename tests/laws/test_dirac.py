"""The Dirac game of Mescheder et al. (2018): which combinations of loss and penalty circle round their equilibrium.

The data are all at 0, the generator puts all at theta, the discriminator is linear with slope psi. The eigenvalues of
the Jacobian of the gradient vector field at (0, 0) are +-i s without a penalty (section 2), with s the slope of the
costs at even odds, and -gamma/2 +- sqrt(gamma^2/4 - s^2) with R1 or R2 (section 4).
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenodds.parts.losses import adversarial, divergences, penalties
from evenodds.parts.losses.adversarial import Adversarial

# Slope of both costs in the fake logit at even odds, and the logit of even odds where it is not 0.
SLOPES: dict[str, float] = {
    "minimax": 1 / 2,
    "non_saturating": 1 / 2,
    "logistic": 1 / 2,
    "least_squares": 1 / 2,
    "wasserstein": 1,
    "hinge": 1,
    "relativistic_paired": 1 / 2,
    "relativistic_average": 1,
    "kl": 1,
    "reverse_kl": 1,
    "pearson": 1,
    "squared_hellinger": 1,
    "jensen_shannon": 1 / 2,
    "energy": 1 / 2,
    "dual_contrastive": 1,
}
EVEN: dict[str, float] = {"least_squares": 1 / 2, "kl": 1}
LOSSES: dict[str, Adversarial] = {
    name: getattr(module, name) for module in (adversarial, divergences) for name in module.__all__ if name.islower()
}

Penalty = Callable[[penalties.Score, Tensor, Tensor], Tensor]
UNIT = torch.ones(1, 1, dtype=torch.float64)
# With the noise fixed at 1 a difference of a linear score is its slope: exactly the penalty that it estimates.
ZERO_CENTRED: dict[str, tuple[Penalty, float]] = {
    "r1": (penalties.r1, 1),
    "r2": (penalties.r2, 1),
    "r1_r2": (penalties.r1_r2, 2),
    "finite_difference_r1": (lambda *args: penalties.finite_difference_r1(*args, normal=UNIT), 1),
    "finite_difference_r2": (lambda *args: penalties.finite_difference_r2(*args, normal=UNIT), 1),
    "finite_difference": (lambda *args: penalties.finite_difference(*args, normal=UNIT), 2),
}


def spectrum(name: str, penalty: Penalty | None = None, weight: float = 0.0) -> Tensor:
    """Eigenvalues at the equilibrium of the field (-d generator cost / d theta, -d discriminator cost / d psi)."""

    def field(place: Tensor) -> Tensor:
        theta, psi = place.unbind()

        def score(x: Tensor) -> Tensor:
            return psi * x[:, 0] + EVEN.get(name, 0.0)

        real, fake = torch.zeros(1, 1, dtype=torch.float64), theta.view(1, 1)
        discriminator, generator = LOSSES[name](score(real), score(fake))
        if penalty is not None:
            discriminator = discriminator + weight * penalty(score, real, fake)
        by_theta = torch.autograd.grad(generator.sum(), theta, create_graph=True)[0]
        by_psi = torch.autograd.grad(discriminator.sum(), psi, create_graph=True)[0]
        pull: Tensor = torch.stack([by_theta, by_psi])
        return -pull

    origin = torch.zeros(2, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(field, origin)  # type: ignore[no-untyped-call]
    assert field(origin.requires_grad_()).abs().max() == 0
    values: Tensor = torch.linalg.eigvals(jacobian)
    return values[values.imag.argsort()]


def test_every_loss_is_covered() -> None:
    assert set(SLOPES) == set(LOSSES)


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_without_penalty_the_players_circle(name: str) -> None:
    slope = SLOPES[name]
    torch.testing.assert_close(spectrum(name), torch.tensor([-1j * slope, 1j * slope], dtype=torch.complex128))


@pytest.mark.parametrize("weight", [0.1, 0.7])
@pytest.mark.parametrize("penalty", sorted(ZERO_CENTRED))
@pytest.mark.parametrize("name", sorted(SLOPES))
def test_zero_centred_penalties_make_them_converge(name: str, penalty: str, weight: float) -> None:
    rule, places = ZERO_CENTRED[penalty]
    gamma, slope = weight * places, SLOPES[name]
    values = spectrum(name, rule, weight)
    root = torch.tensor(gamma**2 / 4 - slope**2, dtype=torch.complex128).sqrt()
    # As sum and product: the two values may be real, or close to each other, and then have no safe order.
    torch.testing.assert_close(values.sum(), torch.tensor(-gamma, dtype=torch.complex128))
    torch.testing.assert_close(values.prod(), (-gamma / 2 + root) * (-gamma / 2 - root))
    assert (values.real < 0).all()


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_the_strongest_pull_is_at_twice_the_slope(name: str) -> None:
    """Convergence is fastest at gamma = 2 s, where the root vanishes; beyond it, one direction slows down again."""
    rates = {gamma: -spectrum(name, penalties.r1, gamma).real.max().item() for gamma in (0.5, 1.0, 2.0)}
    assert math.isclose(rates[0.5], 0.25, abs_tol=1e-6)
    assert math.isclose(rates[1.0], 0.5, abs_tol=1e-6)
    assert math.isclose(rates[2.0], 1 - math.sqrt(3 / 4), abs_tol=1e-6)
