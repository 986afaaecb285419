"""Steady video from a network that knows nothing of time: hold what only noise changes, smooth along motion."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.films.motion import Map, brightness, scaled
from fast_style.images import Pixels, Planes

Image = NDArray[np.float32]  # (H, W, 3), 0 to 255

# Thresholds of motion, as multiples of the noise. Brightness is in 8-bit levels. Noise of deviation s changes a patch
# of 5 by 5 px by 0.8·s ± 0.12·s on average, so hardly ever by 1.6 times the change of the quieter patches.
_PATCH = (5, 5)
_STILL, _MOVED = 1.6, 2.4
_QUIET_PERCENTILE = 25
_LEAST_NOISE, _MOST_NOISE = 0.6, 8.0
# Rates of following where nothing moves, per frame: of the photo, so that slow changes of light come through, and of
# the result.
_HOLD_RATE = 1 / 16
_SMOOTH_RATE = 1 / 6
# Rate of following where the picture moves: the result is resampled at each frame, so it must be renewed sooner.
_CARRY_RATE = 1 / 4
# Percentile of the differences after warping that noise and resampling alone explain.
_CARRIED_PERCENTILE = 50
# Error of the flow that is not taken for new content, px of the small copy. Without it, edges are new in each frame,
# and flicker.
_FLOW_ERROR = 0.2
# Change of the stylized picture, as multiples of its median, and the least median, levels.
_ALIKE, _UNLIKE, _LEAST_CHANGE = 2.0, 3.0, 2.0
# Distance at which new content affects a brush stroke, px.
_STROKE = 9
# Share of the picture in motion above which it is a cut or a pan, and nothing is held.
_ALL_MOVED = 0.6


@dataclass(frozen=True)
class Change:
    """What changed since the previous frame, on small copies of the frame: many frames wait for the network.

    Attributes:
        new: (h, w) float32; 1 where content or a mask was not there in the previous frame, 0 elsewhere.
        moved: (h, w) float32; more than 0 where more than noise changed.
        flow: See :class:`~fast_style.films.motion.FrameMotion`.
        camera: Offset of the camera's place since the previous frame, down and across, px of the frame.
    """

    new: Map
    moved: Map
    flow: Map | None
    camera: tuple[int, int] = (0, 0)


class SteadyFilter:
    """A filter around the network, for one video: :meth:`hold` before it, :meth:`smooth` after it, in order.

    The two may run in different threads, as they share no state.
    """

    def __init__(self) -> None:
        self._photo: Image | None = None
        self._light: Map | None = None
        self._masks: Sequence[Map] = ()
        self._origin = (0, 0)
        self._result: Image | None = None

    def hold(
        self,
        planes: Planes,
        flow: Map | None = None,
        masks: Sequence[Map] = (),
        *,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[Pixels, Change]:
        """Restore the previous value of pixels that changed by no more than the camera's noise.

        Args:
            planes: Red, green and blue, each (H, W) uint8.
            flow: Of the small copy, see :class:`~fast_style.films.motion.FrameMotion`. Without it, everything that
                moves is new.
            masks: Where styles are painted, (H, W) in [0, 1]; the same number for each frame.
            origin: Row and column of the frame in the scene over which the camera moves, px: what is flat does not seem
                to move, but its strokes do.

        Returns:
            What to stylize, (3, H, W) uint8, and what :meth:`smooth` needs to know of the frame.
        """
        masks_before, self._masks = self._masks, masks
        camera, self._origin = (origin[0] - self._origin[0], origin[1] - self._origin[1]), origin
        photo, light, before = _interleaved(planes), brightness(planes), self._light
        size, small = photo.shape[1::-1], light.shape[::-1]
        if self._photo is None or before is None or self._photo.shape != photo.shape:
            self._photo, self._light = photo, light
            everywhere = np.ones_like(light)
            return np.stack([*planes]), Change(new=everywhere, moved=everywhere, flow=None)
        new = moved = motion(light, before)
        if flow is not None and moved.any():
            offsets = _where(moved, scaled(flow, small), (0, 0))
            inside = cv2.inRange(_grid(*light.shape) + offsets, (0, 0), (small[0] - 1, small[1] - 1)) > 0
            new = np.where(inside, novelty(light, _carried(before, offsets)), np.float32(1))
        rate = np.maximum(_resized(moved, size), np.float32(_HOLD_RATE))
        self._photo = _followed(self._photo, photo, rate)
        held = _rounded(self._photo)
        self._light = brightness(held)
        for mask, last in zip(masks, masks_before, strict=True):
            new = np.maximum(new, _resized(np.abs(mask - last), small))
        return held, Change(new, moved, flow, camera)

    def smooth(self, result: Pixels, change: Change) -> Pixels:
        """Let the stylized picture change slowly where nothing is new, and at once where something is.

        Args:
            result: (3, H, W) uint8, the network's picture of what :meth:`hold` returned.
            change: What it returned with it.
        """
        stylized = _interleaved(result)
        if self._result is None or self._result.shape != stylized.shape:
            self._result = stylized
            return result
        size, small = (result.shape[2], result.shape[1]), change.new.shape[::-1]
        slowest = np.full_like(change.new, _SMOOTH_RATE)
        if change.flow is not None and (change.moved.any() or any(change.camera)):
            offsets = _where(change.moved, scaled(change.flow, size), change.camera[::-1])
            self._result = _carried(self._result, _resized(offsets, size))
            slowest[change.moved > 0] = _CARRY_RATE
        # Rates are found on the small copy, on which a stroke is smaller, too.
        stroke = max(3, round(_STROKE * small[0] / size[0]))
        near = cv2.blur(cv2.dilate(change.new, np.ones((stroke, stroke), np.uint8)), (stroke, stroke))
        apart = np.abs(cv2.cvtColor(stylized - self._result, cv2.COLOR_RGB2GRAY))
        unlike = _unlike(_resized(apart, small), stroke)
        # Twice the blurred value, so that new content and its rim follow fully, and only the outer rim less.
        rate = np.clip(np.maximum(2 * near, unlike), slowest, np.float32(1))
        self._result = _followed(self._result, stylized, _resized(rate, size))
        return _rounded(self._result)


def motion(light: Map, before: Map) -> Map:
    """Where one picture differs from another by more than noise.

    Args:
        light: (H, W) float32 brightness, 0 to 255.
        before: (H, W) float32 brightness, 0 to 255, of the picture to compare with.

    Returns:
        (H, W) float32 from 0, only noise, to 1, motion.
    """
    change = cv2.blur(np.abs(light - before), _PATCH)
    grain = cv2.blur(np.abs(light - cv2.blur(light, (3, 3))), _PATCH)
    # The quiet parts show the noise: in time unless everything moves, in space unless everything is textured.
    return _beyond(change, min(_quiet(change, _QUIET_PERCENTILE), _quiet(grain, _QUIET_PERCENTILE)))


def novelty(light: Map, carried: Map) -> Map:
    """Where a picture differs from a warped one by more than noise, resampling and a flow slightly off, 0 to 1.

    See :func:`motion`.
    """
    across, down = (cv2.Sobel(light, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    change = cv2.blur(np.abs(light - carried), _PATCH)
    explained = np.float32(_FLOW_ERROR) * cv2.blur(np.abs(across) + np.abs(down), _PATCH)
    return _beyond(change - explained, _quiet(change, _CARRIED_PERCENTILE))


def _unlike(change: Map, stroke: int) -> Map:
    """Where a fresh picture differs from the carried one by more than it usually does, 0 to 1.

    There the photo hardly changed, but the strokes did, or the flow was wrong: what is carried would be a ghost.
    """
    mean = np.asarray(cv2.blur(change, (stroke, stroke)), np.float32)
    usual = max(_LEAST_CHANGE, _quiet(mean, 50))
    unlike: Map = np.clip((mean / np.float32(usual) - np.float32(_ALIKE)) / np.float32(_UNLIKE - _ALIKE), 0, 1)
    return unlike


def _quiet(values: Map, percentile: float) -> float:
    return float(np.percentile(values[::4, ::4], percentile))


def _beyond(change: Map, quiet: float) -> Map:
    """From 0 to 1, how far a change is beyond the noise of that size."""
    noise = float(np.clip(quiet, _LEAST_NOISE, _MOST_NOISE))
    moved = np.clip((change / np.float32(noise) - np.float32(_STILL)) / np.float32(_MOVED - _STILL), 0, 1)
    if moved.mean() > _ALL_MOVED:
        return np.ones_like(change)
    return cv2.dilate(moved, np.ones(_PATCH, np.uint8)).astype(np.float32)


def _interleaved(planes: Planes) -> Image:
    return cv2.merge([np.ascontiguousarray(plane) for plane in planes]).astype(np.float32)


def _resized(image: Map, size: tuple[int, int]) -> Map:
    """Shrink by averaging, or enlarge bilinearly, to (width, height) px."""
    shrinks = size[0] < image.shape[1]
    return np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.float32
    )


def _where(moved: Map, offsets: Map, elsewhere: tuple[int, int]) -> Map:
    """Offsets, (h, w, 2), where something moved, and another where nothing did."""
    chosen = np.full_like(offsets, elsewhere)
    cv2.copyTo(offsets, (moved > 0).astype(np.uint8), chosen)
    return chosen


def _followed(image: Image, goal: Image, rate: Map) -> Image:
    """Go a share of the way to another picture, (H, W) in [0, 1]."""
    return np.asarray(cv2.blendLinear(goal, image, rate, 1 - rate), np.float32)


def _rounded(image: Image) -> Pixels:
    """(3, H, W) uint8, clamped: cubic resampling overshoots at edges."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(cv2.convertScaleAbs(np.maximum(image, 0)), [*planes])
    return planes


@lru_cache(2)  # a film's
def _grid(height: int, width: int) -> Map:
    """Column and row of each pixel, (H, W, 2)."""
    return np.ascontiguousarray(np.indices((height, width), dtype=np.float32)[::-1].transpose(1, 2, 0))


def _carried(image: Image, offsets: Map) -> Image:
    """Fetch each pixel from its place, (H, W, 2) px away, across and down.

    Cubic, as linear interpolation would blur a little more each time.
    """
    places = _grid(*offsets.shape[:2]) + offsets
    second = np.empty(0)  # both coordinates are in the first
    return np.asarray(cv2.remap(image, places, second, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)
