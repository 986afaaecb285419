"""Motion in a film: the optical flow since the previous frame, and the path of the camera."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.images import Planes, fit_size

Map = NDArray[np.float32]

# Long side of the copies on which motion is found, px. On a pan of 1.4 px per frame the flow's error is 0.1 px.
_SIDE = 320
# Least side of these copies, px.
_LEAST = 5
# Least side for the flow, px: OpenCV 5 crashes on wide pictures that are lower.
_LEAST_FOR_FLOW = 32
# Least speed of a moving camera, px per frame: noise alone makes the flow of a still picture slightly nonzero.
_STILL = 0.1
# Share of pixels that must agree for a camera motion, and the tolerance, px per frame. A smaller share is a passing
# object or a zoom. An object that fills half of the picture is mistaken for the camera.
_SHARE, _ALIKE = 0.5, 0.5


@dataclass(frozen=True)
class FrameMotion:
    """What has moved since the previous frame.

    Attributes:
        flow: (h, w, 2) float32 of the copy of :func:`brightness`: the offset of each pixel's position in the
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
        light = brightness(frame).astype(np.uint8)
        before, self._before = self._before, light
        if before is None or before.shape != light.shape or min(light.shape) < _LEAST_FOR_FLOW:
            return FrameMotion(None, self._origin())
        (height, width), (small_height, small_width) = frame[0].shape, light.shape
        flow = scaled(self._search.calc(light, before, None), (1 / small_width, 1 / small_height))
        across, down = flow.reshape(-1, 2)[::7].T
        self._gone += _camera(height * down, width * across)
        return FrameMotion(flow, self._origin())

    def _origin(self) -> tuple[int, int]:
        down, across = np.round(self._gone)
        return int(down), int(across)


def brightness(frame: Planes) -> Map:
    """(h, w) brightness, 0 to 255, of the small copy of a frame on which motion is found."""
    height, width = frame[0].shape
    size = fit_size((width, height), _SIDE, least=_LEAST)
    small = [cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA) for plane in frame]
    return np.asarray(cv2.cvtColor(cv2.merge(small).astype(np.float32), cv2.COLOR_RGB2GRAY))


def scaled(flow: Map, factors: tuple[float, float]) -> Map:
    """A flow, (h, w, 2), times a factor across and one down."""
    return np.asarray(cv2.transform(flow, np.diag(np.array(factors, np.float32))), np.float32)


def _camera(down: NDArray[Any], across: NDArray[Any]) -> NDArray[Any]:
    """Motion of the camera, down and across, px, from the motions of pixels, (N) px each."""
    step = np.median(down), np.median(across)
    apart = np.maximum(np.abs(down - step[0]), np.abs(across - step[1]))
    moved = np.maximum(np.abs(down), np.abs(across))
    alike = float(((apart < _ALIKE) & (apart < moved)).mean())
    return np.array(step if np.abs(step).max() >= _STILL and alike >= _SHARE else (0, 0))
