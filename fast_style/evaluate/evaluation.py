"""The evaluation: every model on every photo, beside the photo itself and the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.evaluate.models import Model
from fast_style.evaluate.quality import (
    GRID_LEVELS,
    GRID_RATIO,
    border_contrast,
    color_count,
    dead_area,
    grids,
    saturation,
    smallest_channel_spread,
    structural_similarity,
)
from fast_style.evaluate.reference import LATTICE_CELL, Course, Reference
from fast_style.images import Pixels, to_float, to_uint8
from fast_style.losses import FIGURES

# A lattice is called visible from this share on: at 0.4 % none was seen, at 0.7 % it was, in flat skies.
LATTICE = 0.007
# The frame whose time is given beside that of the evaluated size: height, width.
FRAME = (480, 640)


@dataclass(frozen=True)
class Result:
    """One way of making pictures: unstyled, the reference after N iterations, a model, or pictures from elsewhere.

    Attributes:
        name: ``unstyled``, ``reference N``, or the name of the model or the pictures.
        terms: Mean over the photos of total, content, style and tv.
        neutral: Mean over the photos of distance, colours and kept: see the neutral measure.
        quality: Mean over the photos of each measure; the median for grids' ratios and borders.
        pictures: One for each photo.
        iterations: What the reference reaches after so many iterations, this reaches; None if it reaches
            more than the reference did.
        milliseconds: For a frame of the evaluated size, or None, as for pictures from elsewhere.
        frame_milliseconds: For a frame of 640×480 px, or None.
        ratio: The reference's time to the same objective over this one's time, or None.
        warnings: What is wrong with the pictures, one sentence each.
    """

    name: str
    terms: dict[str, float]
    neutral: dict[str, float]
    quality: dict[str, float]
    pictures: tuple[Pixels, ...]
    iterations: float | None = None
    milliseconds: float | None = None
    frame_milliseconds: float | None = None
    ratio: float | None = None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, without the pictures."""
        return {key: value for key, value in vars(self).items() if key != "pictures"}


@dataclass(frozen=True)
class Evaluation:
    """All results.

    Attributes:
        photos: (H, W, 3) uint8, one size.
        names: The photos'.
        curve: (N + 1, 4), the reference's mean terms after 0 to N iterations.
        reference_seconds: The reference's time for an iteration.
        baselines: Unstyled, then the reference from few to many iterations.
        models: The models, then the pictures from elsewhere.
    """

    photos: tuple[Pixels, ...]
    names: tuple[str, ...]
    curve: NDArray[np.float64]
    reference_seconds: float
    baselines: tuple[Result, ...]
    models: tuple[Result, ...]

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
    models: Sequence[Model],
    photos: Mapping[str, Pixels],
    reference: Reference,
    *,
    pictures: Mapping[str, Sequence[Pixels]] | None = None,
    on_photo: Callable[[str, Course], None] | None = None,
) -> Evaluation:
    """Score everything on every photo.

    Args:
        models: What to evaluate.
        photos: Name to (H, W, 3) uint8, one size of at least 128 px.
        reference: Of the painting.
        pictures: Name to pictures from elsewhere, one for each photo, in the photos' order and of their size.
        on_photo: Called when a photo's reference is there.

    Raises:
        ModelError: A model failed.
        ImageError: The photos are too small.
    """
    pixels = tuple(photos.values())
    courses = []
    for name, photo in photos.items():
        courses.append(reference.course(photo))
        if on_photo is not None:
            on_photo(name, courses[-1])
    curve = np.mean([course.terms for course in courses], axis=0)
    seconds = float(np.median([course.seconds for course in courses]))
    unstyled = (_neutral(pixels, pixels, reference), _quality(pixels, pixels, reference))
    baselines = [Result("unstyled", _terms(curve[0]), *unstyled, pixels, iterations=0.0)]
    for iteration in courses[0].pictures:
        made = tuple(course.pictures[iteration] for course in courses)
        baselines.append(
            Result(
                f"reference {iteration}",
                _terms(curve[iteration]),
                _neutral(made, pixels, reference),
                _quality(made, pixels, reference),
                made,
                iterations=float(iteration),
                milliseconds=1e3 * seconds * iteration,
            )
        )
    best = baselines[-1]
    results = [_evaluate_model(model, pixels, reference, curve, seconds, best) for model in models]
    for name, given in (pictures or {}).items():
        results.append(_score(name, [to_float(picture) for picture in given], pixels, reference, curve, best))
    return Evaluation(pixels, tuple(photos), curve, seconds, tuple(baselines), tuple(results))


def _evaluate_model(
    model: Model,
    photos: tuple[Pixels, ...],
    reference: Reference,
    curve: NDArray[np.float64],
    seconds: float,
    best: Result,
) -> Result:
    made = [model.stylize(to_float(photo)) for photo in photos]
    scored = _score(model.name, made, photos, reference, curve, best)
    taken = _milliseconds(model, photos[0].shape[0], photos[0].shape[1])
    return replace(
        scored,
        milliseconds=taken,
        frame_milliseconds=None if model.fixed else _milliseconds(model, *FRAME),
        ratio=None if scored.iterations is None else 1e3 * seconds * scored.iterations / taken,
    )


