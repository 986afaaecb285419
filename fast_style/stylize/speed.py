"""How fast a style runs on this machine."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fast_style.images import Pixels
from fast_style.model.session import core_count
from fast_style.stylize.stylizer import Stylizer


def measure_style(style: str | Path, *, size: tuple[int, int], seconds: float = 1.0) -> tuple[float, float]:
    """Measure how fast a style paints frames in one pass, from uint8 to uint8.

    Args:
        style: A shipped name or an ONNX file.
        size: (width, height) of the frames, px.
        seconds: About how long to measure, longer if frames take longer.

    Returns:
        Frames a second: one at a time with every core, as for a camera; and one a core side by side, as for a file.

    Raises:
        ImageError: The frames are too small for the style, or too large for the memory.
        FastStyleError: As :class:`Stylizer`.
    """
    width, height = size
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    together, apart = Stylizer(style), Stylizer(style, threads=1)
    return _rate(together, frame, 1, seconds / 2), _rate(apart, frame, core_count(), seconds / 2)


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
