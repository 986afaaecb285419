"""Steady video from a network that knows nothing of time: hold what only noise moves, smooth where nothing moved."""

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
# A brush stroke answers to what moves about this far from it, px.
_STROKE = 17
# More than this share of the picture in motion is a cut or a pan: nothing there is held.
_ALL_MOVED = 0.6


@dataclass(frozen=True)
class Held:
    """A picture whose noise is held still.

    Attributes:
        held: (3, H, W) uint8, what to stylize.
        moved: (H, W) float32; 1 where the picture or a mask moved, 0 where only noise did.
    """

    held: Pixels
    moved: Map


class Steady:
    """A filter around the network, for one video: :meth:`hold` before it, :meth:`smooth` behind it, in order.

    The two may run in different threads, as each has a memory of its own.
    """

    def __init__(self) -> None:
        self._photo: Map | None = None
        self._masks: Sequence[Map] = ()
        self._result: Map | None = None

    def hold(self, planes: Planes, masks: Sequence[Map] = ()) -> Held:
        """Replace pixels that changed by no more than the camera's noise by what they were.

        Args:
            planes: Red, green and blue, each (H, W) uint8.
            masks: Where styles are painted, (H, W) in [0, 1]; as many for each frame.
        """
        before, self._masks = self._masks, masks
        photo = np.stack([*planes]).astype(np.float32)
        if self._photo is None or self._photo.shape != photo.shape:
            self._photo = photo
            return Held(np.stack([*planes]), np.ones(photo.shape[1:], np.float32))
        moved = motion(_light(photo), _light(self._photo))
        _approach(self._photo, photo, np.maximum(moved, np.float32(_HOLD_RATE)))
        for mask, last in zip(masks, before, strict=True):
            np.maximum(moved, np.abs(mask - last), out=moved)
        return Held((self._photo + np.float32(0.5)).astype(np.uint8), moved)

    def smooth(self, result: Pixels, held: Held) -> Pixels:
        """Let the stylized picture change slowly where nothing moved, and at once where something did.

        Args:
            result: (3, H, W) uint8, what the network made of ``held.held``.
            held: What :meth:`hold` returned for that frame.
        """
        stylized = result.astype(np.float32)
        if self._result is None or self._result.shape != stylized.shape:
            self._result = stylized
            return result
        near = cv2.dilate(held.moved, np.ones((_STROKE, _STROKE), np.uint8))
        near = cv2.blur(near, (_STROKE, _STROKE))
        # Twice the blurred value, so that all of the moving thing and its rim follow fully and only the far rim less.
        rate = np.clip(2 * near, np.float32(_SMOOTH_RATE), np.float32(1)).astype(np.float32)
        _approach(self._result, stylized, rate)
        return (self._result + np.float32(0.5)).astype(np.uint8)


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
    quiet = min(np.percentile(change[::4, ::4], _QUIET_PERCENTILE), np.percentile(grain[::4, ::4], _QUIET_PERCENTILE))
    noise = float(np.clip(quiet, _LEAST_NOISE, _MOST_NOISE))
    moved = np.clip((change / np.float32(noise) - np.float32(_STILL)) / np.float32(_MOVED - _STILL), 0, 1)
    if moved.mean() > _ALL_MOVED:
        return np.ones_like(light)
    return cv2.dilate(moved, np.ones(_PATCH, np.uint8)).astype(np.float32)


def _light(planes: Map) -> Map:
    return np.tensordot(LUMA, planes, axes=1).astype(np.float32)


def _approach(state: Map, towards: Map, rate: Map) -> None:
    """Move the state a share of the way, in place."""
    state += rate * (towards - state)
