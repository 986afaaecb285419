"""A live session: stylizing a camera's frames, showing them, responding to keys."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from fast_style.errors import FastStyleError, FileError
from fast_style.images import Picture, Pixels, channels, fit_size, save_image
from fast_style.live.capture import Capture, Shot
from fast_style.live.recorder import Recorder, free_name
from fast_style.live.window import HELP, Controls, Display, press, write_lines
from fast_style.model.passes import count_fitting
from fast_style.stylize.contract import SMALLEST_SIDE
from fast_style.stylize.network import StyleNetwork
from fast_style.stylize.scene import Scene
from fast_style.stylize.stylizer import Stylizer

_SMALLEST_HEIGHT = 360  # px; smaller frames are shown enlarged, for the text to be read
_RECENT = 30  # frames that the figures cover
# Share of the time from one frame to the next that the network may take: mirroring, the window and other programs need
# the rest, and a frame that is late waits for the one before it.
_BUDGET = 0.8


@dataclass
class Figures:
    """Timings of a live session's recent frames, seconds; ``summary`` puts it in words."""

    shown: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))  # when each frame was shown
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))  # time from capture to display
    network: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))  # the part of it that the network took
    frames: int = 0  # how many frames were shown in total

    def add(self, captured: float, network: float) -> None:
        """Count a frame that has just been shown."""
        now = time.perf_counter()
        self.shown.append(now)
        self.latency.append(now - captured)
        self.network.append(network)
        self.frames += 1

    def summary(self) -> dict[str, float]:
        """Frames per second, and the medians of latency and network in milliseconds."""
        if len(self.shown) < 2:
            return {"fps": 0.0, "latency_ms": 0.0, "network_ms": 0.0}
        span = self.shown[-1] - self.shown[0]
        return {
            "fps": round((len(self.shown) - 1) / span, 1) if span else 0.0,
            "latency_ms": round(statistics.median(self.latency) * 1e3, 1),
            "network_ms": round(statistics.median(self.network) * 1e3, 1),
        }


