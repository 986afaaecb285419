"""The content term: the photo's features are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight
from fast_style.losses.views import Inside


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two activations of the same shape, a float32 scalar.

    Reference:
        Johnson et al. 2016, equation 2.
    """
    return F.mse_loss(features.float(), target.float())


def kept(features: Tensor, target: Tensor) -> Tensor:
    """How much of a photo is still seen: the cosine of two activations whose channels are centered.

    Args:
        features: Of the pictures, (N, C, H, W).
        target: Of their photos, alike.

    Returns:
        The mean of the pictures, a float32 scalar: 1.0 is the photo, about 0.0 another photo.
    """
    features, target = (
        (maps.float() - maps.float().mean(dim=(2, 3), keepdim=True)).flatten(1) for maps in (features, target)
    )
    return F.cosine_similarity(features, target).mean()


class Content(Term):
    """How far the picture's features are from those of its photo, at the content layers.

    An unstyled photo scores zero, so the unit is the variance of its features.
    """

    name = "content"
    against = "photo"

    def __init__(self, objective: Objective) -> None:
        super().__init__(
            Weight(objective.content_weight),
            objective.shares("content"),
            layers=objective.content_layers,
            balanced=objective.weighting == "balanced",
        )
        self.view = Inside(objective.content_reduction)
        self.gatys = objective.weighting == "gatys"

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        target = seen.targets[part]
        mean = content_loss(seen.features[part], target)
        # Gatys et al. 2016, equation 1: half a sum, not a mean.
        return mean * (0.5 * target.numel() / len(target)) if self.gatys else mean

    @torch.no_grad()
    def kept(self, features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """How much of the photo is still seen, over the content layers as the term weighs them, see :func:`kept`.

        Args:
            features: Of the pictures, labeled by view.
            targets: Of their photos, alike.
        """
        labels = {layer: self.view.label(layer) for layer in self.layers}
        shown = [self.shares[layer] * kept(features[label], targets[label]) for layer, label in labels.items()]
        return torch.stack(shown).sum()

    def unstyled(self, part: str, seen: Seen) -> Tensor:
        """Return the variance of a photo's features."""
        return seen.features[part].float().var(dim=(0, 2, 3), correction=0).mean()
