"""Recording what a live session shows."""

from __future__ import annotations

import contextlib
import queue
import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from fast_style.files import replacing, sweep
from fast_style.films.writer import VideoFormat, VideoWriter
from fast_style.images import Pixels, channels
from fast_style.live.window import letterbox

_TIME_BASE = Fraction(1, 1000)  # of recordings, which preserve capture times


class Recorder:
    """A video file written by a separate thread, so that encoding does not delay the display.

    If the encoder falls behind, frames are missing from the file, not from the window.

    Args:
        target: The file; it appears when :meth:`close` is called.
        width: Width of the frames, px.
        height: Height of the frames, px.
    """

    def __init__(self, target: Path, width: int, height: int) -> None:
        self.target, self.frames = target, 0
        self.size = (width, height)
        self.error: Exception | None = None
        self._queue: queue.Queue[tuple[Pixels, int] | None] = queue.Queue(maxsize=4)
        self._start: float | None = None
        self._last = -1
        self._thread = threading.Thread(target=self._write, name="record")
        self._thread.start()

    def add(self, pixels: Pixels, captured: float) -> None:
        """Write an (H, W, 3) uint8 BGR frame at the time it was captured; raise what an earlier frame failed with."""
        if self.error is not None:
            raise self.error
        height, width = pixels.shape[:2]
        if (width, height) != self.size:  # side by side was switched on: the file keeps its size
            barred = letterbox(pixels, *self.size)
            pixels = np.asarray(cv2.resize(barred, self.size, interpolation=cv2.INTER_AREA), np.uint8)
        self._start = captured if self._start is None else self._start
        pts = max(self._last + 1, round((captured - self._start) / _TIME_BASE))
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait((pixels, pts))
            self._last = pts

    def _write(self) -> None:
        items = iter(self._queue.get, None)
        try:
            sweep(self.target)
            format = VideoFormat(*self.size, rate=Fraction(30), time_base=_TIME_BASE)
            with replacing(self.target) as partial, contextlib.closing(VideoWriter(partial, format)) as writer:
                for pixels, pts in items:
                    writer.add(channels(pixels[..., ::-1]), pts)
                    self.frames += 1
        except Exception as error:
            self.error = error
            for _ in items:  # a full queue would block close()
                pass

    def close(self) -> None:
        """Finish the file; raise what it failed with."""
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error


def free_name(path: Path) -> Path:
    """The path, or the first of NAME-2, NAME-3, … that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
