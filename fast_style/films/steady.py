"""Steady video from a network that knows nothing of time: hold what only noise changes, smooth along motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.images import LUMA, Pixels, Planes

Map = NDArray[np.float32]

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
# Distance at which new content affects a brush stroke, px.
_STROKE = 9
# Share of the picture in motion above which it is a cut or a pan, and nothing is held.
_ALL_MOVED = 0.6


@dataclass(frozen=True)
class HeldFrame:
    """A picture whose noise is held still.

    Attributes:
        photo: (3, H, W) uint8, what to stylize.
        new: (H, W) float32; 1 where content or a mask was not there in the previous frame, 0 elsewhere.
        flow: (H, W, 2) px: the offset of each pixel's position in the previous frame; zero where only noise changed.
    """

    photo: Pixels
    new: Map
    flow: Map


class SteadyFilter:
    """A filter around the network, for one video: :meth:`hold` before it, :meth:`smooth` after it, in order.

    The two may run in different threads, as they share no state.
    """

    def __init__(self) -> None:
        self._photo: Map | None = None
        self._masks: Sequence[Map] = ()
        self._result: Map | None = None

    def hold(self, planes: Planes, flow: Map | None = None, masks: Sequence[Map] = ()) -> HeldFrame:
        """Restore the previous value of pixels that changed by no more than the camera's noise.

        Args:
            planes: Red, green and blue, each (H, W) uint8.
            flow: (H, W, 2) px: the offset of each pixel's position in the previous frame. Without it, everything
                that moves is new.
            masks: Where styles are painted, (H, W) in [0, 1]; the same number for each frame.
        """
        masks_before, self._masks = self._masks, masks
        photo = np.stack([*planes]).astype(np.float32)
        if self._photo is None or self._photo.shape != photo.shape:
            self._photo = photo
            return HeldFrame(np.stack([*planes]), np.ones(photo.shape[1:], np.float32), _no_flow(photo))
        light, before = _light(photo), _light(self._photo)
        new = moved = motion(light, before)
        self._photo += np.maximum(moved, np.float32(_HOLD_RATE)) * (photo - self._photo)
        flow = np.where(moved[..., None] > 0, _no_flow(photo) if flow is None else flow, np.float32(0))
        if flow.any():
            x, y = _sources(flow)
            height, width = light.shape
            outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
            new = np.where(outside, np.float32(1), novelty(light, _fetch(before, x, y)))
        for mask, last in zip(masks, masks_before, strict=True):
            new = np.maximum(new, np.abs(mask - last))
        return HeldFrame((self._photo + np.float32(0.5)).astype(np.uint8), new, flow)

    def smooth(self, result: Pixels, held: HeldFrame) -> Pixels:
        """Let the stylized picture change slowly where nothing is new, and at once where something is.

        Args:
            result: (3, H, W) uint8, the network's picture of ``held.photo``.
            held: What :meth:`hold` returned for that frame.
        """
        stylized = result.astype(np.float32)
        if self._result is None or self._result.shape != stylized.shape:
            self._result = stylized
            return result
        if held.flow.any():
            x, y = _sources(held.flow)
            self._result = np.stack([_fetch(plane, x, y) for plane in self._result])
        slowest = np.where(held.flow.any(axis=-1), np.float32(_CARRY_RATE), np.float32(_SMOOTH_RATE))
        near = cv2.dilate(held.new, np.ones((_STROKE, _STROKE), np.uint8))
        near = cv2.blur(near, (_STROKE, _STROKE))
        # Twice the blurred value, so that new content and its rim follow fully, and only the outer rim less.
        rate = np.clip(2 * near, slowest, np.float32(1)).astype(np.float32)
        self._result += rate * (stylized - self._result)
        # Cubic resampling overshoots at edges.
        smoothed: Pixels = np.clip(self._result + np.float32(0.5), 0, 255).astype(np.uint8)
        return smoothed


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
    """Where a picture differs from a warped one by more than noise and resampling, 0 to 1; see :func:`motion`."""
    change = cv2.blur(np.abs(light - carried), _PATCH)
    return _beyond(change, _quiet(change, _CARRIED_PERCENTILE))


def _quiet(values: Map, percentile: float) -> float:
    return float(np.percentile(values[::4, ::4], percentile))


def _beyond(change: Map, quiet: float) -> Map:
    """From 0 to 1, how far a change is beyond the noise of that size."""
    noise = float(np.clip(quiet, _LEAST_NOISE, _MOST_NOISE))
    moved = np.clip((change / np.float32(noise) - np.float32(_STILL)) / np.float32(_MOVED - _STILL), 0, 1)
    if moved.mean() > _ALL_MOVED:
        return np.ones_like(change)
    return cv2.dilate(moved, np.ones(_PATCH, np.uint8)).astype(np.float32)


def _light(planes: Map) -> Map:
    return np.tensordot(LUMA, planes, axes=1).astype(np.float32)


def _no_flow(photo: Map) -> Map:
    return np.zeros((*photo.shape[1:], 2), np.float32)


def _sources(flow: Map) -> tuple[Map, Map]:
    """Column and row of each pixel's previous position."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def _fetch(plane: Map, x: Map, y: Map) -> Map:
    """Warp a plane. Cubic, as linear interpolation would blur a little more each time."""
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)
