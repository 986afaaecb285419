"""Instance normalization, the only layer that looks at statistics of the whole picture."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.networks.condition import Affine


@dataclass(frozen=True)
class Statistics:
    """Mean and variance of a normalization layer's channels, each (N, C, 1, 1)."""

    mean: Tensor
    variance: Tensor


class InstanceNormalization(nn.Module):
    """Give each channel of each image zero mean and unit variance, then a learned scale and shift.

    Reference:
        Ulyanov, Vedaldi and Lempitsky 2017, equation 2.
    """

    eps = 1e-5  # added to the variance

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, affine: Affine | None = None) -> Tensor:
        """Normalize (N, C, H, W) over H and W to the same shape, with another scale and shift if they are given."""
        if affine is None:
            return F.instance_norm(features, weight=self.weight, bias=self.bias, eps=self.eps)
        scale, shift = affine.scale, affine.shift
        if len(scale) == 1:
            return F.instance_norm(features, weight=scale[0], bias=shift[0], eps=self.eps)
        # The pictures of the batch become channels, so that each has its scale and shift.
        joined = features.reshape(1, -1, *features.shape[2:])
        normalized = F.instance_norm(joined, weight=scale.flatten(), bias=shift.flatten(), eps=self.eps)
        return normalized.view(features.shape)


def record_statistics(network: nn.Module, image: Tensor) -> dict[str, Statistics]:
    """Return the statistics of a network's normalization layers on pictures, by the layers' names.

    Args:
        network: A :class:`~fast_style.networks.TransformerNetwork`.
        image: Whole pictures, (N, 3, H, W), RGB in [0, 1].
    """
    names: dict[nn.Module, str] = {
        layer: name for name, layer in network.named_modules() if isinstance(layer, InstanceNormalization)
    }
    statistics: dict[str, Statistics] = {}

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], (2, 3), correction=0, keepdim=True)
        statistics[names[layer]] = Statistics(mean, variance)

    with ExitStack() as hooks, torch.no_grad():
        for layer in names:
            hooks.callback(layer.register_forward_pre_hook(record).remove)
        network(image)
    return statistics
