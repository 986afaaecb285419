"""What layers there are, what they cost, how far they see, and which tell a painting from a photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from fast_style.errors import InputError
from fast_style.inspect.activations import activations, hooks
from fast_style.inspect.network import Network
from fast_style.perceptual.gram import gram_matrix
from fast_style.perceptual.vgg import VGG, FrozenConv2d
from fast_style.perceptual.winograd import directly

aten = torch.ops.aten
_WINDOWS = {aten.max_pool2d_with_indices: 1, aten.max_pool2d: 1, aten.avg_pool2d: 1}
_EVERYWHERE = {
    aten.bmm,
    aten.baddbmm,
    aten._adaptive_avg_pool2d,
    aten.mean,
    aten._scaled_dot_product_flash_attention_for_cpu,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_efficient_attention,
    aten._native_multi_head_attention,
}


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


class _Tracer(TorchDispatchMode):
    """Follow through every operation how much of the picture a value depends on, and count multiplications.

    A tensor's reach is (width, height, step): the receptive field and the px between neighbouring values.

    Reference:
        Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", equations 1-2,
        with the greatest of all inputs where branches meet.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch ships it untyped
        self.macs = 0
        self.kept: dict[int, tuple[Tensor, tuple[float, float, float]]] = {}  # the tensor too: ids are used again
        self._set(image, (1.0, 1.0, 1.0))

    def reach(self, tensor: Tensor) -> tuple[float, float, float] | None:
        """Receptive field of a tensor, or None if it does not depend on the picture."""
        entry = self.kept.get(id(tensor))
        return entry[1] if entry else None

    def _set(self, tensor: Tensor, reach: tuple[float, float, float]) -> None:
        self.kept[id(tensor)] = (tensor, reach)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation."""
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in flop_registry:
            self.macs += flop_registry[packet](*args, **(kwargs or {}), out_val=out) // 2
        before = [found for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and (found := self.reach(leaf))]
        if before:
            reach = tuple(max(parts) for parts in zip(*before, strict=True))
            after = _reach_after(packet, args, (reach[0], reach[1], reach[2]))
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    self._set(leaf, after)
        return out


def _reach_after(packet: Any, args: tuple[Any, ...], reach: tuple[float, float, float]) -> tuple[float, float, float]:
    """Widen a receptive field by one operation."""
    width, height, step = reach
    if packet is aten.convolution:
        kernel, stride, dilation = args[1].shape[2:], args[3], args[5]
    elif packet in _WINDOWS:
        kernel, stride, dilation = args[1], (args[2] if len(args) > 2 and args[2] else args[1]), (1, 1)
    elif packet in _EVERYWHERE or (packet in {aten.addmm, aten.mm} and _rows(packet, args) == 1):
        return math.inf, math.inf, step
    else:
        return reach  # value by value
    return (
        width + (kernel[-1] - 1) * dilation[-1] * step,
        height + (kernel[0] - 1) * dilation[0] * step,
        step * stride[0],
    )


def _rows(packet: Any, args: tuple[Any, ...]) -> int:
    """Positions that a matrix product treats alike: one means that all of the picture has been flattened."""
    matrix: Tensor = args[1] if packet is aten.addmm else args[0]
    return matrix.shape[0]


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
    tracer = _Tracer(image)
    modules = network.layers
    started: dict[str, int] = {}
    macs = dict.fromkeys(modules, 0)
    found: dict[str, tuple[tuple[int, ...], tuple[float, float, float] | None]] = {}

    def begin(name: str) -> None:
        started[name] = tracer.macs

    def end(name: str, output: Any) -> None:
        macs[name] += tracer.macs - started[name]
        if isinstance(output, Tensor) and name not in found:
            found[name] = (tuple(output.shape[1:]), tracer.reach(output))

    with directly(), hooks(modules, end, before=begin), tracer:
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