@dataclass(kw_only=True)
class Live:
    """A live session: take the newest frame, stylize it, show it, respond to a key, repeat."""

    capture: Capture  # where frames come from
    stylizers: list[Stylizer]  # each is run once before the first frame is shown, so that switching costs nothing
    display: Display | None  # where frames go
    controls: Controls = field(default_factory=Controls)  # what is shown at first
    say: Callable[[str], None]  # called with messages for the user: a still was saved, the camera was lost
    size: int | None = None  # shrink the camera's long side to this many px, or None
    record: Path | None = None  # record to this file from the start, or when `r` is pressed
    stills: Path = Path()  # folder for saved stills
    seconds: float | None = None  # stop after this long, or None
    # Number of passes in which frames are painted; None takes the style's for their size, or fewer if they take more
    # than most of the time from one frame to the next.
    passes: int | None = None
    figures: Figures = field(default_factory=Figures, init=False)
    _scenes: list[Scene] = field(default_factory=list, init=False)
    _recorder: Recorder | None = field(default=None, init=False)
    _recordings: int = field(default=0, init=False)

    def run(self) -> Figures:
        """Run until the user quits, the file ends, or the time is up."""
        first = shrink(self.capture.first, self.size)
        if self.passes is None:
            self.passes = self._affordable_passes(first)
        self._scenes = [self._scene(stylizer.network) for stylizer in self.stylizers]
        for scene in self._scenes:
            scene.style(channels(first[..., ::-1])).frame(first)
        self.capture.start()
        began, number, lost = time.perf_counter(), 0, False
        try:
            while self.seconds is None or time.perf_counter() - began < self.seconds:
                shot = self.capture.newest(after=number)
                if shot is None and self.capture.ended:
                    break
                if self.capture.lost != lost:
                    lost = self.capture.lost
                    self.say(f"{self.capture.shown} {'was lost; waiting for it' if lost else 'is back'}")
                if shot is not None:
                    number = shot.number
                    self._frame(shot)
                if not self._keys():
                    break
        finally:
            try:
                self._stop_recording()  # first, as a second Ctrl-C may end the wait for what is still measured
            finally:
                for scene in self._scenes:
                    scene.close()
        return self.figures

    def _scene(self, network: StyleNetwork) -> Scene:
        inside = network.contract.passes > 1  # it paints in its own number of passes
        return Scene(network, passes=None if inside else self.passes, background=True)

    def _affordable_passes(self, first: Pixels) -> int:
        """Return the first style's passes, or as many as it can paint from one frame to the next."""
        network = self.stylizers[0].network
        height, width = first.shape[:2]
        usual = count_fitting((width, height), network.count_passes(width, height)) if network.sees_parts else 1
        passes = usual
        while passes > 1 and self._time(Scene(network, passes=passes), first) > _BUDGET * self.capture.period:
            passes -= 1
        if passes < usual:
            networks = [stylizer.network for stylizer in self.stylizers]
            unseen = passes == 1 and any(each.strength != 1 or each.ground.forms != "none" for each in networks)
            more = ", and strength and ground show only in several" * unseen
            self.say(f"painting in {passes} of {usual} passes, to keep up; --passes sets their number{more}")
        return passes

    @staticmethod
    def _time(scene: Scene, photo: Pixels) -> float:
        """Return how long a frame of a scene takes, seconds."""
        network = scene.style(channels(photo[..., ::-1]))
        network.frame(photo)  # the first one also allocates memory
        start = time.perf_counter()
        network.frame(photo)
        return time.perf_counter() - start

    def _frame(self, shot: Shot) -> None:
        controls = self.controls
        photo: Pixels = shrink(shot.pixels, self.size)
        if controls.mirror:
            photo = np.ascontiguousarray(photo[:, ::-1])
        start = time.perf_counter()
        shown = np.empty_like(photo)
        planes = channels(photo[..., ::-1])
        painter, result = self._scenes[controls.style].style(planes), channels(shown[..., ::-1])
        painter.planes(planes, result, blend=controls.blend, keep_colors=controls.keep_colors)
        network = time.perf_counter() - start
        if controls.side_by_side:
            shown = np.concatenate([photo, shown], axis=1)
        if controls.recording:
            self._record(shown, shot.time)
        if self.display is not None:
            self.display.show(self._annotated(shown), controls)
        self._last = shown
        self.figures.add(shot.time, network)

    def _annotated(self, pixels: Pixels) -> Pixels:
        figures, controls = self.figures.summary(), self.controls
        stylizer = self.stylizers[controls.style]
        name = stylizer.style.name + f"  strength {controls.strength:g}" * (controls.strength != 1)
        if controls.ground is not None and self.passes != 1 and stylizer.network.contract.passes == 1:
            name += f"  ground {controls.ground}"
        recording = "  REC" * controls.recording
        lines = [f"{name}  {figures['fps']:.0f} frames/s  {figures['latency_ms']:.0f} ms{recording}"]
        lines += HELP if controls.help else ("h: help",) if self.figures.frames < 3 * _RECENT else ()
        scale = max(1.0, _SMALLEST_HEIGHT / pixels.shape[0])
        shown = cv2.resize(pixels, None, fx=scale, fy=scale) if scale > 1 else pixels.copy()
        return write_lines(np.asarray(shown, np.uint8), lines)

    def _keys(self) -> bool:
        """Respond to a key; return False if it quits."""
        key = None if self.display is None else self.display.key()
        if key is None:
            return True
        if key in {"q", "\x1b", "quit"}:
            return False
        if key == "s" and self.figures.frames:
            self._save_still()
        before, self.controls = self.controls, press(self.controls, key, len(self.stylizers))
        if (self.controls.strength, self.controls.ground) != (before.strength, before.ground):
            self._repaint()
        if before.recording and not self.controls.recording:
            self._stop_recording()
        return True

    def _repaint(self) -> None:
        """Set strength and ground of all styles that do not paint in passes by themselves."""
        controls = self.controls
        for number, stylizer in enumerate(self.stylizers):
            if stylizer.network.contract.passes == 1:
                self._scenes[number].close()
                self._scenes[number] = self._scene(
                    replace(stylizer.network, other_ground=controls.ground).mixed(strength=controls.strength)
                )

    def _save_still(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        target = free_name(self.stills / f"{self.stylizers[self.controls.style].style.name}-{stamp}.png")
        try:
            save_image(Picture(np.ascontiguousarray(self._last[..., ::-1])), target)
        except FileError as error:  # the picture goes on
            self.say(str(error))
        else:
            self.say(f"saved {target}")

    def _record(self, pixels: Pixels, captured: float) -> None:
        if self._recorder is None:
            wanted = self.record or Path(f"{self.stylizers[self.controls.style].style.name}.mp4")
            target = free_name(wanted) if self._recordings or self.record is None else wanted
            self._recordings += 1
            self._recorder = Recorder(target, pixels.shape[1], pixels.shape[0])
        try:
            self._recorder.add(pixels, captured)
        except FastStyleError:
            self.controls = replace(self.controls, recording=False)
            self._stop_recording()  # which raises or says the same

    def _stop_recording(self) -> None:
        if self._recorder is None:
            return
        recorder, self._recorder = self._recorder, None
        try:
            recorder.close()
        except FastStyleError as error:
            if self.record is not None:  # what was asked for
                raise
            self.say(str(error))  # begun with a key; the picture goes on
        else:
            self.say(f"recorded {recorder.frames} frame{'s' * (recorder.frames != 1)} to {recorder.target}")


def shrink(pixels: Pixels, size: int | None) -> Pixels:
    """Shrink the long side of an (H, W, 3) picture to ``size`` px, but no side below what networks need."""
    width, height = pixels.shape[1], pixels.shape[0]
    target = fit_size((width, height), size, least=SMALLEST_SIDE)
    if target == (width, height):
        return pixels
    return np.asarray(cv2.resize(pixels, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)
