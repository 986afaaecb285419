"""Strokes that grow with the photo: a small copy is painted first, larger ones over it.

A network's strokes have a size in pixels, so on a large photo they shrink to a fine grain. Painting a copy of a
fraction of the size and enlarging it makes them as much larger, but soft; the network then goes over the enlarged
canvas, mixed with the photo, which sharpens strokes and brings back what the small copy lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fast_style.errors import InputError
from fast_style.images import Pixels
from fast_style.stylize.rasters import OverRaster, Raster

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


def underpaint(stylize: Callable[[Raster], Pixels], photo: Raster, *, strokes: float, smallest: int) -> Raster:
    """Paint what strokes some times as large need beneath them, from coarse to fine.

    Args:
        stylize: Makes a picture, (H, W, 3) uint8, of one.
        photo: The photo.
        strokes: 1.0 needs nothing; 2.0 a copy of half the size, 4.0 of a quarter and of a half.
        smallest: No side of a copy is smaller, px.

    Returns:
        What is stylized last: the photo, with the largest copy mixed in.
    """
    width, height = photo.size
    strokes = max(1.0, min(strokes, min(height, width) / smallest))
    canvas: Pixels | None = None
    while strokes > 1.0:
        size = (max(smallest, round(width / strokes)), max(smallest, round(height / strokes)))
        canvas = stylize(_over(photo.shrunk(size), canvas))
        strokes = max(1.0, strokes / 2)
    return _over(photo, canvas)


def _over(photo: Raster, canvas: Pixels | None) -> Raster:
    return photo if canvas is None else OverRaster(photo, canvas, share=_CANVAS)
