"""Controls, keys and window of a live session."""

import math
import sys
import time
from dataclasses import dataclass, replace
from typing import Protocol, get_args

import cv2
import numpy as np

from fast_style.images import Pixels
from fast_style.model.ground import Forms
from fast_style.model.passes import STRONGEST, WEAKEST

HELP = (
    "n p    next, previous style",
    "+ -    more, less style",
    "] [    stronger, weaker strokes",
    "g      next ground",
    "b      both, side by side",
    "m      mirror",
    "c      keep colors",
    "s      save a still",
    "r      record, stop recording",
    "f      full screen",
    "h      this help",
    "q Esc  quit",
)
_TITLE = "fast-style"
_WIDEST = 1280  # px; OpenCV does not tell the screen's width, and laptops have little more
# How long a window may take to fill the screen, seconds, before it is opened again: a slow window manager may miss a
# new window, or what it asks for. Each wait is twice as long as the one before, up to the last.
_FIRST_WAIT, _LAST_WAIT = 1.0, 64.0


@dataclass(frozen=True)
class Controls:
    """What is shown, and how."""

    style: int = 0  # index of the style
    blend: float = 1.0  # 0.0 is the camera's picture, 1.0 the full style
    strength: float = 1.0  # how strongly to paint, 0.25 to 4
    ground: Forms | None = None  # what is laid under flat places; None is the style's own
    side_by_side: bool = False  # show the camera's picture on the left
    mirror: bool = False  # swap left and right
    keep_colors: bool = False  # take only brightness from the style
    full_screen: bool = False  # whether the window fills the screen
    help: bool = False  # show the keys
    recording: bool = False  # record what is shown


_SWITCHES = {"b": "side_by_side", "m": "mirror", "c": "keep_colors", "f": "full_screen", "h": "help", "r": "recording"}
# The style's own first.
_GROUNDS = (None, *get_args(Forms))


def press(controls: Controls, key: str, styles: int) -> Controls:
    """The controls after a key; unchanged for a key without a meaning."""
    if key in "np":
        return replace(controls, style=(controls.style + (1 if key == "n" else -1)) % styles)
    if key in "+=-":
        step = -0.1 if key == "-" else 0.1
        return replace(controls, blend=round(min(1.0, max(0.0, controls.blend + step)), 1))
    if key in "[]":  # half of a doubling
        step = math.sqrt(2.0) if key == "]" else math.sqrt(0.5)
        return replace(controls, strength=min(STRONGEST, max(WEAKEST, round(controls.strength * step, 2))))
    if key == "g":
        return replace(controls, ground=_GROUNDS[(_GROUNDS.index(controls.ground) + 1) % len(_GROUNDS)])
    if key in _SWITCHES:
        name = _SWITCHES[key]
        return replace(controls, **{name: not getattr(controls, name)})  # type: ignore[arg-type]  # all are bools
    return controls


class Display(Protocol):
    """Where frames are shown and keys come from."""

    def show(self, pixels: Pixels, controls: Controls) -> None:
        """Show an (H, W, 3) uint8 BGR picture."""

    def key(self) -> str | None:
        """The key that was pressed since last time, ``quit`` if the window was closed, or None."""


class Window:
    """An OpenCV window."""

    def __init__(self) -> None:
        self._full = False
        self._size: tuple[int, ...] | None = None
        self._wait, self._until, self._narrow = _FIRST_WAIT, math.inf, 0
        # On a busy machine the first window of a process often stays black on X11, whatever is shown in it (OpenCV
        # 5.0, Qt, seen in more than a third of the starts under load); its successor rarely does.
        if sys.platform == "linux":
            first = f"{_TITLE}: starting"
            cv2.namedWindow(first, cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
            cv2.waitKey(1)
            cv2.destroyWindow(first)
        self._open()

    def show(self, pixels: Pixels, controls: Controls) -> None:
        """Show a frame; the window takes the size of the frames, up to the width of a small screen."""
        if controls.full_screen != self._full:
            self._full, self._wait = controls.full_screen, _FIRST_WAIT
            self._fill()
        elif self._full and time.monotonic() > self._until:
            if self._fills() or self._wait > _LAST_WAIT:
                self._until = math.inf
            else:
                cv2.destroyWindow(_TITLE)
                self._open()
                self._fill()
        if pixels.shape != self._size and not self._full:
            self._size = pixels.shape
            scale = min(1.0, _WIDEST / pixels.shape[1])
            cv2.resizeWindow(_TITLE, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        if self._full:
            pixels = letterbox(pixels, *self._area())
        cv2.imshow(_TITLE, pixels)

    def _open(self) -> None:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def _fill(self) -> None:
        """Ask for the full screen, or for the end of it."""
        self._narrow, _ = self._area()
        full = cv2.WINDOW_FULLSCREEN if self._full else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(_TITLE, cv2.WND_PROP_FULLSCREEN, full)
        # OpenCV would keep the ratio with bars in the desktop's gray.
        ratio = cv2.WINDOW_FREERATIO if self._full else cv2.WINDOW_KEEPRATIO
        cv2.setWindowProperty(_TITLE, cv2.WND_PROP_ASPECT_RATIO, ratio)
        self._until = time.monotonic() + self._wait
        self._wait *= 2

    def _fills(self) -> bool:
        """Whether the window is wider than when it asked; OpenCV says that it fills the screen before it does."""
        return cv2.getWindowProperty(_TITLE, cv2.WND_PROP_FULLSCREEN) == 1 and self._area()[0] > self._narrow

    def _area(self) -> tuple[int, int]:
        """Width and height of the window's picture, px."""
        _, _, width, height = cv2.getWindowImageRect(_TITLE)
        return width, height

    def key(self) -> str | None:
        """The key that was pressed, or ``quit`` if the window was closed."""
        code = cv2.waitKey(1) & 0xFF
        if cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return "quit"
        return None if code == 0xFF else chr(code)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def letterbox(pixels: Pixels, width: int, height: int) -> Pixels:
    """Add black bars to an (H, W, 3) picture to reach the ratio ``width`` to ``height``; unchanged if either is 0."""
    if width < 1 or height < 1:
        return pixels
    rows, columns = pixels.shape[:2]
    wide, tall = max(0, round(rows * width / height) - columns), max(0, round(columns * height / width) - rows)
    return np.pad(pixels, ((tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2), (0, 0)))


def write_lines(pixels: Pixels, lines: list[str]) -> Pixels:
    """Write lines of text into the upper left of a BGR picture, in place, white on a dark rim."""
    scale = max(0.35, pixels.shape[0] / 900)
    width, rim = max(1, round(scale)), max(1, round(1.5 * scale))
    # The rim is the same text moved about: OpenCV 5 sets thicker text wider.
    around = [(x, y, (0, 0, 0)) for x in (-rim, 0, rim) for y in (-rim, 0, rim)]
    for number, line in enumerate(lines):
        left, bottom = int(16 * scale), int((number + 1) * 36 * scale)
        for x, y, color in (*around, (0, 0, (255, 255, 255))):
            place = (left + x, bottom + y)
            cv2.putText(pixels, line, place, cv2.FONT_HERSHEY_SIMPLEX, scale, color, width, cv2.LINE_AA)
    return pixels
