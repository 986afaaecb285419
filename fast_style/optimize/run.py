"""Optimizing the pixels of one picture, coarse to fine."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.device import find_device, to_tensor
from fast_style.errors import ImageError, TrainingDivergedError, check_least, is_out_of_memory
from fast_style.images import Picture, Pixels, fit, mix, resize, to_float, to_uint8
from fast_style.losses import BOLD, LossTerms, Objective, PerceptualLoss, load_vgg
from fast_style.optimize.lbfgs import lbfgs

Init = Literal["photo", "noise"]

# Largest long side at the first scale, px: the receptive field of relu4_1 is 92 px, so larger forms of a style are only
# found in a small picture. An objective that asks for every place begins where the networks' first pass does.
COARSEST, COARSEST_OF_PLACES = 512, 226


@dataclass(frozen=True)
class Settings:
    """How a picture is optimized.

    Attributes:
        iterations: Iterations at the coarsest scale; each finer one gets half as many.
        size: Long side of the result, px; a smaller photo keeps its size.
        style_size: Long side of the painting for a result of ``size``, px: larger gives larger strokes.
        init: Start from the photo or from noise.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        device: auto (a GPU if there is one), cpu, cuda, …

    Raises:
        InputError: A number is out of range.
    """

    iterations: int = 200
    size: int = 512
    style_size: int = 512
    init: Init = "photo"
    vgg: str = "caffe-vgg19"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_least(1, iterations=self.iterations)
        check_least(32, size=self.size, style_size=self.style_size)

    def iterations_at(self, long_side: int, objective: Objective, *, refine: bool = False) -> list[tuple[int, int]]:
        """Return the long side of each scale, px, each twice the one before, and its number of iterations.

        The last is ``long_side``, the first at most 512 px, or 226 px for an objective with a place term. There is one
        scale to ``refine`` a picture, which has its large forms already.
        """
        coarsest = COARSEST_OF_PLACES if objective.places_weight else COARSEST
        halvings = 0 if refine else max(0, math.ceil(math.log2(long_side / coarsest)))
        sides = [round(long_side / 2**step) for step in reversed(range(halvings + 1))]
        return [(sides[0], self.iterations), *((side, max(1, self.iterations // 2)) for side in sides[1:])]


@dataclass(frozen=True)
class Step:
    """An iteration.

    Attributes:
        number: From 1, over all scales.
        terms: The ``total`` after the iteration, and each term's value, unweighted.
        seconds: Time since the start.
        image: (1, 3, H, W), RGB in [0, 1], after the iteration, at the size of its scale.
    """

    number: int
    terms: dict[str, float]
    seconds: float
    image: Tensor


@dataclass(frozen=True)
class Outcome:
    """The optimized picture.

    Attributes:
        pixels: (H, W, 3) uint8, at the photo's size.
        last: The last iteration; None if the first found nothing to improve.
        interrupted: Whether Ctrl-C stopped it.
        exhausted: Whether memory ran out at a finer scale.
    """

    pixels: Pixels
    last: Step | None
    interrupted: bool
    exhausted: bool = False


class Scorer:
    """The objective of a picture and its gradient, for an optimizer.

    Args:
        loss: The objective, as in the training.
        photo: (N, 3, H, W), RGB in [0, 1].

    Attributes:
        terms: The ``total`` at the last picture and each term's value, unweighted.
    """

    def __init__(self, loss: PerceptualLoss, photo: Tensor) -> None:
        self.loss = loss
        self.photo, self.targets = photo, loss.content_targets(photo)
        self.terms: dict[str, float] = {}

    def __call__(self, image: Tensor) -> tuple[float, Tensor]:
        """Return the total and its gradient at (N, 3, H, W), RGB in [0, 1].

        Raises:
            TrainingDivergedError: The objective or its gradient is not finite.
        """
        # Convolutions run faster with channels last; optimizers want their vectors contiguous.
        image = image.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
        terms: LossTerms = self.loss(image, self.targets, photo=self.photo)
        (gradient,) = torch.autograd.grad(terms.total, image)
        self.terms = terms.figures()
        if not math.isfinite(self.terms["total"]) or not bool(torch.isfinite(gradient).all()):
            parts = ", ".join(f"{name} {value:.3g}" for name, value in self.terms.items() if name != "total")
            raise TrainingDivergedError(
                f"the objective is {self.terms['total']} ({parts}) or its gradient is not finite",
                hint="Lower the weights, or use --preset balanced.",
            )
        return self.terms["total"], gradient.contiguous()


def optimize_picture(
    photo: Pixels,
    painting: Pixels,
    objective: Objective = BOLD,
    settings: Settings = Settings(),
    *,
    start: Pixels | None = None,
    colors: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Outcome:
    """Optimize a picture until the iterations are done, nothing improves any more, memory runs out, or Ctrl-C.

    Args:
        photo: (H, W, 3) uint8.
        painting: (H, W, 3) uint8, of any size.
        objective: The objective to minimize.
        settings: How it is minimized.
        start: (H, W, 3) uint8 of the photo's aspect ratio, the picture to start from instead of ``settings.init``, such
            as what a network drew. It is refined at full size only.
        colors: Keep the photo's colors.
        on_step: Called after each iteration.

    Raises:
        ImageError: The photo is too small for the objective's deepest layer.
        WeightsError: The perceptual weights cannot be loaded.
        LayerError: The objective names a layer that does not exist.
        TrainingDivergedError: The objective is no longer finite.
        DeviceError: The device cannot be used.

    Reference:
        Gatys, Ecker and Bethge 2016; coarse to fine as in Gatys et al. 2017, section 6. With a place term, the content
        and the self-similarity weigh half as much at each finer scale, as in Kolkin et al. 2019, section 2.5: forms are
        decided while the photo counts most, and strokes while it counts least.

    Differs from the papers:
        L-BFGS is bounded to [0, 1] and starts from the photo; ``balanced`` scales each term by this photo's value. The
        weights at the last scale are those of the objective.
    """
    finest = fit(Picture(photo), settings.size)
    last: Step | None = None
    interrupted = exhausted = False
    try:
        for last in _steps(finest, painting, objective, settings, start):
            on_step(last)
    except KeyboardInterrupt:
        if last is None:
            raise  # there is nothing to keep
        interrupted = True
    except (MemoryError, RuntimeError) as error:
        if last is None or not is_out_of_memory(error):
            raise
        exhausted = True
    except TrainingDivergedError as error:
        number = last.number + 1 if last else 1
        raise TrainingDivergedError(f"iteration {number}: {error}", hint=error.hint) from error
    begun = finest.pixels if start is None else start  # returned if nothing was better
    pixels = to_uint8(last.image.cpu().numpy()) if last else begun
    if pixels.shape != finest.pixels.shape:  # it ended at a coarse scale
        pixels = resize(Picture(pixels), finest.size).pixels
    if colors:
        mixed = to_float(pixels)
        mix(to_float(finest.pixels), mixed, keep_colors=True)
        pixels = to_uint8(mixed)
    return Outcome(pixels, last, interrupted, exhausted)


def _steps(
    finest: Picture, painting: Pixels, objective: Objective, settings: Settings, first: Pixels | None
) -> Iterator[Step]:
    """Yield all iterations at all scales; the objective falls strictly at each scale."""
    device = find_device(settings.device)
    vgg = load_vgg(settings.vgg, objective).to(device).eval()
    long_side = max(finest.size)
    image = None if first is None else to_tensor(resize(Picture(first), finest.size).pixels, device)
    number, start = 0, time.perf_counter()
    scales = settings.iterations_at(long_side, objective, refine=first is not None)
    for finer, (side, iterations) in zip(reversed(range(len(scales))), scales, strict=True):
        content = to_tensor(fit(finest, side).pixels, device)
        style_side = settings.style_size * side / long_side
        style = to_tensor(fit(Picture(painting), style_side, enlarge=True).pixels, device)
        # What is compared with the photo's features weighs more at coarse scales.
        times = 2**finer if objective.places_weight else 1
        content_weight, similarity_weight = times * objective.content_weight, times * objective.similarity_weight
        weighed = replace(objective, content_weight=content_weight, similarity_weight=similarity_weight)
        try:
            loss = PerceptualLoss(vgg, style, weighed)
        except ImageError as error:
            what = f"the painting is {style.shape[3]}×{style.shape[2]} px beside a picture of {side} px"
            raise ImageError(f"{what}: {error}", hint="Give a larger --style-size.") from error
        if objective.weighting == "balanced":
            loss.calibrate([content])
        score = Scorer(loss, content)
        if image is None:
            noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))  # the same each time
            image = content if settings.init == "photo" else noise.to(device)
        elif image.shape != content.shape:
            image = F.interpolate(image, content.shape[-2:], mode="bicubic", align_corners=False).clamp(0.0, 1.0)
        descent = islice(lbfgs(score, image.contiguous()), iterations)
        for image in descent:
            number += 1
            yield Step(number, dict(score.terms), time.perf_counter() - start, image)
