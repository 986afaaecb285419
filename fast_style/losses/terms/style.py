"""The style term matches the painting's Gram matrices."""

from typing import Any

import torch
from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight


def gram_matrix(features: Tensor) -> Tensor:
    """Correlate the channels of each image over its positions, in float32 whatever the autocast.

    (N, C, H, W) to (N, C, C), symmetric: F Fᵀ / (C·H·W) with F the features as C rows of H·W values.

    Reference:
        Gatys, Ecker and Bethge 2016, equation 3; normalized as in Johnson, Alahi and Fei-Fei 2016, equation 3.
    """
    with torch.autocast(features.device.type, enabled=False):
        gram: Tensor = _Gram.apply(features)
        return gram


class _Gram(torch.autograd.Function):
    """The Gram matrix with a cheaper gradient: one product in the features' dtype, where autograd makes two."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        rows = features.float().flatten(2)
        return rows @ rows.mT / features[0].numel()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        # bfloat16 has float32's range; float16 would lose small gradients.
        dtype = torch.bfloat16 if features.dtype == torch.bfloat16 else torch.float32
        both = ((grad + grad.mT) / features[0].numel()).to(dtype)
        rows = features.to(dtype).flatten(2)
        # The product that leaves the gradient in the features' memory format.
        back = (rows.mT @ both).mT if rows.stride(1) == 1 else both @ rows
        gradient: Tensor = back.reshape(features.shape).to(features.dtype)
        return gradient


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
