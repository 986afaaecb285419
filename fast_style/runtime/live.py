"""Stylizing what a camera sees: the view, what the keys do to it, and the loop."""

from __future__ import annotations

import os
import queue
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from fast_style.errors import FastStyleError
from fast_style.images import Picture, Pixels, replacing, save_image
from fast_style.runtime.capture import Capture, Shot
from fast_style.runtime.stylizer import SMALLEST_SIDE, Stylizer
from fast_style.runtime.writing import VideoFormat, VideoWriter

HELP = (
    "n p    next, previous style",
    "+ -    more, less style",
    "b      both, side by side",
    "m      mirror",
    "c      keep colours",
    "s      save a still",
    "r      record, stop recording",
    "f      full screen",
    "h      this help",
    "q Esc  quit",
)
_TIME_BASE = Fraction(1, 1000)  # of recordings, which keep the times at which the frames were captured
_SMALLEST_HEIGHT = 360  # px; smaller frames are shown enlarged, for the text to be read
_RECENT = 30  # frames over which the figures are taken


@dataclass(frozen=True)
class View:
    """What is shown, and how.

    Attributes:
        style: Index of the style.
        blend: 0.0 is the camera's picture, 1.0 the full style.
        side_by_side: The camera's picture on the left.
        mirror: Left and right swapped.
        keep_colors: Take only brightness from the style.
        full_screen: Likewise.
        help: Show the keys.
        recording: Write what is shown.
    """

    style: int = 0
    blend: float = 1.0
    side_by_side: bool = False
    mirror: bool = False
    keep_colors: bool = False
    full_screen: bool = False
    help: bool = False
    recording: bool = False


_SWITCHES = {
    "b": "side_by_side",
    "m": "mirror",
    "c": "keep_colors",
    "f": "full_screen",
    "h": "help",
    "r": "recording",
}


def press(view: View, key: str, styles: int) -> View:
    """The view after a key; the same view for a key that has no meaning."""
    if key in "np":
        return replace(view, style=(view.style + (1 if key == "n" else -1)) % styles)
    if key in "+=-":
        step = -0.1 if key == "-" else 0.1
        return replace(view, blend=round(min(1.0, max(0.0, view.blend + step)), 1))
    if key in _SWITCHES:
        name = _SWITCHES[key]
        return replace(view, **{name: not getattr(view, name)})
    return view


@dataclass
class Figures:
    """What a live session measured of its recent frames, seconds; ``summary`` puts it in words.

    Attributes:
        shown: When each frame was shown.
        latency: From capture to display.
        network: Of that, in the network.
        frames: All that were shown.
    """

    shown: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    network: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    frames: int = 0

    def add(self, captured: float, network: float) -> None:
        """Count a frame that has just been shown."""
        now = time.perf_counter()
        self.shown.append(now)
        self.latency.append(now - captured)
        self.network.append(network)
        self.frames += 1

    def summary(self) -> dict[str, float]:
        """Frames a second, and the medians of latency and network in milliseconds."""
        if len(self.shown) < 2:
            return {"fps": 0.0, "latency_ms": 0.0, "network_ms": 0.0}
        span = self.shown[-1] - self.shown[0]
        return {
            "fps": round((len(self.shown) - 1) / span, 1) if span else 0.0,
            "latency_ms": round(statistics.median(self.latency) * 1e3, 1),
            "network_ms": round(statistics.median(self.network) * 1e3, 1),
        }


class Display(Protocol):
    """Where frames are shown and keys come from."""

    def show(self, pixels: Pixels, view: View) -> None:
        """Show an (H, W, 3) uint8 BGR picture."""

    def key(self) -> str | None:
        """The key that was pressed since last time, ``quit`` where the window was closed, or None."""


