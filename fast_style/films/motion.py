"""Motion in a film: the optical flow since the previous frame, and the path of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.images import LUMA, Planes

Map = NDArray[np.float32]

# Long side of the copies on which the flow is computed, px. On a pan of 1.4 px per frame the error is 0.1 px.
_SIDE = 320
# Least side of these copies, px: OpenCV 5 crashes on wide ones that are lower.
_LEAST_SIDE = 32
# Least speed of a moving camera, px per frame: noise alone makes the flow of a still picture slightly nonzero.
_STILL = 0.1
# Share of pixels that must agree for a camera motion, and the tolerance, px per frame. A smaller share is a passing
# object or a zoom. An object that fills half of the picture is mistaken for the camera.
_SHARE, _ALIKE = 0.5, 0.5


@dataclass(frozen=True)
class FrameMotion:
    """What has moved since the previous frame.

    Attributes:
        flow: (h, w, 2) float32 of a small copy of the frame: the offset of each pixel's position in the
            previous frame; across and down, as shares of the frame's sides. None for the first frame.
        origin: Row and column, px, of the frame's upper left corner in the scene over which the camera moves.
    """

    flow: Map | None
    origin: tuple[int, int]


class MotionTracker:
    """Follows the frames of one film, in order.

    Reference:
        Kroeger et al. 2016 ("Fast optical flow using dense inverse search"), as implemented in OpenCV.
    """

    def __init__(self) -> None:
        library: Any = cv2  # its types lack some names
        self._search = library.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: NDArray[np.uint8] | None = None
        self._gone = np.zeros(2)  # down, across

    def follow(self, frame: Planes) -> FrameMotion:
        """Return what has moved since the previous call's frame.

        Args:
            frame: Red, green and blue, each (H, W) uint8.
        """
        height, width = frame[0].shape
        scale = min(1.0, _SIDE / max(height, width))
        small = max(1, round(width * scale)), max(1, round(height * scale))
        planes = [cv2.resize(np.ascontiguousarray(plane), small, interpolation=cv2.INTER_AREA) for plane in frame]
        light = np.tensordot(LUMA, np.stack(planes).astype(np.float32), axes=1).astype(np.uint8)
        before, self._before = self._before, light
        if before is None or before.shape != light.shape or min(light.shape) < _LEAST_SIDE:
            return FrameMotion(None, self._origin())
        flow = self._search.calc(light, before, None) / np.array(small, np.float32)
        self._gone += _camera(flow.reshape(-1, 2)[::7, ::-1] * (height, width))
        return FrameMotion(flow.astype(np.float32), self._origin())

    def _origin(self) -> tuple[int, int]:
        down, across = np.round(self._gone)
        return int(down), int(across)


def _camera(flows: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Motion of the camera, down and across, px, from the motions of pixels, (N, 2) px."""
    step = np.median(flows, axis=0)
    apart, moved = np.abs(flows - step).max(axis=1), np.abs(flows).max(axis=1)
    alike = float(((apart < _ALIKE) & (apart < moved)).mean())
    return step if np.abs(step).max() >= _STILL and alike >= _SHARE else np.zeros(2)
