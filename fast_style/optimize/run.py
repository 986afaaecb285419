"""One picture optimised from end to end, coarse to fine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.device import find_device, to_tensor
from fast_style.errors import InputError, TrainingDivergedError
from fast_style.images import Picture, Pixels, fit, fit_size, mix, resize, to_float, to_uint8
from fast_style.losses import BOLD, Objective, PerceptualLoss, load_vgg
from fast_style.optimize.descent import Precision, Scorer, adam
from fast_style.optimize.lbfgs import lbfgs

Optimizer = Literal["lbfgs", "adam"]
Init = Literal["photo", "noise", "style"]

# Above this long side, px, a picture is first optimised at half of its size: the receptive field of relu4_1 is
# 92 px, so a style's larger forms are only found in a small picture.
COARSEST = 512


@dataclass(frozen=True)
class Settings:
    """How a picture is optimised.

    Attributes:
        objective: What is minimised.
        vgg: Where the perceptual weights come from.
        optimizer: ``lbfgs`` or ``adam``.
        iterations: Iterations at the coarsest scale; each finer one gets half as many.
        size: Long side of the result, px; a smaller photo keeps its size.
        style_size: Long side of the paintings beside a result of ``size``, px: larger gives larger strokes.
        init: Start from the photo, from noise, or from the first painting cut to the photo's shape.
        scales: How many sizes, each twice the one before; None halves down to 512 px.
        learning_rate: Adam's.
        history: Steps that L-BFGS remembers.
        seed: Of the noise.
        precision: Of the perceptual network: ``32`` or ``bf16``.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, …

    Raises:
        InputError: A number is out of range.
    """

    objective: Objective = BOLD
    vgg: str = "caffe-vgg19"
    optimizer: Optimizer = "lbfgs"
    iterations: int = 200
    size: int = 512
    style_size: int = 512
    init: Init = "photo"
    scales: int | None = None
    learning_rate: float = 0.02
    history: int = 10
    seed: int = 0
    precision: Precision = "32"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low in (("iterations", 1), ("size", 32), ("style_size", 32), ("history", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {low}")
        if not 0 < self.learning_rate <= 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected a number above 0, up to 1")
        if self.scales is not None and not 1 <= self.scales <= 6:
            raise InputError(f"scales is {self.scales}; expected 1 to 6")


@dataclass(frozen=True)
class Step:
    """One iteration.

    Attributes:
        scale: Number of the scale, from 1.
        size: Width and height at this scale, px.
        iteration: Number of the iteration at this scale, from 1.
        terms: The ``total`` after the iteration, and each term's value, unweighted.
        evaluations: How often the objective was computed in this iteration.
        seconds: Since the start.
        image: (1, 3, H, W), RGB in [0, 1], after the iteration.
    """

    scale: int
    size: tuple[int, int]
    iteration: int
    terms: dict[str, float]
    evaluations: int
    seconds: float
    image: Tensor


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        pixels: (H, W, 3) uint8, the best picture at the finest scale that was reached, at the photo's size.
        steps: Every iteration, without its image.
        interrupted: Whether Ctrl-C ended it.
    """

    pixels: Pixels
    steps: tuple[Step, ...]
    interrupted: bool


def scale_sizes(size: int, scales: int | None) -> list[int]:
    """Long sides, px, from coarse to fine; the last is ``size``."""
    count = scales if scales is not None else 1 + max(0, math.ceil(math.log2(size / COARSEST)))
    return [max(1, round(size / 2**step)) for step in reversed(range(count))]


def iterations_total(settings: Settings, scales: int) -> int:
    """How many iterations a run takes over all of its scales, at most."""
    return settings.iterations + (scales - 1) * _finer(settings.iterations)