def _score(
    name: str,
    made: Sequence[NDArray[np.float32]],
    photos: tuple[Pixels, ...],
    reference: Reference,
    curve: NDArray[np.float64],
    best: Result,
) -> Result:
    """All but the times of pictures, each (1, 3, H, W) in [0, 1]."""
    scores = [reference.score(image, photo) for image, photo in zip(made, photos, strict=True)]
    terms = {name: float(np.mean([score[name] for score in scores])) for name in FIGURES}
    pictures = tuple(to_uint8(image) for image in made)
    quality = _quality(pictures, photos, reference)
    return Result(
        name,
        terms,
        _neutral(pictures, photos, reference),
        quality,
        pictures,
        equivalent_iterations(curve[:, 0], terms["total"]),
        warnings=tuple(find_faults(quality, best.quality)),
    )


def equivalent_iterations(curve: NDArray[np.float64], total: float) -> float | None:
    """Find after how many iterations the reference reaches an objective, interpolated between iterations.

    Args:
        curve: The reference's objective after 0, 1, … iterations; falling.
        total: What to reach.

    Returns:
        0.0 if the objective is no better than the start's, None if the reference never reached it.

    Reference:
        Johnson et al. 2016, figure 5.
    """
    reached = np.flatnonzero(curve <= total)
    if len(reached) == 0:
        return None
    after = int(reached[0])
    if after == 0:
        return 0.0
    high, low = curve[after - 1], curve[after]
    return float(after - 1 + (high - total) / (high - low))


def find_faults(quality: Mapping[str, float], reference: Mapping[str, float]) -> list[str]:
    """Say what is wrong with pictures in comparison with the reference's, one sentence each."""
    faults = []
    for period in (2, 4, 8):
        levels, ratio = quality[f"grid_{period}_levels"], quality[f"grid_{period}_ratio"]
        limits = max(GRID_LEVELS, 2 * reference[f"grid_{period}_levels"])
        if levels > limits and ratio > max(GRID_RATIO, 2 * reference[f"grid_{period}_ratio"]):
            faults.append(f"a grid of {period} px: {levels:.1f} levels, {ratio:.0f} times its neighbours")
    if quality["lattice"] > max(LATTICE, 3 * reference["lattice"]):
        faults.append(
            f"a lattice: {quality['lattice']:.1%} of the features' variance lies in the place within cells of "
            f"{LATTICE_CELL} px, reference {reference['lattice']:.1%}"
        )
    if quality["border"] > max(3.0, 2 * reference["border"]):
        faults.append(f"a border: {quality['border']:.1f} times the steps inside, reference {reference['border']:.1f}")
    if quality["saturation"] > reference["saturation"] + 0.1:
        faults.append(f"burnt: {quality['saturation']:.0%} of the values, reference {reference['saturation']:.0%}")
    if quality["dead_area"] > reference["dead_area"] + 0.1:
        faults.append(f"flat: {quality['dead_area']:.0%} of the area, reference {reference['dead_area']:.0%}")
    if quality["channel_spread"] < 0.25 * reference["channel_spread"]:
        faults.append(f"a dead channel: deviation {quality['channel_spread']:.1f} levels")
    if quality["colors"] < 0.2 * reference["colors"]:
        faults.append(f"dead colours: {quality['colors']:.0f}, reference {reference['colors']:.0f}")
    return faults


def _terms(row: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(FIGURES, row.tolist(), strict=True))


def _neutral(pictures: Sequence[Pixels], photos: Sequence[Pixels], reference: Reference) -> dict[str, float]:
    found = [reference.neutral.measure(photo, picture) for picture, photo in zip(pictures, photos, strict=True)]
    return {name: float(np.mean([getattr(one, name) for one in found])) for name in ("distance", "colours", "kept")}


def _quality(pictures: Sequence[Pixels], photos: Sequence[Pixels], reference: Reference) -> dict[str, float]:
    grid = [grids(picture) for picture in pictures]
    found = {
        "ssim": np.mean([structural_similarity(*pair) for pair in zip(pictures, photos, strict=True)]),
        "saturation": np.mean([saturation(picture) for picture in pictures]),
        "dead_area": np.mean([dead_area(picture) for picture in pictures]),
        "colors": np.mean([color_count(picture) for picture in pictures]),
        "channel_spread": np.mean([smallest_channel_spread(picture) for picture in pictures]),
        "border": np.median([border_contrast(picture) for picture in pictures]),
        "lattice": np.mean([reference.lattice(picture) for picture in pictures]),
    }
    for period in (2, 4, 8):
        found[f"grid_{period}_levels"] = np.mean([one[period].levels for one in grid])
        found[f"grid_{period}_ratio"] = np.median([one[period].ratio for one in grid])
    return {name: float(value) for name, value in found.items()}


def _milliseconds(model: Model, height: int, width: int) -> float:
    """Median of seven, after two to warm up."""
    image = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        model.stylize(image)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[2:]))
