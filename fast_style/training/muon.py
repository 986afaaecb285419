"""The optimizer: orthogonalized momentum for convolutions, Adam for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

_STEP = 0.5


class Muon(torch.optim.Optimizer):
    """Muon for full convolutions, AdamW for scales, shifts and depthwise filters.

    The momentum of a convolution, seen as a matrix with one row for each output channel, is replaced by the nearest
    matrix whose singular values are all about 1. So rare directions get as long a step as common ones.

    Args:
        weights: What to train; or groups of it, as torch's optimizers take them.
        lr: Adam's. A step of Muon's has half of it as its root mean square.
        momentum: Nesterov's, of the convolutions.
        betas: Adam's.
        eps: Adam's.
        weight_decay: Decoupled, of all weights.

    Reference:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the iteration's coefficients.
        Liu et al. 2025, "Muon is scalable for LLM training", section 2.2: the scale of a step.

    Differs from them:
        Steps are 0.5 instead of 0.2 of ``lr``: see docs/networks.md. The first and the last convolution are no
        exception.
    """

    def __init__(
        self,
        weights: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(weights, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; ``closure``, if given, computes the loss and its gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                step = self._muon if is_full_convolution(weight) else self._adam
                weight.add_(step(weight, weight.grad, group), alpha=-group["lr"])
        return loss

    def _muon(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"].mul_(group["momentum"]).add_(gradient)
        ahead = gradient + group["momentum"] * momentum
        step = orthogonalize(ahead.flatten(1))
        # Its singular values are 1, so its root mean square is the inverse root of the longer side.
        step.mul_(_STEP * max(step.shape) ** 0.5)
        return step.view(weight.shape)

    def _adam(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if not state:
            state.update(steps=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
        state["steps"] += 1
        first, second = group["betas"]
        mean: Tensor = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["steps"])
        square: Tensor = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second ** state["steps"])
        return mean.div_(square.sqrt().add_(group["eps"]))


def is_full_convolution(weight: Tensor) -> bool:
    """Whether a weight mixes channels: (outputs, inputs > 1, height, width)."""
    return weight.ndim == 4 and weight.shape[1] > 1


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return about U·Vᵀ of a matrix U·S·Vᵀ, without computing U and V: its singular values between 0.7 and 1.2.

    Reference:
        Jordan et al. 2024: five Newton-Schulz iterations of degree five.
    """
    wide: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x: Tensor = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide is matrix else x.T
