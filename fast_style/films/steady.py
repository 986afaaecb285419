"""Steady video from a network that knows nothing of time: hold what only noise moves, smooth along what moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.images import LUMA, Pixels, Planes

Map = NDArray[np.float32]

# All brightness here is in steps of 8 bits. A patch of 5 by 5 px varies by noise of deviation s by 0.8·s ± 0.12·s in
# the mean, so that it has hardly ever 1.6 times what the quieter patches of the picture show.
_PATCH = (5, 5)
_STILL, _MOVED = 1.6, 2.4
_QUIET_PERCENTILE = 25
_LEAST_NOISE, _MOST_NOISE = 0.6, 8.0
# How fast what is held follows where nothing moves: slow changes of light must come through.
_HOLD_RATE = 1 / 16
_SMOOTH_RATE = 1 / 6
# Where the picture moves, what was painted moves along; it is resampled each time, so it is renewed sooner.
_CARRY_RATE = 1 / 4
# Of a picture that is carried along, this half and more is as noise and resampling leave it.
_CARRIED_PERCENTILE = 50
# A brush stroke answers to what is new about this far from it, px.
_STROKE = 9
# More than this share of the picture in motion is a cut or a pan: nothing there is held.
_ALL_MOVED = 0.6


@dataclass(frozen=True)
class HeldFrame:
    """A picture whose noise is held still.

    Attributes:
        photo: (3, H, W) uint8, what to stylize.
        new: (H, W) float32; 1 where something is seen, or a mask lies, that did not a frame before, 0 where not.
        flow: (H, W, 2) px: where, relative to its place, what is seen lay then; zero where only noise moved.
    """

    photo: Pixels
    new: Map
    flow: Map


class SteadyFilter:
    """A filter around the network, for one video: :meth:`hold` before it, :meth:`smooth` behind it, in order.

    The two may run in different threads, as each has a memory of its own.
    """

    def __init__(self) -> None:
        self._photo: Map | None = None
        self._masks: Sequence[Map] = ()
        self._result: Map | None = None

    def hold(self, planes: Planes, flow: Map | None = None, masks: Sequence[Map] = ()) -> HeldFrame:
        """Replace pixels that changed by no more than the camera's noise by what they were.

        Args:
            planes: Red, green and blue, each (H, W) uint8.
            flow: (H, W, 2) px: where, relative to its place, each pixel lay in the frame before. Without it, whatever
                moves is new.
            masks: Where styles are painted, (H, W) in [0, 1]; as many for each frame.
        """
        masks_before, self._masks = self._masks, masks
        photo = np.stack([*planes]).astype(np.float32)
        if self._photo is None or self._photo.shape != photo.shape:
            self._photo = photo
            return HeldFrame(np.stack([*planes]), np.ones(photo.shape[1:], np.float32), _no_flow(photo))
        light, before = _light(photo), _light(self._photo)
        new = moved = motion(light, before)
        _approach(self._photo, photo, np.maximum(moved, np.float32(_HOLD_RATE)))
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
            result: (3, H, W) uint8, what the network made of ``held.photo``.
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
        # Twice the blurred value, so that all of the new thing and its rim follow fully and only the far rim less.
        rate = np.clip(2 * near, slowest, np.float32(1)).astype(np.float32)
        _approach(self._result, stylized, rate)
        # Carrying overshoots at edges.
        smoothed: Pixels = np.clip(self._result + np.float32(0.5), 0, 255).astype(np.uint8)
        return smoothed


def motion(light: Map, before: Map) -> Map:
    """Where one picture differs from another by more than noise.

    Args:
        light: (H, W) float32 brightness, 0 to 255.
        before: (H, W) float32 brightness, 0 to 255, of the picture that it is compared with.

    Returns:
        (H, W) float32 from 0, only noise, to 1, motion.
    """
    change = cv2.blur(np.abs(light - before), _PATCH)
    grain = cv2.blur(np.abs(light - cv2.blur(light, (3, 3))), _PATCH)
    # What is quiet in time is noise, unless all is in motion; what is quiet in space is, unless all is textured.
    return _beyond(change, min(_quiet(change, _QUIET_PERCENTILE), _quiet(grain, _QUIET_PERCENTILE)))


def novelty(light: Map, carried: Map) -> Map:
    """Where a picture differs from what was carried along by more than noise and resampling; as :func:`motion`."""
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


def _approach(state: Map, towards: Map, rate: Map) -> None:
    """Move the state a share of the way, in place."""
    state += rate * (towards - state)


def _no_flow(photo: Map) -> Map:
    return np.zeros((*photo.shape[1:], 2), np.float32)


def _sources(flow: Map) -> tuple[Map, Map]:
    """Column and row of where each pixel lay before."""
    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    return columns + flow[..., 0], rows + flow[..., 1]


def _fetch(plane: Map, x: Map, y: Map) -> Map:
    """Fetch each pixel of a plane from elsewhere. Cubic: linear would blur a little more each time."""
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)
