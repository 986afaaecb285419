"""Which layers there are, with their shapes and sizes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fast_style.inspect.activations import hooks
from fast_style.inspect.network import Network
from fast_style.losses.vgg import FrozenConv2d


@dataclass(frozen=True)
class Layer:
    """A row of the table of layers.

    Attributes:
        name: Name of the layer.
        kind: Kind of module.
        shape: Shape of its output without the batch: (C, H, W), (C,), or, as of transformers, another.
        parameters: Number of weights and biases.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


@torch.no_grad()
def layer_table(network: Network) -> list[Layer]:
    """List the layers that run on a square picture of the network's size, in the order in which they finish."""
    modules, shapes = network.layers, dict[str, tuple[int, ...]]()

    def note(name: str, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(name, tuple(output.shape[1:]))

    with hooks(modules, note):
        network(torch.rand(1, 3, network.size, network.size, device=network.device))
    rows = []
    for name, shape in shapes.items():
        module = modules[name]  # a frozen convolution keeps its weights as buffers
        weights = module.buffers() if isinstance(module, FrozenConv2d) else module.parameters()
        rows.append(Layer(name, type(module).__name__, shape, sum(weight.numel() for weight in weights)))
    return rows