class Recorder:
    """A video file written by a thread of its own, so that encoding does not hold up what is shown.

    Where the encoder falls behind, frames are left out of the file, not of the window.

    Args:
        target: The file; it appears when :meth:`close` is called.
        width: Of the frames, px.
        height: Likewise.
    """

    def __init__(self, target: Path, width: int, height: int) -> None:
        self.target, self.frames = target, 0
        self.size = (width, height)
        self.error: FastStyleError | None = None
        self._queue: queue.Queue[tuple[Pixels, int] | None] = queue.Queue(maxsize=4)
        self._start: float | None = None
        self._last = -1
        self._thread = threading.Thread(target=self._write, name="record")
        self._thread.start()

    def add(self, pixels: Pixels, captured: float) -> None:
        """Write an (H, W, 3) uint8 BGR frame at the time it was captured."""
        height, width = pixels.shape[:2]
        if (width, height) != self.size:  # side by side was switched on: the file keeps its size
            pixels = np.asarray(cv2.resize(pixels, self.size, interpolation=cv2.INTER_AREA), np.uint8)
        self._start = captured if self._start is None else self._start
        pts = max(self._last + 1, round((captured - self._start) / _TIME_BASE))
        try:
            self._queue.put_nowait((pixels, pts))
            self._last = pts
        except queue.Full:
            pass

    def _write(self) -> None:
        try:
            with replacing(self.target) as partial:
                format = VideoFormat(*self.size, rate=Fraction(30), time_base=_TIME_BASE)
                writer = VideoWriter(partial, format)
                try:
                    while (item := self._queue.get()) is not None:
                        writer.write(writer.pack(np.ascontiguousarray(item[0][..., ::-1].transpose(2, 0, 1))), item[1])
                        self.frames += 1
                finally:
                    writer.close()
        except FastStyleError as error:
            self.error = error
            while self._queue.get() is not None:
                pass

    def close(self) -> None:
        """Finish the file.

        Raises:
            FastStyleError: It could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self.error is not None:
            raise self.error


@dataclass(frozen=True)
class LiveOptions:
    """How a live session runs.

    Attributes:
        size: Shrink the camera's long side to this many px, or None.
        record: Record to this file from the start, or where ``r`` is pressed.
        stills: Folder for saved stills.
        seconds: Stop after this long, or None.
    """

    size: int | None = None
    record: Path | None = None
    stills: Path = Path()
    seconds: float | None = None


class Live:
    """A live session: take the newest frame, stylize, show, heed a key, again.

    Args:
        capture: Where frames come from.
        stylizers: The styles; each is run once before the first frame is shown, so that switching costs nothing.
        display: Where frames go, or None.
        sinks: Called with each shown (H, W, 3) uint8 BGR frame, such as a virtual camera.
        options: See :class:`LiveOptions`.
        say: Told what a user should know: a still was saved, the camera has gone.
    """

    def __init__(
        self,
        capture: Capture,
        stylizers: list[Stylizer],
        display: Display | None,
        *,
        view: View,
        options: LiveOptions,
        say: Callable[[str], None],
        sinks: list[Callable[[Pixels], None]] | None = None,
    ) -> None:
        self.capture, self.stylizers, self.display = capture, stylizers, display
        self.view, self.options, self.say, self.sinks = view, options, say, sinks or []
        self.figures = Figures()
        self._recorder: Recorder | None = None
        self._recordings = 0

    def run(self) -> Figures:
        """Run until the user quits, the file ends, or the time is up."""
        for stylizer in self.stylizers:
            stylizer.frame(shrink(np.asarray(self.capture.first, np.uint8), self.options.size))
        self.capture.start()
        began, number, lost = time.perf_counter(), 0, False
        try:
            while self.options.seconds is None or time.perf_counter() - began < self.options.seconds:
                shot = self.capture.newest(after=number)
                if shot is None and self.capture.ended:
                    break
                if self.capture.lost != lost:
                    lost = self.capture.lost
                    self.say(
                        f"{self.capture.shown} has gone; waiting for it" if lost else f"{self.capture.shown} is back"
                    )
                if shot is not None:
                    number = shot.number
                    self._frame(shot)
                if not self._keys():
                    break
        finally:
            self._stop_recording()
        return self.figures

    def _frame(self, shot: Shot) -> None:
        view = self.view
        photo: Pixels = shrink(shot.pixels, self.options.size)
        if view.mirror:
            photo = np.ascontiguousarray(photo[:, ::-1])
        start = time.perf_counter()
        shown = np.empty_like(photo)
        self.stylizers[view.style].planes(
            [photo[..., channel] for channel in (2, 1, 0)],
            [shown[..., channel] for channel in (2, 1, 0)],
            blend=view.blend,
            keep_colors=view.keep_colors,
        )
        network = time.perf_counter() - start
        if view.side_by_side:
            shown = np.concatenate([photo, shown], axis=1)
        if view.recording:
            self._record(shown, shot.time)
        for sink in self.sinks:
            sink(shown)
        if self.display is not None:
            self.display.show(self._annotated(shown), view)
        self._last = shown
        self.figures.add(shot.time, network)

    def _annotated(self, pixels: Pixels) -> Pixels:
        figures, view = self.figures.summary(), self.view
        name = self.stylizers[view.style].style.name
        lines = [f"{name}  {figures['fps']:.0f} frames/s  {figures['latency_ms']:.0f} ms" + "  REC" * view.recording]
        lines += HELP if view.help else ("h: help",) if self.figures.frames < 3 * _RECENT else ()
        scale = max(1.0, _SMALLEST_HEIGHT / pixels.shape[0])
        shown = cv2.resize(pixels, None, fx=scale, fy=scale) if scale > 1 else pixels.copy()
        return write_lines(np.asarray(shown, np.uint8), lines)

    def _keys(self) -> bool:
        """Heed a key; False where it quits."""
        key = None if self.display is None else self.display.key()
        if key is None:
            return True
        if key in {"q", "\x1b", "quit"}:
            return False
        if key == "s" and self.figures.frames:
            self._save_still()
        before, self.view = self.view, press(self.view, key, len(self.stylizers))
        if before.recording and not self.view.recording:
            self._stop_recording()
        return True

    def _save_still(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        target = free_name(self.options.stills / f"{self.stylizers[self.view.style].style.name}-{stamp}.png")
        save_image(Picture(np.ascontiguousarray(self._last[..., ::-1])), target)
        self.say(f"saved {target}")

    def _record(self, pixels: Pixels, captured: float) -> None:
        if self._recorder is None:
            wanted = self.options.record or Path(f"{self.stylizers[self.view.style].style.name}.mp4")
            target = free_name(wanted) if self._recordings or self.options.record is None else wanted
            self._recordings += 1
            self._recorder = Recorder(target, pixels.shape[1], pixels.shape[0])
        self._recorder.add(pixels, captured)

    def _stop_recording(self) -> None:
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            recorder.close()
            self.say(f"recorded {recorder.frames} frames to {recorder.target}")


def shrink(pixels: Pixels, size: int | None) -> Pixels:
    """Shrink an (H, W, 3) picture so that its long side has at most ``size`` px, and its short side what is needed."""
    height, width = pixels.shape[:2]
    if size is None or max(width, height) <= size:
        return pixels
    scale = size / max(width, height)
    target = (max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale)))
    return np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def write_lines(pixels: Pixels, lines: list[str]) -> Pixels:
    """Write lines of text into the upper left of a BGR picture, in place, white on a dark rim."""
    scale = max(0.35, pixels.shape[0] / 900)
    for number, line in enumerate(lines):
        place = (int(16 * scale), int((number + 1) * 36 * scale))
        for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(
                pixels, line, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, max(1, round(width * scale)), cv2.LINE_AA
            )
    return pixels


def free_name(path: Path) -> Path:
    """The path, or the first of NAME-2, NAME-3, … that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


class Window:
    """An OpenCV window.

    Args:
        title: Of the window.
    """

    def __init__(self, title: str) -> None:
        self._title, self._full = title, False
        self._size: Any = None
        # The Qt in OpenCV's wheels carries no fonts and says so many times; its toolbar is of no use here.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, pixels: Pixels, view: View) -> None:
        """Show a frame; the window takes the size of the frames, unless it fills the screen."""
        if view.full_screen != self._full:
            self._full = view.full_screen
            full = cv2.WINDOW_FULLSCREEN if self._full else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, full)
        if pixels.shape != self._size and not self._full:
            self._size = pixels.shape
            cv2.resizeWindow(self._title, pixels.shape[1], pixels.shape[0])
        cv2.imshow(self._title, pixels)

    def key(self) -> str | None:
        """The key that was pressed, or ``quit`` where the window was closed."""
        code = cv2.waitKey(1) & 0xFF
        if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            return "quit"
        return None if code == 0xFF else chr(code)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()
