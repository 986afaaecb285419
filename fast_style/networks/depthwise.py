"""Depthwise convolutions for training on a CPU, where torch's take most of a step."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def depthwise(features: Tensor, conv: nn.Conv2d) -> Tensor:
    """Convolve each channel with its filter: (N, C, H, W) to (N, C, H - K + 1, W - K + 1), no stride, no padding.

    Gradients on a CPU take float32, whatever the autocast: in bfloat16 torch needs four times as long, and in float32
    twice as long unless the layout is channels last.
    """
    if not features.requires_grad or features.device.type != "cpu":
        convolved: Tensor = conv(features)
        return convolved
    with torch.autocast("cpu", enabled=False):
        result: Tensor = _Depthwise.apply(features.float(), conv.weight)
    return result


class _Depthwise(torch.autograd.Function):
    """Torch's numbers, up to rounding, from operations that are fast."""

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
            # Every column times every column; the pairs of one tap of the filter lie on a diagonal.
            products = planes[:, row : row + height].mT @ grads
            taps = [products.diagonal(-tap, 1, 2)[:, :width].sum(1) for tap in range(kernel)]
            rows.append(torch.stack(taps, dim=1))
        filters = torch.stack(rows, dim=1).view(count, channels, 1, kernel, kernel).sum(0)
        return back, filters
