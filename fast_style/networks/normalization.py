"""The normalization layer: the one place where a transformer network looks at statistics of the whole picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNormalization(nn.Module):
    """Give each channel of each image zero mean and unit variance, then a learned scale and shift.

    Args:
        channels: C.
        eps: Added to the variance.

    Reference:
        Ulyanov, Vedaldi and Lempitsky 2017, equation 2.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (N, C, H, W) over H and W."""
        return F.instance_norm(features, weight=self.weight, bias=self.bias, eps=self.eps)
