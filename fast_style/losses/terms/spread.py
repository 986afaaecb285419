"""The spread term matches channel statistics, the means and standard deviations of features, as AdaIN does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight, mix

# Added to variances: the square root of a channel that never responds would have no gradient.
_SMALLEST_VARIANCE = 1e-4


def mean_and_deviation(features: Tensor) -> Tensor:
    """Return each channel's mean and standard deviation: (N, C, H, W) to (N, 2, C), float32, means first."""
    variance, mean = torch.var_mean(features.float(), (2, 3), correction=0)
    return torch.stack([mean, (variance + _SMALLEST_VARIANCE).sqrt()], dim=1)


class Spread(Term):
    """Squared distance of the channels' means and standard deviations from the painting's.

    A Gram matrix holds squares, so its strongest directions outweigh the others and a rare color hardly counts.
    Standard deviations are not squared.

    Reference:
        Huang and Belongie 2017 (AdaIN), equation 12; Li, Wang, Liu and Hou 2017 ("Demystifying neural style
        transfer"), section 4.2. It is the squared Wasserstein-2 distance of Gaussians without covariances.
    """

    name = "spread"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        layers = objective.spread_layers or objective.style_layers
        super().__init__(
            Weight(objective.strength * objective.spread_weight),
            dict.fromkeys(layers, 1 / len(layers)) if objective.spread_layers else objective.shares("style"),
            layers=layers,
            balanced=objective.weighting == "balanced",
        )

    def take_paintings(self, paintings: Sequence[Seen], shares: Sequence[float]) -> None:
        """Take the weighted mean of the paintings' statistics."""
        for layer in self.layers:
            statistics = [mean_and_deviation(painting.features[layer])[0] for painting in paintings]
            self.register_buffer(f"target_{layer}", mix(statistics, shares), persistent=False)

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        difference = mean_and_deviation(seen.features[part]) - self.get_buffer(f"target_{part}")
        return difference.square().sum((1, 2)).mean()
