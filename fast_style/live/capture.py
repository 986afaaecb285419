"""The newest frame of a camera, a file at its own pace, or a stream."""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fast_style.errors import CameraError
from fast_style.images import Pixels

# Time between attempts to reopen a lost camera, seconds.
_RETRY_SECONDS = 1.0
# Frame rate assumed for sources that state none.
_USUAL_RATE = 25.0


@dataclass(frozen=True)
class Shot:
    """A captured frame."""

    pixels: Pixels  # (H, W, 3) uint8, BGR as OpenCV has it
    time: float  # when it was captured, seconds of `time.perf_counter`
    number: int  # counts captured frames, from 1; gaps are skipped frames


class Capture:
    """A thread that reads frames and keeps only the newest, so that a slow reader skips frames and never lags.

    A file is played at its own pace, once. A camera or a stream that stops delivering frames is reopened every
    second until it delivers again; meanwhile ``lost`` is True.

    Attributes:
        first: (H, W, 3) uint8, BGR; the first frame, there before :meth:`start`.
        period: Time from one frame to the next, as the source states it, seconds.

    Args:
        source: The number of a camera, a file, or a URL.

    Raises:
        CameraError: The source cannot be opened, or delivers no frame.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.is_file = Path(source).is_file()
        self.ended = False
        self.lost = False
        self.shown = f"camera {source}" if source.isdecimal() else source
        device = self._open()
        if device is None:
            raise CameraError(f"{self.shown} {_why(source)}", hint=_remedy(source))
        good, first = device.read()
        if not good:
            device.release()
            raise CameraError(f"{self.shown} delivers no frame", hint=_remedy(source))
        self.first = np.asarray(first, np.uint8)
        rate = device.get(cv2.CAP_PROP_FPS)
        self.period = 1 / (rate if 0 < rate <= 1000 else _USUAL_RATE)
        self._device = device
        self._newest = Shot(self.first, 0.0, 0)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)

    def start(self) -> None:
        """Begin to capture; until then there is only ``first``, to warm up with."""
        self._thread.start()

    def newest(self, *, after: int = 0, timeout: float = 0.1) -> Shot | None:
        """Wait for a frame that is newer than number ``after``; None if none comes within ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._newest.number > after, timeout)
            return self._newest if self._newest.number > after else None

    def _open(self) -> cv2.VideoCapture | None:
        # FFmpeg takes what stands before a colon for a protocol, except in an absolute path.
        name = str(Path(self.source).resolve()) if self.is_file else self.source
        try:
            device = cv2.VideoCapture(int(self.source) if self.source.isdecimal() else name)
        except cv2.error:  # the number is greater than any of a camera
            return None
        if not device.isOpened():
            return None
        # A driver's queue of old frames would add latency. Some drivers ignore this setting.
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return device

    def _read(self) -> None:
        try:
            self._read_shots()
        finally:  # whatever happens, nobody waits for another
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _read_shots(self) -> None:
        device: cv2.VideoCapture | None = self._device
        waiting: NDArray[np.generic] | None = self.first if self.is_file else None  # that of a camera is old by now
        number, start = 0, time.perf_counter()
        while not self._stop.is_set():
            pixels, waiting = waiting, None
            if pixels is None and device is not None:
                with contextlib.suppress(cv2.error):  # of a driver, for a frame that it cannot convert
                    _, pixels = device.read()  # None if there is none
            if pixels is not None and pixels.ndim == 3:
                if self.is_file and self._stop.wait(max(0.0, start + number * self.period - time.perf_counter())):
                    break
                number += 1
                with self._changed:
                    self.lost = False
                    self._newest = Shot(pixels.astype(np.uint8, copy=False), time.perf_counter(), number)
                    self._changed.notify_all()
            elif self.is_file:
                break
            else:
                self.lost = True
                if device is not None:
                    device.release()
                self._stop.wait(_RETRY_SECONDS)
                device = self._open()
        if device is not None:
            device.release()

    def close(self) -> None:
        """Stop reading. A driver that hangs is left to the end of the process."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2.0)
        else:
            self._device.release()


def _why(source: str) -> str:
    if not source.isdecimal():
        return "cannot be opened as a video"
    device = Path(f"/dev/video{source}")
    if not device.exists():
        return "does not exist"
    return "cannot be opened" if os.access(device, os.R_OK | os.W_OK) else "is not accessible to this user"


def _remedy(source: str) -> str:
    if not source.isdecimal():
        return "Give --source the number of a camera, a video file, or a URL."
    cameras = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))
    if source in cameras:
        return "Another program may be using it; on Linux you must be in the group 'video'."
    here = f"Cameras here: {', '.join(cameras)}." if cameras else "No camera was found."
    return f"{here} --source also takes a video file or a URL."
