"""Scoring a picture with its gradient, and Adam; L-BFGS has its own module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from fast_style.errors import TrainingDivergedError
from fast_style.losses import LossTerms, PerceptualLoss

Precision = Literal["32", "bf16"]


class Scorer:
    """The objective of a picture and its gradient, for an optimizer.

    Args:
        loss: The objective that the trainer minimises, too.
        targets: The photo's content targets.
        precision: ``bf16`` runs the perceptual network in bfloat16; losses stay in float32.

    Attributes:
        terms: The ``total`` at the latest picture and each term's value, unweighted.
    """

    def __init__(self, loss: PerceptualLoss, targets: Mapping[str, Tensor], *, precision: Precision = "32") -> None:
        self.loss = loss
        self.targets = {layer: target.detach() for layer, target in targets.items()}
        self.precision = precision
        self.terms: dict[str, float] = {}

    def __call__(self, image: Tensor) -> tuple[float, Tensor]:
        """Return the total and its gradient at (N, 3, H, W), RGB in [0, 1].

        Raises:
            TrainingDivergedError: The objective or its gradient is not finite.
        """
        # Convolutions run faster with channels last; optimizers want their vectors contiguous.
        image = image.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            terms: LossTerms = self.loss(image, self.targets)
        (gradient,) = torch.autograd.grad(terms.total, image)
        self.terms = terms.figures()
        if not math.isfinite(self.terms["total"]) or not bool(torch.isfinite(gradient).all()):
            parts = ", ".join(f"{name} {value:.3g}" for name, value in self.terms.items() if name != "total")
            raise TrainingDivergedError(
                f"the objective is {self.terms['total']} ({parts}) or its gradient is not finite",
                hint="Lower the weights or --learning-rate, use --precision 32, or --preset balanced.",
            )
        return self.terms["total"], gradient.contiguous()


def adam(
    evaluate: Callable[[Tensor], tuple[float, Tensor]], image: Tensor, *, learning_rate: float = 0.02
) -> Iterator[tuple[Tensor, float, int]]:
    """Minimise with Adam, clamping to [0, 1] after each step; for ever.

    Args:
        evaluate: Takes a picture; returns its objective and the gradient there.
        image: Where to start, within [0, 1]; not changed.
        learning_rate: About how far each value moves in a step.

    Yields:
        A new picture, its objective, and how many evaluations this iteration took.

    Reference:
        Kingma and Ba 2015; clamped after each step as in Johnson et al. 2016, section 4.1.
    """
    current = image.detach().clone()
    optimizer = torch.optim.Adam([current], lr=learning_rate, betas=(0.9, 0.99))
    value, current.grad = evaluate(current)
    evaluations = 1
    while True:
        optimizer.step()
        current.clamp_(0.0, 1.0)
        value, current.grad = evaluate(current)
        yield current.detach().clone(), value, evaluations + 1
        evaluations = 0
