"""The game whose discriminator pays for fakes by a share that is controlled: BEGAN."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.game.dial import Dial

__all__ = ["BoundaryEquilibrium", "boundary"]


class BoundaryEquilibrium(nn.Module):
    """Energies L of reals less a share k of those of fakes: BEGAN, Berthelot et al. (2017), section 3.4.

    The energy is softplus(-logit), and is to be the error of an autoencoder, as in mlp with `code`: another
    discriminator would give low energy to all items. It minimises L(x) - k L(G(z)), and the generator L(G(z)). The
    share k is the object's state, a dial that begins at 0. A listener turns it after each round, by the difference of
    diversity * L(x) and L(G(z)), so that the energies of fakes are held at that share of the energies of reals:
    evenodds.runs.listeners.boundary.

    Args:
        diversity: the paper's gamma, in (0, 1]; lower values give truer and less varied samples.
        images: reals in which the share moves by the whole difference; 16,000 is the paper's rate 0.001 per batch of
            16.
    """

    def __init__(self, *, diversity: float = 0.5, images: int = 16_000) -> None:
        super().__init__()
        if not 0 < diversity <= 1 or images < 1:
            raise BadInput(f"loss boundary needs diversity in (0, 1] and images >= 1, got {diversity} and {images}")
        self.diversity, self.images, self.dial = diversity, images, Dial(0.0)

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """(real, fake) logits -> (discriminator, generator) cost, unreduced."""
        energy = F.softplus(-fake)
        return F.softplus(-real) - self.dial().to(energy.dtype) * energy, energy


boundary = BoundaryEquilibrium
"""The name under which configurations ask for it."""
