"""The optimizer: orthogonalized momentum for convolutions, Adam for the rest."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

# Muon's momentum, and the root mean square of its steps, in units of the learning rate; and Adam's constants.
_MOMENTUM, _STEP = 0.95, 0.5
_BETAS, _EPSILON = (0.9, 0.99), 1e-8


class Muon(torch.optim.Optimizer):
    """Muon for full convolutions and the scales of noise, Adam for other scales, shifts and depthwise filters.

    A convolution's Nesterov momentum, seen as a matrix with one row for each output channel, or input channel of a
    transposed one, is replaced by the nearest matrix whose singular values are all about 1. So rare directions get as
    long a step as common ones. The scales of noise, (1, C, 1, 1), are a matrix of one row: its direction stays, and its
    length is always the same.

    Args:
        weights: What to train; or groups of it, as torch's optimizers take them.
        lr: Adam's. A step of Muon's has half of it as its root mean square.

    Reference:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the iteration's coefficients.
        Liu et al. 2025, "Muon is scalable for LLM training", section 2.2: the scale of a step.

    Differs from them:
        Steps are 0.5 instead of 0.2 of ``lr``: of three lengths tried, the objective was lowest with it after 400
        steps. The first and the last convolution are no exception.
    """

    def __init__(self, weights: Iterable[Tensor] | Iterable[dict[str, Any]], lr: float) -> None:
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step; ``closure``, if given, computes the loss, which is returned, and its gradients first."""
        with torch.enable_grad():
            loss = closure and closure()
        for group in self.param_groups:
            # Many small weights together: each call by itself costs a GPU more than what it computes.
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    mixes_channels = weight.ndim == 4 and weight.shape[1] > 1
                    shape = tuple(weight.shape) if mixes_channels else ()
                    alike.setdefault(shape, []).append(weight)
            for shape, weights in alike.items():
                steps = self._muon(weights) if shape else self._adam(weights)
                torch._foreach_add_(weights, steps, alpha=-group["lr"])
        return loss

    def _muon(self, weights: list[Tensor]) -> list[Tensor]:
        """Make the steps of convolutions of one shape."""
        ahead = []
        for weight in weights:
            assert weight.grad is not None
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            momentum: Tensor = state["momentum"].mul_(_MOMENTUM).add_(weight.grad)
            ahead.append((weight.grad + _MOMENTUM * momentum).flatten(1))
        steps = orthogonalize(torch.stack(ahead))
        # Its singular values are 1, so its root mean square is the inverse root of the longer side.
        steps.mul_(_STEP * max(steps.shape[1:]) ** 0.5)
        return [step.reshape(weight.shape) for step, weight in zip(steps, weights, strict=True)]

    def _adam(self, weights: list[Tensor]) -> list[Tensor]:
        """Make the steps of all other weights together."""
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            if not state:
                state.update(steps=0, mean=torch.zeros_like(weight), square=torch.zeros_like(weight))
            state["steps"] += 1
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        first, second = _BETAS
        means, squares = [state["mean"] for state in states], [state["square"] for state in states]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1 - second)
        roots = torch._foreach_sqrt(torch._foreach_div(squares, [1 - second ** state["steps"] for state in states]))
        torch._foreach_add_(roots, _EPSILON)
        steps = torch._foreach_div(means, [1 - first ** state["steps"] for state in states])
        torch._foreach_div_(steps, roots)
        return list(steps)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Return about U·Vᵀ of each U·S·Vᵀ (…, M, N), without computing U and V: its singular values between 0.7 and 1.2.

    Reference:
        Jordan et al. 2024: five Newton-Schulz iterations of degree five.
    """
    wide: Tensor = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide is matrices else x.mT
