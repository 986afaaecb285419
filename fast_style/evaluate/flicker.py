"""Flicker: how much a stylized picture changes where the photo only moved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError
from fast_style.evaluate.motion import Moment
from fast_style.images import Picture, Pixels, Planes, channels, fit
from fast_style.runtime.stylizer import Stylizer

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Flicker:
    """The change from frame to frame that motion does not explain, where the motion is known.

    Attributes:
        error: Mean absolute difference of the stylized frames after warping, levels of 255, inside the mask.
        photos: The same of the photos themselves: what the flow, noise and light leave.
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


def measure_flicker(stylize: Callable[[Pixels], Pixels], frames: Sequence[Pixels]) -> Flicker:
    """Warp each stylized frame to the next by the photos' optical flow, and compare.

    Args:
        stylize: From (H, W, 3) uint8 to the same.
        frames: At least two, of one size.

    Raises:
        InputError: There are fewer frames, or OpenCV is not installed.

    Reference:
        Ruder, Dosovitskiy and Brox 2016, sections 3.1 and 3.2 (consistency of the flow).
    """
    if len(frames) < 2:
        raise InputError(f"flicker needs at least two frames, got {len(frames)}")
    flow = _dis()
    parts = []
    before = stylize(frames[0])
    for first, second in itertools.pairwise(frames):
        after = stylize(second)
        backward, mask = consistent_flow(flow, first, second)
        parts.append(_compare(warp(before, backward), after, warp(first, backward), second, mask))
        before = after
    return mean(parts)


def measure_motion(stylize: Callable[[Pixels], Pixels], scene: Iterable[Moment]) -> Flicker:
    """The same for a scene whose motion is exactly known, with noise as a camera's.

    Args:
        stylize: From (H, W, 3) uint8 to the same.
        scene: At least two moments, as :func:`fast_style.evaluate.motion.play` makes them.
    """
    parts = []
    for first, second in itertools.pairwise((moment, stylize(moment.frame)) for moment in scene):
        (before, drawn_before), (now, drawn) = first, second
        warped, photo = warp(drawn_before, now.flow), warp(before.frame, now.flow)
        parts.append(_compare(warped, drawn, photo, now.frame, now.known))
    return mean(parts)


def filmed(stylizer: Stylizer, *, steady: bool = False) -> Callable[[Pixels], Pixels]:
    """The style as ``stylize`` draws the frames of one film, in their order; ``steady`` as with ``--steady``."""
    from fast_style.runtime.scene import Scene

    scene = Scene(stylizer)

    def draw(photo: Planes, origin: tuple[int, int]) -> Pixels:
        result = np.empty((3, *photo[0].shape), np.uint8)
        scene.style(photo).planes(photo, result, origin=origin)
        return result

    return _in_a_film(draw, steady=steady)


