"""The content term keeps the photo's features."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two activations of the same shape, a float32 scalar.

    Reference:
        Johnson et al. 2016, equation 2.
    """
    return F.mse_loss(features.float(), target.float())


def kept(features: Tensor, target: Tensor) -> Tensor:
    """How much of a photo a picture keeps: the cosine of their activations (N, C, H, W), each channel centered.

    The mean over the pictures is a float32 scalar: 1.0 for the photo itself, about 0.0 for another photo.
    """
    features, target = (
        (maps.float() - maps.float().mean(dim=(2, 3), keepdim=True)).flatten(1) for maps in (features, target)
    )
    return F.cosine_similarity(features, target).mean()


class Content(Term):
    """Distance of the picture's features from its photo's, at the content layers.

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
        self.gatys = objective.weighting == "gatys"

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        target = seen.targets[part]
        mean = content_loss(seen.features[part], target)
        # Gatys et al. 2016, equation 1: half a sum, not a mean.
        return mean * (0.5 * target.numel() / len(target)) if self.gatys else mean

    @torch.no_grad()
    def kept(self, features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        """The content layers' mean of :func:`kept` by their shares."""
        cosines = [share * kept(features[layer], targets[layer]) for layer, share in self.shares.items()]
        return torch.stack(cosines).sum()

    def unstyled(self, part: str, seen: Seen) -> Tensor:
        """Return the variance of a photo's features."""
        return seen.features[part].float().var(dim=(0, 2, 3), correction=0).mean()
