"""Scoring every model on every photo, beside the photo itself and the reference."""

import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.evaluate.quality import GRID_LEVELS, GRID_PERIODS, GRID_RATIO, border_contrast, grids, saturation
from fast_style.evaluate.reference import Reference
from fast_style.images import Pixels
from fast_style.losses.loss import FIGURES

# From a photo, (H, W, 3) uint8 RGB, to its picture, as a Stylizer draws it.
Draw = Callable[[Pixels], Pixels | Image.Image]


@dataclass(frozen=True)
class Result:
    """The figures of one set of pictures: the photos, the reference after N iterations, a model, or another program."""

    name: str  # `unstyled`, `reference N`, or the name of the model or of the other program
    terms: dict[str, float]  # means over the photos of total, content, style and tv
    neutral: dict[str, float]  # means over the photos of distance, colors and kept: see the neutral measure
    # Precision, flat precision and coverage over the photos, each at full, half and quarter size.
    places: dict[str, tuple[float, ...]]
    quality: dict[str, float]  # mean over the photos of each measure; the median for grids' ratios and borders
    pictures: tuple[Pixels, ...]  # the picture of each photo
    # Iterations after which the reference reaches the same objective; None if it never did.
    iterations: float | None = None
    # Time for a frame of the evaluated size, or None, as for another program's pictures.
    milliseconds: float | None = None
    ratio: float | None = None  # the reference's time to the same objective over the model's time, or None
    warnings: tuple[str, ...] = ()  # what is wrong with the pictures, one sentence each

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, without the pictures."""
        return {key: value for key, value in vars(self).items() if key != "pictures"}


@dataclass(frozen=True)
class Evaluation:
    """The results of all models, and of what they are compared with."""

    photos: tuple[Pixels, ...]  # (H, W, 3) uint8, one size
    names: tuple[str, ...]  # names of the photos
    curve: NDArray[np.float64]  # (N + 1, 4), the reference's mean terms after 0 to N iterations
    reference_seconds: float  # the reference's time for an iteration
    baselines: tuple[Result, ...]  # unstyled, then the reference after few to many iterations
    models: tuple[Result, ...]  # the models, then the pictures of other programs

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "photos": list(self.names),
            "reference_seconds_per_iteration": self.reference_seconds,
            "reference_curve": [dict(zip(FIGURES, row, strict=True)) for row in self.curve.tolist()],
            "baselines": [result.as_dict() for result in self.baselines],
            "models": [result.as_dict() for result in self.models],
        }


def evaluate(
    models: Mapping[str, Draw],
    photos: Mapping[str, Pixels],
    reference: Reference,
    *,
    pictures: Mapping[str, Sequence[Pixels]] | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Evaluation:
    """Score models, and pictures of other programs, on photos, beside the photos themselves and the reference.

    Models and photos have names. The photos are (H, W, 3) uint8, all of one size of at least 128 px; ``pictures`` are
    another program's by its name, one for each photo, in their order and of their size. ``on_note`` is called with a
    sentence on the progress of the reference.

    Raises:
        ModelError: A model failed.
        ImageError: The photos are too small.
    """
    originals = tuple(photos.values())
    courses = []
    for name, photo in photos.items():
        course = reference.course(photo)
        courses.append(course)
        how = "from the cache" if course.cached else f"{course.seconds * reference.iterations:.0f} s"
        on_note(f"reference {len(courses)}/{len(photos)}  {name}  {how}")
    curve = np.mean([course.terms for course in courses], axis=0)
    seconds = float(np.median([course.seconds for course in courses]))

    def result(name: str, terms: Sequence[float], drawn: Sequence[Pixels], **more: Any) -> Result:
        neutral = _means([vars(reference.neutral.measure(*pair)) for pair in zip(originals, drawn, strict=True)])
        places, quality = vars(reference.places.measure(originals, drawn)), _quality(drawn)
        return Result(name, dict(zip(FIGURES, terms, strict=True)), neutral, places, quality, tuple(drawn), **more)

    baselines = [result("unstyled", curve[0].tolist(), originals, iterations=0.0)]
    for iteration in courses[0].pictures:
        drawn = [course.pictures[iteration] for course in courses]
        measured = {"iterations": float(iteration), "milliseconds": 1e3 * seconds * iteration}
        baselines.append(result(f"reference {iteration}", curve[iteration].tolist(), drawn, **measured))

    def score(name: str, drawn: Sequence[Pixels]) -> Result:
        means = _means([reference.score(*pair) for pair in zip(drawn, originals, strict=True)])
        terms = [means[figure] for figure in FIGURES]
        scored = result(name, terms, drawn, iterations=equivalent_iterations(curve[:, 0], terms[0]))
        return replace(scored, warnings=tuple(find_faults(scored.quality, baselines[-1].quality)))

    results = []
    for name, draw in models.items():
        scored = score(name, [np.asarray(draw(photo)) for photo in originals])
        taken = _milliseconds(draw, originals[0])
        ratio = None if scored.iterations is None else 1e3 * seconds * scored.iterations / taken
        results.append(replace(scored, milliseconds=taken, ratio=ratio))
    results += [score(name, others) for name, others in (pictures or {}).items()]
    return Evaluation(originals, tuple(photos), curve, seconds, tuple(baselines), tuple(results))


def equivalent_iterations(curve: NDArray[np.float64], total: float) -> float | None:
    """Return after how many iterations the reference reaches an objective, interpolated between iterations.

    It is 0.0 if the objective is no better than at the start, None if the reference never reached it. ``curve`` has
    the reference's objective after 0, 1, … iterations; it falls.

    Reference:
        Johnson et al. 2016, figure 5.
    """
    if total < curve[-1]:
        return None
    return float(np.interp(-total, -curve, np.arange(len(curve))))


def find_faults(quality: Mapping[str, float], reference: Mapping[str, float]) -> list[str]:
    """Say what is wrong with pictures in comparison with the reference's, one sentence each."""
    faults = []
    for period in GRID_PERIODS:
        levels, ratio = quality[f"grid_{period}_levels"], quality[f"grid_{period}_ratio"]
        limits = max(GRID_LEVELS, 2 * reference[f"grid_{period}_levels"])
        if levels > limits and ratio > max(GRID_RATIO, 2 * reference[f"grid_{period}_ratio"]):
            faults.append(f"a grid of {period} px: {levels:.1f} levels, {ratio:.0f} times its neighbors")
    if quality["border"] > max(3.0, 2 * reference["border"]):
        faults.append(f"a border: {quality['border']:.1f} times the steps inside, reference {reference['border']:.1f}")
    if quality["saturation"] > reference["saturation"] + 0.1:
        faults.append(f"burnt: {quality['saturation']:.0%} of the values, reference {reference['saturation']:.0%}")
    return faults


def _means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([figure[name] for figure in figures])) for name in figures[0]}


def _quality(pictures: Sequence[Pixels]) -> dict[str, float]:
    measured = [grids(picture) for picture in pictures]
    quality = {
        "saturation": np.mean([saturation(picture) for picture in pictures]),
        "border": np.median([border_contrast(picture) for picture in pictures]),
    }
    for period in GRID_PERIODS:
        quality[f"grid_{period}_levels"] = np.mean([grid[period].levels for grid in measured])
        quality[f"grid_{period}_ratio"] = np.median([grid[period].ratio for grid in measured])
    return {name: float(value) for name, value in quality.items()}


def _milliseconds(draw: Draw, photo: Pixels) -> float:
    """Time a model: the median of seven runs after two to warm up."""
    return 1e3 * float(np.median(timeit.repeat(lambda: draw(photo), number=1, repeat=9)[2:]))
