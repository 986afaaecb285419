"""Activation maximization: pictures that excite a channel most."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fast_style.errors import InputError, TrainingDivergedError
from fast_style.inspect.activations import check_channel, find_maps, run_to
from fast_style.inspect.network import Network

# Gray level and standard deviation of natural photos (about ImageNet's). The picture is optimized in these units, so
# that one learning rate and one set of penalties fit every network.
_GRAY, _DEVIATION = 0.45, 0.225

# Side of the first picture, px, and the standard deviation of its noise: faint, so that little of it remains.
_START, _NOISE = 28, 0.1

# Guard of the logarithm and its slope where a channel is silent; far below any activation squared.
_SILENT = 1e-12


@dataclass(frozen=True)
class Growth:
    """How a picture is grown from noise of 28×28 px.

    Attributes:
        steps: Number of times that it grows.
        factor: Ratio of two successive sizes.
        iterations: Optimizer steps at each size.
        rate: Learning rate of Adam, which restarts at each size.
        intensity: Weight of the penalty on pixels far from gray: the mean square.
        edges: Weight of the penalty on image gradients: the mean square of their Scharr magnitude.
        jitter: Largest random shift in each step, px; removes high frequencies.
        rotation: Largest random rotation in each step, degrees; removes high frequencies, too.

    Raises:
        InputError: A value is out of its range.
    """

    steps: int = 45
    factor: float = 1.05
    iterations: int = 20
    rate: float = 0.4
    intensity: float = 0.1
    edges: float = 1.0
    jitter: int = 0
    rotation: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        ranges = {"steps": (0, 1000), "factor": (1, 2), "iterations": (1, 10_000), "jitter": (0, 4096)}
        ranges |= {"rotation": (0, 180)} | dict.fromkeys(("rate", "intensity", "edges"), (0, 1_000_000))
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)}; expected {low} to {high}")
        if self.sizes[-1] > 4096:
            raise InputError(
                f"the picture would grow to {self.sizes[-1]} px; at most 4096 are allowed",
                hint="Give fewer --steps or a smaller --factor.",
            )

    @property
    def sizes(self) -> list[int]:
        """Side of the picture at each size, px."""
        return [round(_START * self.factor**step) for step in range(self.steps + 1)]


@dataclass(frozen=True)
class Maximized:
    """The pictures that excite some channels, and how much.

    Attributes:
        channels: The channel of each picture.
        pictures: (N, 3, H, W), RGB in [0, 1].
        scores: Root mean square of each channel on its picture.
        reached: The same before the picture was clamped to [0, 1]: what the optimizer saw.
    """

    channels: tuple[int, ...]
    pictures: NDArray[np.float32]
    scores: tuple[float, ...]
    reached: tuple[float, ...]


def scharr(image: Tensor) -> Tensor:
    """Image gradients by Scharr's filters: (N, C, H, W) to (N, 2C, H-2, W-2), each channel's slope across and down.

    Reference:
        Scharr 2000, "Optimale Operatoren in der Digitalen Bildverarbeitung": 3, 10, 3 across 1, 0, -1.
    """
    across = image.new_tensor([[-3.0, 0.0, 3.0], [-10.0, 0.0, 10.0], [-3.0, 0.0, 3.0]]) / 32
    filters = torch.stack([across, across.T])[:, None].repeat(image.shape[1], 1, 1, 1)
    return F.conv2d(image, filters, groups=image.shape[1])


def maximize(
    network: Network,
    layer: str,
    channels: Sequence[int],
    growth: Growth = Growth(),
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Maximized:
    """Grow from noise, for each of some channels of a layer, a picture that excites it.

    It maximizes the logarithm of the channel's root mean square, less the penalties. The pictures of several channels
    are grown side by side, each as it would be alone. ``progress`` is called after each optimizer step with the steps
    done and the steps in all.

    Raises:
        InputError: There is no channel, or all are silent.
        LayerError: The layer or a channel is unknown, or the layer has no maps.
        ImageError: The first size is too small for the layer.
        TrainingDivergedError: The picture is no longer finite.

    Reference:
        Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network"; growing in steps as in Graetz 2019,
        "How to visualize convolutional features in 40 lines of code"; penalties as in Mahendran and Vedaldi 2015.

    Differs from these:
        The logarithm gives the penalties the same weight in every network, whatever the size of its activations.
    """
    if not channels:
        raise InputError("no channel to maximize", hint="Give --channel, or a PHOTO.")
    found = find_maps(network, [layer])
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, _START, _START, generator=generator) * _NOISE
    picture = noise.to(network.device).repeat(len(channels), 1, 1, 1)
    with torch.no_grad():
        count = run_to(network, _to_rgb(picture), found)[layer].shape[1]
    for channel in channels:
        check_channel(channel, count, layer)

    def loss(picture: Tensor) -> Tensor:
        maps = run_to(network, _to_rgb(_move(picture, growth, generator)), found)[layer]
        return (-0.5 * torch.log(_energy(maps, channels) + _SILENT) + _penalty(picture, growth)).sum()

    for number, size in enumerate(growth.sizes):
        if picture.shape[-1] != size:
            picture = F.interpolate(picture, size=(size, size), mode="bicubic", align_corners=False)
        picture = _descend(picture, loss, growth, layer, number * growth.iterations, progress)
    raw = _to_rgb(picture)
    clamped = raw.clamp(0, 1)
    with torch.no_grad():
        scores, reached = (
            tuple(_energy(run_to(network, image, found)[layer], channels).sqrt().tolist()) for image in (clamped, raw)
        )
    if not any(scores):
        raise InputError(
            f"channel {', '.join(map(str, channels))} of {layer} stays silent",
            hint="Give the convolution before the layer.",
        )
    return Maximized(tuple(channels), clamped.cpu().numpy(), scores, reached)


def _descend(
    picture: Tensor,
    loss: Callable[[Tensor], Tensor],
    growth: Growth,
    layer: str,
    done: int,
    progress: Callable[[int, int], None] | None,
) -> Tensor:
    """Optimize a picture of one size, after so many steps ``done`` at smaller ones."""
    picture = picture.clone().requires_grad_()
    optimizer = torch.optim.Adam([picture], lr=growth.rate)
    for iteration in range(growth.iterations):
        optimizer.zero_grad()
        value = loss(picture)
        value.backward()
        optimizer.step()
        if not (torch.isfinite(value) and torch.isfinite(picture).all()):
            raise TrainingDivergedError(
                f"the picture for {layer} became infinite or NaN at {picture.shape[-1]} px, step {iteration + 1}",
                hint=f"Give a smaller --rate than {growth.rate:g}; if that does not help, check the weights.",
            )
        if progress is not None:
            progress(done + iteration + 1, len(growth.sizes) * growth.iterations)
    return picture.detach()


def _to_rgb(picture: Tensor) -> Tensor:
    return _GRAY + _DEVIATION * picture


def _energy(maps: Tensor, channels: Sequence[int]) -> Tensor:
    """Mean square of channel n of picture n, (N,)."""
    rows = torch.arange(len(channels), device=maps.device)
    return maps[rows, torch.tensor(channels, device=maps.device)].float().square().mean(dim=(1, 2))


def _penalty(picture: Tensor, growth: Growth) -> Tensor:
    """Weighted penalties on intensity and edges, (N,)."""
    penalty = growth.intensity * picture.square().mean(dim=(1, 2, 3))
    if growth.edges and picture.shape[-1] >= 3:
        penalty = penalty + growth.edges * scharr(picture).square().mean(dim=(1, 2, 3))
    return penalty


def _move(picture: Tensor, growth: Growth, generator: torch.Generator) -> Tensor:
    """Shift by up to ``jitter`` px both ways and rotate, at random, all pictures alike."""
    if growth.jitter:
        down, right = torch.randint(-growth.jitter, growth.jitter + 1, (2,), generator=generator).tolist()
        picture = picture.roll((down, right), dims=(2, 3))
    if not growth.rotation:
        return picture
    angle = torch.deg2rad((torch.rand((), generator=generator) * 2 - 1) * growth.rotation)
    zero = torch.zeros(())
    rows = [torch.stack([angle.cos(), -angle.sin(), zero]), torch.stack([angle.sin(), angle.cos(), zero])]
    turn = torch.stack(rows).to(picture).expand(len(picture), 2, 3)
    grid = F.affine_grid(turn, list(picture.shape), align_corners=False)
    return F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
