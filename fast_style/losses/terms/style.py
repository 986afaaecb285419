"""The style term matches the painting's Gram matrices."""

from __future__ import annotations

from torch import Tensor

from fast_style.losses.gram import gram_matrix
from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of Gram matrices (N, C, C), averaged over the batch, a float32 scalar.

    Reference:
        Johnson et al. 2016, equation 4. Gatys et al. 2016, equation 4, is a quarter of this.
    """
    return (gram.float() - target.float()).square().sum(dim=(-2, -1)).mean()


class Style(Term):
    """Distance of the picture's Gram matrices from the painting's, at the style layers.

    Differs from the paper:
        A balanced objective gives deeper layers more weight, see :class:`~fast_style.losses.Objective`; Gatys et al.
        and Johnson et al. weigh all alike.
    """

    name = "style"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        super().__init__(
            Weight(objective.strength * objective.style_weight),
            objective.shares("style"),
            layers=objective.style_layers,
            balanced=objective.weighting == "balanced",
        )
        # Gatys et al. 2016, equation 4, has a quarter of Johnson's distance.
        self.factor = 0.25 if objective.weighting == "gatys" else 1.0

    def take_painting(self, painting: Seen) -> None:
        """Take the painting's Gram matrices, (C, C) for each layer."""
        for layer in self.layers:
            self.register_buffer(f"gram_{layer}", gram_matrix(painting.features[layer])[0], persistent=False)

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        return style_loss(gram_matrix(seen.features[part]), self.get_buffer(f"gram_{part}")) * self.factor
