"""Activation maximisation and DeepDream: pictures that a channel answers to most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fast_style.errors import InputError, TrainingDivergedError
from fast_style.inspect.activations import activations, check_channel
from fast_style.inspect.network import Network

Pictures = NDArray[np.float32]
Progress = Callable[[int, int], None]

# The picture is optimised in units of natural photos, 0 their grey and 1 their deviation (about ImageNet's), so that
# one learning rate and one set of penalties serve whatever a network's weights expect.
_GREY, _DEVIATION = 0.45, 0.225

# Deviation of the noise at the start, in those units: faint, so that little of it is left in the result.
_NOISE = 0.1

# Guards the logarithm and its slope where a channel is silent; far below any activation squared.
_SILENT = 1e-12


@dataclass(frozen=True)
class Growth:
    """How a picture is grown from noise.

    Attributes:
        start: Side of the first picture, px.
        steps: How often it grows.
        factor: By how much each time.
        iterations: Optimizer steps at each size.
        rate: Learning rate of Adam, which starts anew at each size.
        intensity: Weight of the penalty on pixels far from grey: the mean square.
        edges: Weight of the penalty on image gradients: the mean square of their Scharr magnitude.
        jitter: Shift by up to so many px at random in every step; takes away high frequencies.
        rotation: Turn by up to so many degrees at random in every step; takes away high frequencies, too.
        seed: Seed of noise, jitter and rotation.

    Raises:
        InputError: A value is out of its range.
    """

    start: int = 28
    steps: int = 45
    factor: float = 1.05
    iterations: int = 20
    rate: float = 0.4
    intensity: float = 0.1
    edges: float = 1.0
    jitter: int = 0
    rotation: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        ranges = {"start": (1, 4096), "steps": (0, 1000), "iterations": (1, 10_000), "jitter": (0, 4096)}
        for name, (low, high) in (ranges | {"seed": (0, 2**63 - 1)}).items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} is {getattr(self, name)}; expected {low} to {high}")
        for name in ("rate", "intensity", "edges"):
            if not 0 <= getattr(self, name) <= 1e6:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 to a million")
        if not 1 <= self.factor <= 2:
            raise InputError(f"factor is {self.factor}; expected 1 to 2")
        if not 0 <= self.rotation <= 180:
            raise InputError(f"rotation is {self.rotation}; expected 0 to 180 degrees")
        if self.sizes[-1] > 4096:
            raise InputError(
                f"the picture would grow to {self.sizes[-1]} px; at most 4096 are allowed",
                hint="Give fewer --steps or a smaller --factor.",
            )

    @property
    def sizes(self) -> list[int]:
        """Side of the picture at each size, px."""
        return [round(self.start * self.factor**step) for step in range(self.steps + 1)]


@dataclass(frozen=True)
class Maximized:
    """What came of it.

    Attributes:
        channels: One for each picture.
        pictures: (N, 3, H, W), RGB in [0, 1].
        scores: Root mean square of each channel on its finished picture, clamped to [0, 1].
        reached: The same before the picture was clamped: what the optimizer saw.
    """

    channels: tuple[int, ...]
    pictures: Pictures
    scores: tuple[float, ...]
    reached: tuple[float, ...]


def scharr(image: Tensor) -> Tensor:
    """Image gradients by Scharr's filters, by convolution.

    Args:
        image: (N, C, H, W), at least 3 px a side.

    Returns:
        (N, 2C, H-2, W-2), for each channel the slope across and down, per px.

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
    growth: Growth | None = None,
    *,
    progress: Progress | None = None,
) -> Maximized:
    """Grow from noise, for each of some channels of a layer, a picture that excites it.

    Maximised is the logarithm of the root mean square of the channel, less the penalties. The pictures of several
    channels are grown side by side, each as it would be alone.

    Args:
        network: A network of :func:`load_network`.
        layer: Its name.
        channels: Their numbers.
        growth: Sizes, optimizer and penalties.
        progress: Called after every optimizer step with steps done and steps in all.

    Raises:
        InputError: No channel, or every one stays silent.
        LayerError: The layer or a channel is unknown, or the layer has no maps.
        ImageError: The first size is too small for the layer.
        TrainingDivergedError: The picture is no longer finite.

    Reference:
        Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network"; growing in steps as in Graetz 2019,
        "How to visualize convolutional features in 40 lines of code"; penalties as in Mahendran and Vedaldi 2015.

    Differs from these:
        The logarithm makes the penalties weigh the same in every network, whatever the size of its activations.
    """
    growth = growth or Growth()
    if not channels:
        raise InputError("no channel to maximise")
    device = network.device
    generator = torch.Generator().manual_seed(growth.seed)
    noise = torch.randn(1, 3, growth.start, growth.start, generator=generator) * _NOISE
    picture = noise.to(device).repeat(len(channels), 1, 1, 1)
    with torch.no_grad():
        count = activations(network, _to_rgb(picture), [layer])[layer].shape[1]
    for channel in channels:
        check_channel(channel, count, layer)
    sizes = growth.sizes
    for number, size in enumerate(sizes):
        with torch.no_grad():
            if picture.shape[-1] != size:
                picture = F.interpolate(picture, size=(size, size), mode="bicubic", align_corners=False)
        picture = picture.clone().requires_grad_()
        optimizer = torch.optim.Adam([picture], lr=growth.rate)
        for iteration in range(growth.iterations):
            optimizer.zero_grad()
            moved = _move(picture, growth, generator)
            energy = _energy(activations(network, _to_rgb(moved), [layer])[layer], channels)
            loss = (-0.5 * torch.log(energy + _SILENT) + _penalty(picture, growth)).sum()
            if not torch.isfinite(loss):
                raise TrainingDivergedError(
                    f"the picture for {layer} became infinite or NaN at {size} px, step {iteration + 1}",
                    hint=f"Give a smaller --rate than {growth.rate:g}; if that does not help, check the weights.",
                )
            loss.backward()
            optimizer.step()
            if progress is not None:
                progress(number * growth.iterations + iteration + 1, len(sizes) * growth.iterations)
        picture = picture.detach()
    with torch.no_grad():
        raw = _to_rgb(picture)
        scores, reached = (
            tuple(_energy(activations(network, image, [layer])[layer], channels).sqrt().tolist())
            for image in (raw.clamp(0, 1), raw)
        )
    pictures = _to_rgb(picture).clamp(0, 1).cpu().numpy()
    if not np.isfinite(pictures).all():
        raise TrainingDivergedError(
            f"the picture for {layer} became NaN in its last step", hint=f"Give a smaller --rate than {growth.rate:g}."
        )
    if not any(scores):
        raise InputError(
            f"channel {', '.join(map(str, channels))} of {layer} stays silent",
            hint="Give another --seed, a larger --start, or the convolution before the layer.",
        )
    return Maximized(tuple(channels), pictures, scores, reached)