def _finer(iterations: int) -> int:
    return max(1, iterations // 2)


def optimize_picture(
    photo: Pixels,
    paintings: Sequence[Pixels],
    settings: Settings | None = None,
    *,
    style_shares: Sequence[float] | None = None,
    colors: bool = False,
    on_step: Callable[[Step], None] | None = None,
) -> Outcome:
    """Optimise one picture until the iterations are done, nothing improves any more, or Ctrl-C.

    Args:
        photo: (H, W, 3) uint8.
        paintings: At least one, each (H, W, 3) uint8, of any size.
        settings: How.
        style_shares: Share of each painting, or None for equal ones.
        colors: Keep the photo's colours.
        on_step: Called after every iteration.

    Raises:
        InputError: There is no painting, or the number of shares is not that of the paintings.
        ImageError: The photo is too small for the objective's deepest layer.
        WeightsError: The perceptual weights cannot be had.
        LayerError: The objective names a layer that does not exist.
        TrainingDivergedError: The objective is no longer finite.
        DeviceError: The device cannot be used.

    Reference:
        Gatys, Ecker and Bethge 2016; coarse to fine as in Gatys et al. 2017, section 6.

    Differs from the paper:
        L-BFGS is ours, bounded to [0, 1], and starts from the photo; units of ``balanced`` are this photo's own.
    """
    settings = settings or Settings()
    device = find_device(settings.device)
    objective = settings.objective
    vgg = load_vgg(settings.vgg, objective).to(device).eval()
    finest = fit(Picture(photo), settings.size)
    long_side = max(finest.size)
    sizes = scale_sizes(long_side, settings.scales)
    steps: list[Step] = []
    image: Tensor | None = None
    interrupted = False
    start = time.perf_counter()
    try:
        for number, side in enumerate(sizes, 1):
            shrunk = fit(finest, side)
            content = to_tensor(shrunk.pixels, device)
            styles = [
                to_tensor(scaled(painting, settings.style_size * side / long_side), device) for painting in paintings
            ]
            loss = PerceptualLoss(vgg, styles, objective, style_shares=style_shares)
            if objective.weighting == "balanced":
                loss.calibrate([content])
            score = Scorer(loss, loss.content_targets(content), precision=settings.precision)
            if image is None:
                image = _first(settings, content, paintings[0])
            else:
                image = F.interpolate(image, content.shape[-2:], mode="bicubic", align_corners=False).clamp(0.0, 1.0)
            wanted = settings.iterations if number == 1 else _finer(settings.iterations)
            lowest = math.inf
            for iteration, (current, value, evaluations) in enumerate(
                islice(_descend(score, image, settings), wanted), 1
            ):
                if value < lowest:
                    lowest, image = value, current
                step = Step(
                    number,
                    shrunk.size,
                    iteration,
                    dict(score.terms),
                    evaluations,
                    time.perf_counter() - start,
                    current,
                )
                steps.append(replace(step, image=current[..., :0, :0]))
                if on_step is not None:
                    on_step(step)
    except KeyboardInterrupt:
        if image is None or not steps:
            raise  # nothing was made that could be kept
        interrupted = True
    except TrainingDivergedError as error:
        raise TrainingDivergedError(f"iteration {len(steps) + 1}: {error}", hint=error.hint) from error
    assert image is not None
    pixels = to_uint8(image.cpu().numpy())
    if pixels.shape != finest.pixels.shape:  # interrupted at a coarse scale
        pixels = resize(Picture(pixels), finest.size).pixels
    if colors:
        mixed = to_float(pixels)
        mix(to_float(finest.pixels), mixed, keep_colors=True)
        pixels = to_uint8(mixed)
    return Outcome(pixels, tuple(steps), interrupted)


def scaled(pixels: Pixels, long_side: float) -> Pixels:
    """Resample so that the long side has that many px, enlarging if needed; never squashed."""
    picture = Picture(pixels)
    size = fit_size(picture.size, long_side, enlarge=True)
    return pixels if size == picture.size else resize(picture, size).pixels


def _first(settings: Settings, content: Tensor, painting: Pixels) -> Tensor:
    if settings.init == "noise":
        generator = torch.Generator().manual_seed(settings.seed)
        return torch.rand(content.shape, generator=generator).to(content.device)
    if settings.init == "style":
        height, width = content.shape[-2:]
        rows, columns = painting.shape[:2]
        scale = max(height / rows, width / columns)
        cover = resize(Picture(painting), (max(width, round(columns * scale)), max(height, round(rows * scale))))
        top, left = (cover.size[1] - height) // 2, (cover.size[0] - width) // 2
        cut = cover.pixels[top : top + height, left : left + width]
        return to_tensor(cut, content.device)
    return content.contiguous()


def _descend(score: Scorer, image: Tensor, settings: Settings) -> Iterator[tuple[Tensor, float, int]]:
    if settings.optimizer == "adam":
        return adam(score, image, learning_rate=settings.learning_rate)
    return lbfgs(score, image.contiguous(), history=settings.history)
