"""How fast a style runs on this machine."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fast_style.images import Pixels
from fast_style.model import Device, core_count
from fast_style.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class Speed:
    """How fast frames of one size were stylized in one pass, from uint8 to uint8.

    Attributes:
        width: Px.
        height: Px.
        live: Frames a second, one at a time with every core, as for a camera.
        file: Frames a second, one a core side by side, as for a video file.
    """

    width: int
    height: int
    live: float
    file: float


def measure_style(
    style: str | Path, *, size: tuple[int, int] = (640, 480), device: Device = "auto", seconds: float = 1.0
) -> Speed:
    """Measure how fast a style runs.

    Args:
        style: A shipped name or an ONNX file.
        size: (width, height) of the frames, px.
        device: See :class:`Stylizer`.
        seconds: About how long to measure, longer if frames take longer.

    Raises:
        ImageError: The frames are too small for the style, or too large for the memory.
        FastStyleError: As :class:`Stylizer`.
    """
    width, height = size
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    together, apart = Stylizer(style, device=device), Stylizer(style, device=device, threads=1)
    share = seconds / 2
    return Speed(width, height, _rate(together, frame, 1, share), _rate(apart, frame, core_count(), share))


def _rate(stylizer: Stylizer, frame: Pixels, callers: int, seconds: float) -> float:
    """Return the frames a second of that many threads at once, each from the median of its frames."""
    until = time.perf_counter() + seconds

    def call(_: int) -> float:
        stylizer.frame(frame)  # the first call allocates
        durations: list[float] = []
        while len(durations) < 2 or time.perf_counter() < until:
            start = time.perf_counter()
            stylizer.frame(frame)
            durations.append(time.perf_counter() - start)
        return statistics.median(durations)

    with ThreadPoolExecutor(callers) as pool:
        return sum(1 / median for median in pool.map(call, range(callers)))
