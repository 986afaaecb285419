"""A virtual camera for other programs: meetings, OBS, browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from fast_style.errors import CameraError
from fast_style.images import Pixels
from fast_style.live.window import letterbox

# Frame rate announced to other programs; frames are sent as they come.
_RATE = 30


class VirtualCamera:
    """Offers frames to other programs as a camera, through the library pyvirtualcam.

    It is opened at the first frame and keeps that frame's size, made even, since programs do not expect a camera to
    change its size. Later frames of another shape, such as two pictures side by side, are put between black bars.

    Args:
        say: Called with the name of the camera.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._camera: Any = None

    def send(self, pixels: Pixels) -> None:
        """Show an (H, W, 3) uint8 BGR frame.

        Raises:
            CameraError: No virtual camera can be opened.
        """
        if self._camera is None:
            self._camera = _open(pixels.shape[1] // 2 * 2, pixels.shape[0] // 2 * 2)
            self._say(f"virtual camera: {self._camera.device}, {self._camera.width}×{self._camera.height} px")
        width, height = self._camera.width, self._camera.height
        if pixels.shape[:2] != (height, width):
            boxed = letterbox(pixels, width, height)
            pixels = np.asarray(cv2.resize(boxed, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self._camera.send(np.ascontiguousarray(pixels))

    def close(self) -> None:
        """Close the camera."""
        if self._camera is not None:
            self._camera.close()


def _open(width: int, height: int) -> Any:
    import pyvirtualcam

    try:
        return pyvirtualcam.Camera(width, height, fps=_RATE, fmt=pyvirtualcam.PixelFormat.BGR)
    except RuntimeError as error:
        raise CameraError(
            f"no virtual camera can be opened: {str(error).splitlines()[0]}",
            hint="On Linux load v4l2loopback, on Windows and macOS install OBS.",
        ) from error
