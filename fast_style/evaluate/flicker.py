"""Flicker: how much a stylized picture changes where the photo only moved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.evaluate.motion import KINDS, Floats, Moment, play
from fast_style.images import Pixels, Planes, channels
from fast_style.stylize.scene import Scene
from fast_style.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class Flicker:
    """The change from frame to frame that motion does not explain, where the motion is known."""

    error: float  # mean absolute difference of the stylized frames after warping, levels of 255, inside the mask
    photos: float  # the same for the photos: the error of noise and sampling
    contrast: float  # standard deviation of the stylized frames, levels: a paler style flickers less and is no better
    photos_contrast: float  # the same for the photos
    covered: float  # share of the pixels inside the mask, 0 to 1
    pairs: int  # number of pairs of frames that were compared

    @property
    def relative(self) -> float:
        """Error over contrast, divided by that of the photos: 1.0 is as steady as the photos."""
        return (self.error / max(self.contrast, 1e-6)) / max(self.photos / max(self.photos_contrast, 1e-6), 1e-6)


def measure_motion(stylize: Callable[[Pixels], Pixels], scene: Iterable[Moment]) -> Flicker:
    """Warp each stylized frame of a scene to the next by its known motion, and compare.

    ``stylize`` maps (H, W, 3) uint8 to the same. The scene has at least two moments of
    :func:`fast_style.evaluate.motion.play`.

    Reference:
        Ruder, Dosovitskiy and Brox 2016, section 3.1.
    """
    pairs = []
    frames = ((moment, stylize(moment.frame)) for moment in scene)
    for (before, drawn_before), (now, drawn) in itertools.pairwise(frames):
        error, photos = (
            float(np.abs(warp(old, now.flow) - new.astype(np.float32))[now.known].mean())
            for old, new in ((drawn_before, drawn), (before.frame, now.frame))
        )
        pairs.append(Flicker(error, photos, float(drawn.std()), float(now.frame.std()), float(now.known.mean()), 1))
    return mean(pairs)


def filmed(stylizer: Stylizer, *, steady: bool = True) -> Callable[[Pixels], Pixels]:
    """Return a function that draws the frames of one film in order as ``stylize`` does, or with ``--no-steady``."""
    # These need OpenCV.
    from fast_style.films.motion import MotionTracker
    from fast_style.films.steady import SteadyFilter

    scene, tracker, memory = Scene(stylizer.network), MotionTracker(), SteadyFilter()

    def draw(pixels: Pixels) -> Pixels:
        photo: Planes = channels(pixels)
        motion = tracker.follow(photo)
        if steady:
            photo, change = memory.hold(photo, motion.flow, origin=motion.origin)
        result = np.empty((3, *pixels.shape[:2]), np.uint8)
        scene.style(photo).planes(photo, result, origin=motion.origin)
        if steady:
            result = memory.smooth(result, change)
        return np.ascontiguousarray(result.transpose(1, 2, 0))

    return draw


def warp(image: NDArray[Any], flow: Floats) -> Floats:
    """Fetch each pixel of (H, W, C) from where the flow points, bilinearly; float32."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def mean(parts: Sequence[Flicker]) -> Flicker:
    """Average the flicker of several scenes or pairs; the numbers of pairs add up."""
    names = ("error", "photos", "contrast", "photos_contrast", "covered")
    means = {name: float(np.mean([getattr(part, name) for part in parts])) for name in names}
    return Flicker(**means, pairs=sum(part.pairs for part in parts))


def measure_films(models: Mapping[str, Stylizer], photos: Sequence[Pixels]) -> dict[str, dict[str, Flicker]]:
    """Measure flicker on scenes made of photos, (H, W, 3) uint8, for each kind of scene and each way to draw a film.

    Returns:
        ``pan`` with each frame by itself, ``film pan`` as ``stylize`` draws films, ``no-steady pan`` as it does with
        ``--no-steady``, and so on for each kind of scene; the means over the photos, by model.
    """
    films = {kind: [list(play(kind, photo)) for photo in photos] for kind in KINDS}
    measured: dict[str, dict[str, Flicker]] = {}
    for name, stylizer in models.items():
        for way, steady in (("", None), ("film ", True), ("no-steady ", False)):
            for kind, scenes in films.items():
                measures = [
                    measure_motion(stylizer.frame if steady is None else filmed(stylizer, steady=steady), scene)
                    for scene in scenes
                ]
                measured.setdefault(way + kind, {})[name] = mean(measures)
    return measured
