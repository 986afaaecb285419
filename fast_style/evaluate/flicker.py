"""Flicker: how much a stylized picture changes where the photo only moved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.evaluate.motion import Moment
from fast_style.images import Pixels, Planes, channels
from fast_style.stylize.stylizer import Stylizer

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Flicker:
    """The change from frame to frame that motion does not explain, where the motion is known.

    Attributes:
        error: Mean absolute difference of the stylized frames after warping, levels of 255, inside the mask.
        photos: The same of the photos themselves: what noise and sampling leave.
        contrast: Standard deviation of the stylized frames, levels: a paler style flickers less and is no better.
        photos_contrast: The same of the photos.
        covered: Share of the pixels inside the mask, 0 to 1.
        pairs: Of frames that were compared.
    """

    error: float
    photos: float
    contrast: float
    photos_contrast: float
    covered: float
    pairs: int

    @property
    def relative(self) -> float:
        """The error in units of the contrast over the photos' own: 1.0 is as steady as the photos."""
        return (self.error / max(self.contrast, 1e-6)) / max(self.photos / max(self.photos_contrast, 1e-6), 1e-6)


def measure_motion(stylize: Callable[[Pixels], Pixels], scene: Iterable[Moment]) -> Flicker:
    """Warp each stylized frame of a scene to the next by its known motion, and compare.

    Args:
        stylize: From (H, W, 3) uint8 to the same.
        scene: At least two moments, as :func:`fast_style.evaluate.motion.play` makes them.

    Reference:
        Ruder, Dosovitskiy and Brox 2016, section 3.1.
    """
    parts = []
    for first, second in itertools.pairwise((moment, stylize(moment.frame)) for moment in scene):
        (before, drawn_before), (now, drawn) = first, second
        warped, photo = warp(drawn_before, now.flow), warp(before.frame, now.flow)
        parts.append(_compare(warped, drawn, photo, now.frame, now.known))
    return mean(parts)


def filmed(stylizer: Stylizer, *, steady: bool = False) -> Callable[[Pixels], Pixels]:
    """The style as ``stylize`` draws the frames of one film, in their order; ``steady`` as with ``--steady``."""
    from fast_style.films.scene import Scene

    scene = Scene(stylizer.network)

    def draw(photo: Planes, origin: tuple[int, int]) -> Pixels:
        result = np.empty((3, *photo[0].shape), np.uint8)
        scene.style(photo).planes(photo, result, origin=origin)
        return result

    return _in_a_film(draw, steady=steady)


def steadily(stylize: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
    """Any style with the filter of ``stylize --steady`` around it, for the frames of one clip in their order."""
    return _in_a_film(lambda photo, origin: np.stack(channels(stylize(np.stack([*photo], axis=-1)))), steady=True)


def _in_a_film(draw: Callable[[Planes, tuple[int, int]], Pixels], *, steady: bool) -> Callable[[Pixels], Pixels]:
    from fast_style.films.motion import MotionTracker
    from fast_style.films.steady import SteadyFilter

    tracker, filter = MotionTracker(), SteadyFilter() if steady else None

    def next_frame(pixels: Pixels) -> Pixels:
        photo: Planes = channels(pixels)
        motion = tracker.follow(photo)
        if filter is None:
            result = draw(photo, motion.origin)
        else:
            held = filter.hold(photo, motion.pixels(*photo[0].shape))
            result = filter.smooth(draw(held.photo, motion.origin), held)
        return np.ascontiguousarray(result.transpose(1, 2, 0))

    return next_frame


def warp(image: NDArray[Any], flow: Floats) -> Floats:
    """Fetch each pixel from where the flow points, bilinearly: (H, W, C) to the same, float32."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def _compare(warped: Floats, after: Pixels, photo_warped: Floats, photo: Pixels, mask: Mask) -> Flicker:
    def error(moved: Floats, there: Pixels) -> float:
        return float(np.abs(moved - there.astype(np.float32))[mask].mean())

    return Flicker(
        error(warped, after), error(photo_warped, photo), float(after.std()), float(photo.std()), float(mask.mean()), 1
    )


def mean(parts: Sequence[Flicker]) -> Flicker:
    """Average what was measured on several scenes or pairs; the numbers of pairs add up."""
    names = ("error", "photos", "contrast", "photos_contrast", "covered")
    means = {name: float(np.mean([getattr(part, name) for part in parts])) for name in names}
    return Flicker(**means, pairs=sum(part.pairs for part in parts))
