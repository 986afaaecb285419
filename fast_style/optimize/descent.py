"""Scoring a picture with its gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fast_style.errors import TrainingDivergedError
from fast_style.losses import LossTerms, PerceptualLoss


class Scorer:
    """The objective of a picture and its gradient, for an optimizer.

    Args:
        loss: The objective, as in the training.
        photo: (N, 3, H, W), RGB in [0, 1].

    Attributes:
        terms: The ``total`` at the last picture and each term's value, unweighted.
    """

    def __init__(self, loss: PerceptualLoss, photo: Tensor) -> None:
        self.loss = loss
        self.photo, self.targets = photo, loss.content_targets(photo)
        self.terms: dict[str, float] = {}

    def __call__(self, image: Tensor) -> tuple[float, Tensor]:
        """Return the total and its gradient at (N, 3, H, W), RGB in [0, 1].

        Raises:
            TrainingDivergedError: The objective or its gradient is not finite.
        """
        # Convolutions run faster with channels last; optimizers want their vectors contiguous.
        image = image.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        terms: LossTerms = self.loss(image, self.targets, photo=self.photo)
        (gradient,) = torch.autograd.grad(terms.total, image)
        self.terms = terms.figures()
        if not math.isfinite(self.terms["total"]) or not bool(torch.isfinite(gradient).all()):
            parts = ", ".join(f"{name} {value:.3g}" for name, value in self.terms.items() if name != "total")
            raise TrainingDivergedError(
                f"the objective is {self.terms['total']} ({parts}) or its gradient is not finite",
                hint="Lower the weights, or use --preset balanced.",
            )
        return self.terms["total"], gradient.contiguous()
