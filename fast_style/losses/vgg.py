"""VGG-16 and VGG-19 as feature extractors, with layers addressed by name."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.errors import ImageError, LayerError, did_you_mean
from fast_style.losses.kernels.winograd import WinogradConv2d, mirror, pays, transform
from fast_style.losses.weights import BLOCKS, VGGWeights

Pooling = Literal["avg", "max"]
Padding = Literal["zeros", "replicate"]


def layer_names(depth: int) -> tuple[str, ...]:
    """Name every layer of VGG-16 or VGG-19 in order: ``conv1_1``, ``relu1_1``, …, ``pool5``."""
    names: list[str] = []
    for block, count in enumerate(BLOCKS[depth], 1):
        for index in range(1, count + 1):
            names += [f"conv{block}_{index}", f"relu{block}_{index}"]
        names.append(f"pool{block}")
    return tuple(names)


class FrozenConv2d(nn.Module):
    """A 3×3 convolution whose weight (O, I, 3, 3) and bias (O,) are buffers, so that no optimizer ever sees them."""

    def __init__(self, weight: Tensor, bias: Tensor, *, padding: Padding = "zeros") -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("weight", weight.detach().clone(), persistent=False)
        self.register_buffer("bias", bias.detach().clone(), persistent=False)
        self.weight: Tensor
        self.bias: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """Convolve: (N, I, H, W) to (N, O, H, W)."""
        padding = 1
        if self.padding == "replicate":
            features, padding = _repeat_edge(features), 0
        if not pays(features, self.weight):
            return F.conv2d(features, self.weight, self.bias, padding=padding)
        convolved: Tensor = WinogradConv2d.apply(features, self._prepared, lambda: self._prepared_mirror, padding)
        return convolved + self.bias.view(1, -1, 1, 1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert or move the weights, and forget what was made of them."""
        for made in ("_prepared", "_prepared_mirror"):
            self.__dict__.pop(made, None)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    @cached_property
    def _prepared(self) -> Tensor:
        return transform(self.weight)

    @cached_property
    def _prepared_mirror(self) -> Tensor:
        return transform(mirror(self.weight))


def _repeat_edge(features: Tensor) -> Tensor:
    if not features.is_cuda:
        return F.pad(features, (1, 1, 1, 1), mode="replicate")
    # CUDA's padding loses the channels-last layout, and its gradient adds atomically, in an order that varies.
    rows = torch.cat([features[:, :, :1], features, features[:, :, -1:]], dim=2)
    return torch.cat([rows[..., :1], rows, rows[..., -1:]], dim=3)


class VGG(nn.Module):
    """The convolutional part of VGG-16 or VGG-19, frozen, only as deep as the deepest layer asked for.

    It has no parameters: its weights are non-persistent buffers, so it stays out of checkpoints and gets no gradients.
    Gradients flow through it to the image.

    Args:
        weights: The convolutions and the input they expect.
        layers: Names of the layers that will be asked for; the deepest decides the depth.
        pooling: ``avg`` is smoother and what Gatys et al. prefer; ``max`` is what the network was trained with.
        padding: ``zeros`` is what the network was trained with. With ``replicate``, which repeats the edge of the
            features, a picture's border looks like its middle.

    Raises:
        LayerError: A layer does not exist; the message suggests the nearest name.

    Reference:
        Simonyan and Zisserman 2015, table 1; Gatys, Ecker and Bethge 2016, section 2 (average pooling).

    Differs from the paper:
        Gatys et al. rescaled the weights so that each filter's mean activation is one. Here they are as published.
    """

    def __init__(
        self, weights: VGGWeights, layers: Sequence[str], *, pooling: Pooling = "avg", padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        names = layer_names(weights.depth)
        _check_layers(layers, names, f"VGG-{weights.depth}")
        self.depth = weights.depth
        self.channel_order = weights.channel_order
        self.scale = weights.scale
        self.register_buffer("mean", torch.tensor(weights.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(weights.std).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

        self.layers = nn.ModuleDict()
        convolutions = iter(weights.convolutions)
        for name in names[: max(map(names.index, layers)) + 1]:
            if name.startswith("conv"):
                self.layers[name] = FrozenConv2d(*next(convolutions), padding=padding)
            elif name.startswith("relu"):
                self.layers[name] = nn.ReLU()  # never in place: the layer before it may be tapped
            else:
                self.layers[name] = nn.AvgPool2d(2) if pooling == "avg" else nn.MaxPool2d(2)

    def compute_in(self, dtype: torch.dtype) -> None:
        """Convert the convolutions' weights to a dtype and compute in it; pictures are still preprocessed in float32.

        Autocast would convert 20 million weights at every call: in training, more work than the convolutions.
        """
        self.layers.to(dtype)

    def preprocess(self, image: Tensor) -> Tensor:
        """Convert RGB in [0, 1] to the input that the weights expect, (N, 3, H, W) to the same shape, not in place."""
        if self.channel_order != (0, 1, 2):
            image = image[:, list(self.channel_order)]
        return (image * self.scale - self.mean) / self.std

    def forward(self, image: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Return the named layers' activations. No layer deeper than them is computed.

        Args:
            image: (N, 3, H, W), RGB in [0, 1].
            layers: Some of the network's layers, or None for all of them.

        Returns:
            Activations by name, (N, C, H / 2^p, W / 2^p), where p counts the poolings before the layer.

        Raises:
            LayerError: A layer is unknown, or deeper than the network.
            ImageError: The image is not (N, 3, H, W), or too small for the deepest layer.
        """
        order = list(self.layers)
        wanted = order if layers is None else list(layers)
        _check_layers(wanted, order, f"this VGG-{self.depth}")
        if image.ndim != 4 or image.shape[1] != 3:
            raise ImageError(f"expected a batch of RGB images (N, 3, H, W), got {tuple(image.shape)}")
        needed = order[: max(map(order.index, wanted)) + 1]
        smallest = 2 ** sum(name.startswith("pool") for name in needed)
        if min(image.shape[-2:]) < smallest:
            raise ImageError(
                f"an image of {image.shape[-1]}×{image.shape[-2]} px is too small for {needed[-1]}",
                hint=f"That layer needs at least {smallest} px on each side.",
            )
        activations: dict[str, Tensor] = {}
        features = self.preprocess(image).to(next(self.layers.buffers()).dtype)
        for name in needed:
            features = self.layers[name](features)
            if name in wanted:
                activations[name] = features
        return activations


def _check_layers(asked: Sequence[str], known: Sequence[str], owner: str) -> None:
    hint = f"Its layers are {known[0]} … {known[-1]}."
    if not asked:
        raise LayerError(f"no layer of {owner} was asked for", hint=hint)
    for name in asked:
        if name not in known:
            raise LayerError(f"{owner} has no layer {name!r}{did_you_mean(name, known)}", hint=hint)
