"""Depthwise convolutions in training on a CPU, where torch's own take most of a step."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def depthwise(features: Tensor, conv: nn.Conv2d) -> Tensor:
    """Convolve each channel by its own filter: (N, C, H, W) to (N, C, H - K + 1, W - K + 1), no stride, no padding.

    On a CPU the gradients are computed by :class:`_Depthwise`, in float32 whatever the autocast: in bfloat16 torch
    takes four times as long, and, if the layout is not channels last, twice as long in float32.
    """
    if not features.requires_grad or features.device.type != "cpu":
        convolved: Tensor = conv(features)
        return convolved
    with torch.autocast("cpu", enabled=False):
        own: Tensor = _Depthwise.apply(features.float(), conv.weight)
    return own


class _Depthwise(torch.autograd.Function):
    """The same numbers as torch's, up to rounding, from operations that it is fast at."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor) -> Tensor:
        features = features.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(features, weight)
        return F.conv2d(features, weight, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        features, weight = ctx.saved_tensors
        kernel = weight.shape[-1]
        grad = grad.contiguous(memory_format=torch.channels_last)
        back = F.conv2d(grad, weight.flip(2, 3), padding=kernel - 1, groups=len(weight))
        count, channels, height, width = grad.shape
        planes = features.contiguous().flatten(0, 1)
        grads = grad.contiguous().flatten(0, 1)
        rows = []
        for row in range(kernel):
            # Every column against every column; those that a filter's tap meets lie on one diagonal.
            products = planes[:, row : row + height].mT @ grads
            taps = [products.diagonal(-tap, 1, 2)[:, :width].sum(1) for tap in range(kernel)]
            rows.append(torch.stack(taps, dim=1))
        filters = torch.stack(rows, dim=1).view(count, channels, 1, kernel, kernel).sum(0)
        return back, filters
