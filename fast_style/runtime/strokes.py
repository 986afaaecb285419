"""Strokes that grow with the photo: a small copy is painted first, larger ones over it.

A network's strokes have a size in pixels, so on a large photo they shrink to a fine grain. Painting a copy of a
fraction of the size and enlarging it makes them as much larger, but soft; the network then goes over the enlarged
canvas, mixed with the photo, which sharpens strokes and brings back what the small copy lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from fast_style.errors import InputError
from fast_style.images import Pixels

# Up to this long side, px, strokes keep the size they were trained with.
NATURAL_SIDE = 1024
LARGEST = 16.0
# Share of the canvas in what the next pass paints over; the rest is the photo.
_CANVAS = 0.5


def natural_strokes(width: int, height: int) -> float:
    """How much larger strokes should be on a photo of that size: 1, from 2048 px on 2, from 4096 px on 4, ….

    Args:
        width: Width of the photo, px.
        height: Height of the photo, px.
    """
    return min(LARGEST, 2.0 ** max(0, math.floor(math.log2(max(width, height) / NATURAL_SIDE))))


def check_strokes(strokes: float | None) -> None:
    """Raise InputError unless ``strokes`` is None or in [1, 16]."""
    if strokes is not None and not 1.0 <= strokes <= LARGEST:
        raise InputError(f"strokes is {strokes}; expected a number from 1 to {LARGEST:g}")


def paint(stylize: Callable[[Pixels], Pixels], photo: Pixels, *, strokes: float, smallest: int) -> Pixels:
    """Stylize a photo with strokes some times as large, from coarse to fine.

    Args:
        stylize: Stylizes (H, W, 3) uint8 of any size.
        photo: (H, W, 3) uint8.
        strokes: 1.0 stylizes once, as it is; 2.0 a copy of half the size first, 4.0 of a quarter and of a half.
        smallest: No side of a copy is smaller, px.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = photo.shape[:2]
    strokes = max(1.0, min(strokes, min(height, width) / smallest))
    canvas: Pixels | None = None
    while strokes > 1.0:
        size = (max(smallest, round(width / strokes)), max(smallest, round(height / strokes)))
        canvas = stylize(_over(_resized(photo, size), canvas))
        strokes = max(1.0, strokes / 2)
    return stylize(_over(photo, canvas))


def _over(photo: Pixels, canvas: Pixels | None) -> Pixels:
    if canvas is None:
        return photo
    height, width = photo.shape[:2]
    enlarged = Image.fromarray(canvas).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(Image.blend(Image.fromarray(photo), enlarged, _CANVAS))


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
