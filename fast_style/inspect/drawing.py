"""Drawing what the other modules return: color maps, overlays and bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from fast_style.images import Pixels, fit_size

Colors = Literal["fire", "rainbow", "grey"]
Floats = NDArray[np.float32]

# Fire grows lighter all the way, so it reads right when printed gray.
_MAPS: dict[Colors, str] = {"grey": "gray", "fire": "inferno", "rainbow": "turbo"}
_BAR = (52, 104, 168)
_DPI = 100


def colorize(values: Floats, colors: Colors = "fire") -> Pixels:
    """Turn (H, W) values in [0, 1] into (H, W, 3) uint8; what lies outside is clamped."""
    return np.ascontiguousarray(colormaps[_MAPS[colors]](values, bytes=True)[..., :3])


def enlarge(values: Floats, size: tuple[int, int], *, smooth: bool = True) -> Floats:
    """Resample (H, W) values to (width, height) px, bilinear, or as blocks if not ``smooth``."""
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, method), dtype=np.float32)


def overlay(photo: Pixels, values: Floats, colors: Colors = "rainbow", *, amount: float = 0.5) -> Pixels:
    """Lay values in [0, 1] of any size over a photo, (H, W, 3): ``amount`` 0 is the photo, 1 the colours alone."""
    height, width = photo.shape[:2]
    heat = colorize(enlarge(values, (width, height)), colors).astype(np.float32)
    return (photo * (1 - amount) + heat * amount + 0.5).astype(np.uint8)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resample a picture to (width, height) px; small ones are enlarged as blocks, so that their values show."""
    small = size[0] >= 2 * pixels.shape[1] and size[1] >= 2 * pixels.shape[0]
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def within(pixels: Pixels, side: int) -> Pixels:
    """Bring a picture's long side to ``side`` px, up or down; the aspect ratio is kept."""
    return resized(pixels, fit_size((pixels.shape[1], pixels.shape[0]), side, enlarge=True))


def bars(rows: Sequence[tuple[str, float, str]], *, heading: str = "", width: int = 520) -> Pixels:
    """Draw horizontal bars.

    Args:
        rows: Label, value from 0 up, and the value in words, top to bottom.
        heading: A line over all.
        width: Width of the picture, px.

    Returns:
        (H, W, 3) uint8.
    """
    height = 22 * len(rows) + (60 if heading else 30)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.barh(range(len(rows)), [value for _, value, _ in rows], color=[part / 255 for part in _BAR])
    axes.bar_label(drawn, [words for _, _, words in rows], padding=6)
    axes.set_yticks(range(len(rows)), [label if len(label) <= 32 else f"{label[:31]}…" for label, _, _ in rows])
    axes.set(xlim=(0, 1.15 * max(max(value for _, value, _ in rows), 1e-9)), xticks=[])
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    figure.suptitle(heading, fontsize=10, wrap=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)[..., :3]
