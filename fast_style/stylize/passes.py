"""Passes: larger strokes by stylizing a small copy first and larger ones over it.

A network's strokes have a size in pixels, so on a large photo they become a fine grain. Stylizing a smaller copy and
enlarging it makes them larger, but soft. Stylizing the enlarged canvas again, mixed with the photo, sharpens strokes
and restores what the small copy lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from fast_style.images import Pixels
from fast_style.stylize.checks import LARGEST_STROKES
from fast_style.stylize.rasters import OverRaster, Raster

# Long side of a photo on which strokes have the size of the training, px.
NATURAL_SIDE = 1024
# Share of the canvas in the input of the next pass; the rest is the photo.
_CANVAS = 0.5


def natural_strokes(width: int, height: int) -> float:
    """Return the factor of the strokes' size for a photo: 1, from 2048 px on 2, from 4096 px on 4, ….

    Args:
        width: Width of the photo, px.
        height: Height of the photo, px.
    """
    return min(LARGEST_STROKES, 2.0 ** max(0, math.floor(math.log2(max(width, height) / NATURAL_SIDE))))


def underpaint(stylize: Callable[[Raster], Pixels], photo: Raster, *, strokes: float, smallest: int) -> Raster:
    """Stylize the smaller copies that larger strokes need, from coarse to fine.

    Args:
        stylize: Stylizes a copy, into (H, W, 3) uint8.
        photo: The photo.
        strokes: Factor of the strokes' size: 1.0 needs no copy, 2.0 one of half the size, 4.0 a quarter and a half.
        smallest: Smallest side of a copy, px.

    Returns:
        The input of the last pass: the photo, with the largest copy mixed in.
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