def steadily(stylize: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
    """Any style with the filter of ``stylize --steady`` around it, for the frames of one clip in their order."""
    return _in_a_film(lambda photo, origin: np.stack(channels(stylize(np.stack([*photo], axis=-1)))), steady=True)


def _in_a_film(draw: Callable[[Planes, tuple[int, int]], Pixels], *, steady: bool) -> Callable[[Pixels], Pixels]:
    from fast_style.runtime.motion import MotionTracker
    from fast_style.runtime.steady import SteadyFilter

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


def measure_stereo(
    stylize: Callable[[Pixels], Pixels], left: Pixels, right: Pixels, disparity: NDArray[np.floating[Any]]
) -> Flicker:
    """The same for two views of one scene whose correspondence is exactly known.

    Args:
        stylize: From (H, W, 3) uint8 to the same.
        left: (H, W, 3) uint8.
        right: (H, W, 3) uint8, of the size of ``left``.
        disparity: (H, W), px: what is at x in the left picture is at x - disparity in the right one; not finite
            if unknown.
    """
    known = np.isfinite(disparity)
    shift = np.where(known, disparity, 0.0).astype(np.float32)
    flow = np.stack([-shift, np.zeros_like(shift)], axis=-1)
    mask = known & _inside(flow) & _visible(shift, known)
    part = _compare(warp(stylize(right), flow), stylize(left), warp(right, flow), left, mask)
    return mean([part])


def _visible(disparity: Floats, known: Mask) -> Mask:
    """Where nothing nearer hides the point in the right picture: larger disparities are nearer."""
    height, width = disparity.shape
    rows, columns = np.nonzero(known)
    target = np.rint(columns - disparity[rows, columns]).astype(np.int64)
    fits = (target >= 0) & (target < width)
    rows, columns, target = rows[fits], columns[fits], target[fits]
    nearest = np.full((height, width), -np.inf, dtype=np.float32)
    np.maximum.at(nearest, (rows, target), disparity[rows, columns])
    visible = np.zeros((height, width), dtype=bool)
    visible[rows, columns] = disparity[rows, columns] >= nearest[rows, target] - 1.0
    return visible


def consistent_flow(flow: Any, first: Pixels, second: Pixels) -> tuple[Floats, Mask]:
    """Where each pixel of the second frame was in the first, (H, W, 2) px, and where that can be trusted.

    Trusted is what stays inside the picture and comes back to its place by the opposite flow.

    Reference:
        Sundaram, Brox and Keutzer 2010, equation 5.
    """
    grey = [
        np.ascontiguousarray((frame @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)) for frame in (first, second)
    ]
    backward: Floats = flow.calc(grey[1], grey[0], None)
    forward: Floats = flow.calc(grey[0], grey[1], None)
    returned = warp(forward, backward)
    gap = ((backward + returned) ** 2).sum(axis=-1)
    size = (backward**2).sum(axis=-1) + (returned**2).sum(axis=-1)
    return backward, (gap <= 0.01 * size + 0.5) & _inside(backward)


def warp(image: NDArray[Any], flow: Floats) -> Floats:
    """Fetch each pixel from where the flow points, bilinearly: (H, W, C) to the same, float32."""
    import cv2

    x, y = _targets(flow)
    moved = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def _targets(flow: Floats) -> tuple[Floats, Floats]:
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def _inside(flow: Floats) -> Mask:
    x, y = _targets(flow)
    height, width = flow.shape[:2]
    inside: Mask = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside


def _compare(warped: Floats, after: Pixels, photo_warped: Floats, photo: Pixels, mask: Mask) -> Flicker:
    if not mask.any():
        raise InputError("no pixel of these frames has a motion that can be trusted", hint="Give a calmer clip.")

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


def _dis() -> Any:
    import cv2

    library: Any = cv2  # its types lack some names
    return library.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def read_clip(path: Path, *, frames: int, size: int) -> list[Pixels]:
    """Decode the first frames of a clip, shrunk to a long side of ``size`` px.

    Raises:
        InputError: It does not exist or is not a video.
    """
    import av

    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a clip")

    def decode() -> Iterator[Pixels]:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield fit(Picture(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)), size).pixels

    found: list[Pixels] = []
    try:
        for pixels in decode():
            found.append(pixels)
            if len(found) == frames:
                break
    except (av.FFmpegError, IndexError) as error:  # an IndexError is a file without video
        raise InputError(f"{path} cannot be read as a clip: {error}") from error
    return found


def motorcycle() -> tuple[Pixels, Pixels, NDArray[np.floating[Any]]]:
    """scikit-image's stereo pair with its true disparity, from the Middlebury data set of 2014.

    Raises:
        InputError: scikit-image is not installed.
    """
    try:
        import skimage.data
    except ModuleNotFoundError as error:
        raise InputError("the stereo pair comes with scikit-image", hint="pip install scikit-image.") from error
    left, right, disparity = skimage.data.stereo_motorcycle()
    return left, right, disparity