def dream(
    network: Network,
    photo: Tensor,
    layer: str,
    channel: int | None = None,
    *,
    octaves: int = 4,
    scale: float = 1.4,
    iterations: int = 20,
    rate: float = 0.005,
    jitter: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> Pictures:
    """Change photos so that a layer, or one channel of it, sees more of what it sees in them.

    Args:
        network: A network of :func:`load_network`.
        photo: (N, 3, H, W), RGB in [0, 1].
        layer: Its name.
        channel: Or None for all.
        octaves: Sizes that are worked on, the photo's own last.
        scale: Ratio of the sizes of one octave and the next.
        iterations: Steps at each.
        rate: Mean change of a value in a step, in [0, 1] units.
        jitter: Random shift in every step, px.
        seed: Seed of the shifts.
        progress: Called after every step with steps done and steps in all.

    Returns:
        (N, 3, H, W), RGB in [0, 1].

    Raises:
        InputError: A value is out of its range.
        LayerError: The layer or the channel is unknown.
        ImageError: The smallest octave is too small for the layer.
        TrainingDivergedError: The picture is no longer finite.

    Reference:
        Mordvintsev, Olah and Tyka 2015, "Inceptionism: Going Deeper into Neural Networks".
    """
    if not (1 <= octaves <= 32 and 1 < scale <= 4 and 0 <= rate <= 1):
        raise InputError("expected 1 to 32 octaves, a scale over 1 and up to 4, and a rate of 0 to 1")
    Growth(iterations=iterations, jitter=jitter, seed=seed)  # refuses what is out of range
    generator = torch.Generator().manual_seed(seed)
    height, width = photo.shape[-2:]
    sides = [(round(height / scale**o), round(width / scale**o)) for o in reversed(range(octaves))]
    if min(sides[0]) < 1:
        raise InputError(f"{octaves} octaves are too many for {width}×{height} px", hint="Give fewer --octaves.")
    photo = photo.detach()
    picture = _resample(photo, sides[0])
    base = picture
    for number, side in enumerate(sides):
        # What the dream has added so far is enlarged; the photo comes sharp from its original at every octave.
        added = _resample(picture - base, side)
        base = _resample(photo, side)
        picture = (base + added).clamp(0, 1)
        for iteration in range(iterations):
            picture = picture.detach().requires_grad_()
            moved = _shift(picture, jitter, generator)
            maps = activations(network, moved, [layer])[layer].float()
            if channel is not None:
                check_channel(channel, maps.shape[1], layer)
                maps = maps[:, channel : channel + 1]
            (slope,) = torch.autograd.grad(maps.square().mean(dim=(1, 2, 3)).sum(), picture)
            if not torch.isfinite(slope).all():
                raise TrainingDivergedError(
                    f"the dream of {layer} became infinite or NaN at {side[1]}×{side[0]} px",
                    hint=f"Give a smaller --rate than {rate:g}.",
                )
            slope = slope / slope.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
            picture = (picture.detach() + rate * slope).clamp(0, 1)
            if progress is not None:
                progress(number * iterations + iteration + 1, octaves * iterations)
    return picture.detach().cpu().numpy()


def _to_rgb(picture: Tensor) -> Tensor:
    return _GREY + _DEVIATION * picture


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
    """Shift and turn at random, all pictures alike."""
    moved = _shift(picture, growth.jitter, generator)
    if not growth.rotation:
        return moved
    angle = torch.deg2rad((torch.rand((), generator=generator) * 2 - 1) * growth.rotation)
    zero = torch.zeros(())
    rows = [torch.stack([angle.cos(), -angle.sin(), zero]), torch.stack([angle.sin(), angle.cos(), zero])]
    turn = torch.stack(rows).to(moved).expand(len(moved), 2, 3)
    grid = F.affine_grid(turn, list(moved.shape), align_corners=False)
    return F.grid_sample(moved, grid, padding_mode="reflection", align_corners=False)


def _shift(picture: Tensor, jitter: int, generator: torch.Generator) -> Tensor:
    """Roll by up to ``jitter`` px both ways."""
    if not jitter:
        return picture
    down, right = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
    return picture.roll((down, right), dims=(2, 3))


def _resample(image: Tensor, side: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == side:
        return image
    return F.interpolate(image, size=side, mode="bicubic", align_corners=False, antialias=True)
