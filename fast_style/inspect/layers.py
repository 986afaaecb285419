"""What layers there are, what they cost, how far they see, and which tell a painting from a photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from fast_style.errors import InputError
from fast_style.inspect.activations import activations, hooks
from fast_style.inspect.network import Network
from fast_style.losses.gram import gram_matrix
from fast_style.losses.kernels.winograd import directly
from fast_style.losses.vgg import VGG, FrozenConv2d

# After these, a value depends on all of the picture.
_EVERYWHERE = {"adaptive_avg_pool2d", "mean", "flatten", "matmul", "multi_head_attention_forward"}
_EVERYWHERE |= {"scaled_dot_product_attention"}

# Width and height of the part of the picture that a value depends on, and the px between neighbouring values.
Reach = tuple[float, float, float]


@dataclass(frozen=True)
class Layer:
    """One row of the table of layers.

    Attributes:
        name: To ask for it by.
        kind: Kind of module.
        shape: Shape of its output without the batch: (C, H, W), or (C,).
        receptive_field: Width and height of the part of the picture that one output value depends on, px; borders
            do not cut it. None if that is everything, as after global pooling or attention.
        parameters: How many weights and biases.
        macs: Multiplications with addition that it needs for the picture.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    receptive_field: tuple[int, int] | None
    parameters: int
    macs: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class _Reaches(TorchFunctionMode):
    """Follow through every operation how much of the picture a value depends on.

    Reference:
        Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", equations 1-2,
        with the greatest of all inputs where branches meet.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.known: dict[int, tuple[Tensor, Reach]] = {id(image): (image, (1.0, 1.0, 1.0))}  # ids are used again

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        out = func(*args, **(kwargs or {}))
        inputs = [
            leaf for argument in args for leaf in (argument if isinstance(argument, list | tuple) else [argument])
        ]
        before = [self.known[id(leaf)][1] for leaf in inputs if id(leaf) in self.known]
        if before:
            width, height, step = (max(parts) for parts in zip(*before, strict=True))
            after = _reach_after(getattr(func, "__name__", ""), args, kwargs or {}, (width, height, step))
            for leaf in out if isinstance(out, list | tuple) else [out]:
                if isinstance(leaf, Tensor):
                    self.known[id(leaf)] = (leaf, after)
        return out


def _reach_after(name: str, args: tuple[Any, ...], options: dict[str, Any], reach: Reach) -> Reach:
    """Widen a receptive field by one operation."""
    width, height, step = reach
    dilation: Any = 1
    if name == "conv2d":
        names = ("input", "weight", "bias", "stride", "padding", "dilation")
        given = {"stride": 1, "dilation": 1} | dict(zip(names, args, strict=False)) | options
        kernel, stride, dilation = given["weight"].shape[2:], given["stride"], given["dilation"]
    elif name in {"max_pool2d", "avg_pool2d"}:
        given = {"stride": None} | dict(zip(("input", "kernel_size", "stride"), args, strict=False)) | options
        kernel, stride = given["kernel_size"], given["stride"] or given["kernel_size"]
    else:
        return (math.inf, math.inf, step) if name in _EVERYWHERE else reach
    (rows, columns), (down, across) = _pair(kernel), _pair(dilation)
    return width + (columns - 1) * across * step, height + (rows - 1) * down * step, step * _pair(stride)[0]


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


@torch.no_grad()
def layer_table(network: Network, *, size: int = 224) -> list[Layer]:
    """List the layers that run on a square picture, in the order in which they finish.

    Args:
        network: A network of :func:`load_network`; random weights will do.
        size: Side of the picture, px.

    Raises:
        InputError: The size is not from 1 to 4096.
        ImageError: The network cannot take that size.
    """
    if not 1 <= size <= 4096:
        raise InputError(f"size is {size}; expected 1 to 4096 px")
    image = torch.rand(1, 3, size, size, device=network.device)
    reaches, counter = _Reaches(image), FlopCounterMode(display=False)
    modules = network.layers
    started: dict[str, int] = {}
    macs = dict.fromkeys(modules, 0)
    found: dict[str, tuple[tuple[int, ...], Reach | None]] = {}

    def begin(name: str) -> None:
        started[name] = counter.get_total_flops()

    def end(name: str, output: Any) -> None:
        macs[name] += (counter.get_total_flops() - started[name]) // 2
        if isinstance(output, Tensor) and name not in found:
            known = reaches.known.get(id(output))
            found[name] = (tuple(output.shape[1:]), known[1] if known else None)

    with directly(), hooks(modules, end, before=begin), counter, reaches:
        network(image)
    return [
        Layer(
            name,
            type(modules[name]).__name__,
            shape,
            (int(reach[0]), int(reach[1])) if reach and math.isfinite(reach[0]) else None,
            _parameters(modules[name]),
            macs[name],
        )
        for name, (shape, reach) in found.items()
    ]


def _parameters(module: nn.Module) -> int:
    if isinstance(module, FrozenConv2d):  # keeps its weights as buffers
        return module.weight.numel() + module.bias.numel()
    return sum(parameter.numel() for parameter in module.parameters())


def default_style_layers(network: Network) -> list[str]:
    """Name the layers to compare by: a VGG's ReLUs, or every convolution of another network."""
    if isinstance(network.module, VGG):
        return [name for name in network.layers if name.startswith("relu")]
    return [name for name, module in network.layers.items() if isinstance(module, nn.Conv2d)]


@torch.no_grad()
def gram_differences(
    network: Network, photo: Tensor, painting: Tensor, layers: Sequence[str] | None = None
) -> dict[str, float]:
    """Measure at each layer how far a photo's Gram matrix is from a painting's.

    The measure, |P - S|² / (|P|² + |S|²) with Frobenius norms, does not depend on the scale or size of a layer, so
    that layers can be compared: 0 is equal, 1 has nothing in common.

    Args:
        network: A network of :func:`load_network`.
        photo: (1, 3, H, W), RGB in [0, 1].
        painting: (1, 3, H', W'), RGB in [0, 1].
        layers: Names; by default :func:`default_style_layers`.

    Raises:
        LayerError: A layer is unknown, or has no maps.
        ImageError: A picture is too small.
    """
    names = list(layers) if layers is not None else default_style_layers(network)
    photo_grams = _grams(network, photo, names)
    style_grams = _grams(network, painting, names)
    differences = {}
    for name in names:
        p, s = photo_grams[name].double(), style_grams[name].double()
        energy = (p.square().sum() + s.square().sum()).item()
        differences[name] = (p - s).square().sum().item() / energy if energy > 0 else 0.0
    return differences


def _grams(network: Network, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    return {name: gram_matrix(maps)[0].cpu() for name, maps in activations(network, image, names).items()}
