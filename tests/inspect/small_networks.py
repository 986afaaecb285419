"""Small networks with answers that can be worked out by hand."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from fast_style.inspect import Network
from fast_style.losses import VGG, VGGWeights
from tests.conftest import PHOTOS

CAT = PHOTOS["chelsea"]
LABELS = ("left", "right", "green mamba")


class Pooled(nn.Module):
    """A 1×1 convolution, an in-place ReLU, the mean over positions, a linear layer."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, len(LABELS))

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.fc(self.pool(self.relu(self.conv(image))).flatten(1))
        return out


def network(module: nn.Module, labels: tuple[str, ...] = LABELS) -> Network:
    return Network("small", module.requires_grad_(False).eval(), lambda image: image, labels, 8)


def pooled(seed: int = 0, channels: int = 2) -> Network:
    torch.manual_seed(seed)
    return network(Pooled(channels))


def random_vgg(*layers: str) -> Network:
    generator = torch.Generator().manual_seed(0)
    channels = [3, 4, 4, 6, 6, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    convolutions = tuple(
        (torch.randn(o, i, 3, 3, generator=generator) / (3 * i**0.5), torch.zeros(o))
        for i, o in itertools.pairwise(channels)
    )
    weights = VGGWeights("random", 16, convolutions, (0, 1, 2), 1.0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return network(VGG(weights, layers), labels=())


def inside(small: Network) -> Any:
    """Its module, of whose parts the type checker knows nothing."""
    return small.module
