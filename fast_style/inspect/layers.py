"""Which layers there are, their cost and receptive field, and which of them tell a painting from a photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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

# Operations after which a value depends on all of the picture.
_EVERYWHERE = {"adaptive_avg_pool2d", "mean", "flatten", "matmul", "multi_head_attention_forward"}
_EVERYWHERE |= {"scaled_dot_product_attention"}

# Width and height of the part of the picture that a value depends on, and the px between neighboring values.
Reach = tuple[float, float, float]


@dataclass(frozen=True)
class Layer:
    """A row of the table of layers.

    Attributes:
        name: Name of the layer.
        kind: Kind of module.
        shape: Shape of its output without the batch: (C, H, W), or (C,).
        receptive_field: Width and height of the part of the picture that one output value depends on, px, not cut
            at borders. None if that is the whole picture, as after global pooling or attention.
        parameters: Number of weights and biases.
        macs: Number of multiply-adds for the picture.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    receptive_field: tuple[int, int] | None
    parameters: int
    macs: int


class _Reaches(TorchFunctionMode):
    """Track through each operation how much of the picture a value depends on.

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
        arguments = {"stride": 1, "dilation": 1} | dict(zip(names, args, strict=False)) | options
        kernel, stride, dilation = arguments["weight"].shape[2:], arguments["stride"], arguments["dilation"]
    elif name in {"max_pool2d", "avg_pool2d"}:
        arguments = {"stride": None} | dict(zip(("input", "kernel_size", "stride"), args, strict=False)) | options
        kernel, stride = arguments["kernel_size"], arguments["stride"] or arguments["kernel_size"]
    else:
        return (math.inf, math.inf, step) if name in _EVERYWHERE else reach
    (rows, columns), (down, across) = _pair(kernel), _pair(dilation)
    return width + (columns - 1) * across * step, height + (rows - 1) * down * step, step * _pair(stride)[0]


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


@torch.no_grad()
def layer_table(network: Network, *, size: int = 224) -> list[Layer]:
    """List the layers that run on a square picture, in the order they finish.

    Args:
        network: A network of :func:`load_network`; its weights may be random.
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
    outputs: dict[str, tuple[tuple[int, ...], Reach | None]] = {}

    def begin(name: str) -> None:
        started[name] = counter.get_total_flops()

    def end(name: str, output: Any) -> None:
        macs[name] += (counter.get_total_flops() - started[name]) // 2
        if isinstance(output, Tensor) and name not in outputs:
            known = reaches.known.get(id(output))
            outputs[name] = (tuple(output.shape[1:]), known[1] if known else None)

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
        for name, (shape, reach) in outputs.items()
    ]


def _parameters(module: nn.Module) -> int:
    if isinstance(module, FrozenConv2d):  # keeps its weights as buffers
        return module.weight.numel() + module.bias.numel()
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def gram_differences(
    network: Network, photo: Tensor, painting: Tensor, layers: Sequence[str] | None = None
) -> dict[str, float]:
    """Measure at each layer how far a photo's Gram matrix is from a painting's.

    The measure, |P - S|² / (|P|² + |S|²) with Frobenius norms, does not depend on the scale or size of a layer: 0 is
    equal, 1 has nothing in common.

    Args:
        network: A network of :func:`load_network`.
        photo: (1, 3, H, W), RGB in [0, 1].
        painting: (1, 3, H', W'), RGB in [0, 1].
        layers: Names of the layers; by default a VGG's ReLUs, or every convolution of another network.

    Raises:
        LayerError: A layer is unknown, or has no maps.
        ImageError: A picture is too small.
    """
    if layers is not None:
        names = list(layers)
    elif isinstance(network.module, VGG):
        names = [name for name in network.layers if name.startswith("relu")]
    else:
        names = [name for name, module in network.layers.items() if isinstance(module, nn.Conv2d)]
    photo_maps, style_maps = (activations(network, image, names) for image in (photo, painting))
    differences = {}
    for name in names:
        p, s = (gram_matrix(maps[name])[0].cpu().double() for maps in (photo_maps, style_maps))
        energy = (p.square().sum() + s.square().sum()).item()
        differences[name] = (p - s).square().sum().item() / energy if energy > 0 else 0.0
    return differences
