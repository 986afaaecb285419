"""Pictures that are read in parts, so that large ones need not be in memory."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.images import Picture, Pixels, resize

# (H, W, 3), RGB: uint8, or uint16 of a picture with 16 bits for each channel.
Part = NDArray[Any]
# Pixels of the canvas around a part that are read with it: bicubic resampling looks at fewer.
_AROUND = 4
Box = tuple[int, int, int, int]  # left, top, right, bottom, px


class Raster(Protocol):
    """A picture of which parts can be read, in any order and from several threads."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""

    def read(self, box: Box) -> Part:
        """Read a part that lies within the picture."""

    def shrunk(self, size: tuple[int, int]) -> Raster:
        """Resample the whole to (width, height) px, with 8 bits a channel."""


class ArrayRaster:
    """A picture that is in memory.

    Args:
        pixels: (H, W, 3) uint8.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def read(self, box: Box) -> Part:
        """Return a view of a part."""
        left, top, right, bottom = box
        return self.pixels[top:bottom, left:right]

    def shrunk(self, size: tuple[int, int]) -> ArrayRaster:
        """Resample the whole with Lanczos."""
        return ArrayRaster(resize(Picture(self.pixels), size).pixels)


class OverRaster:
    """A photo into which a smaller stylized canvas, enlarged, is mixed part by part.

    Args:
        photo: The photo.
        canvas: (H, W, 3) uint8, smaller.
        share: Share of the canvas, 0 to 1.
    """

    def __init__(self, photo: Raster, canvas: Pixels, *, share: float) -> None:
        self.photo, self.canvas, self.share = photo, canvas, share
        self.size = photo.size

    def read(self, box: Box) -> Part:
        """Mix a part."""
        part = self.photo.read(box)
        enlarged = self._enlarged(box)
        if part.dtype == np.uint8:
            return np.asarray(Image.blend(Image.fromarray(part), enlarged, self.share))
        mixed = part * np.float32(1 - self.share) + np.asarray(enlarged) * np.float32(257 * self.share)
        return (mixed + np.float32(0.5)).astype(np.uint16)

    def shrunk(self, size: tuple[int, int]) -> Raster:
        """Mix the whole at another size."""
        canvas = ArrayRaster(self.canvas).shrunk(size).pixels
        return OverRaster(self.photo.shrunk(size), canvas, share=self.share)

    def _enlarged(self, box: Box) -> Image.Image:
        """Enlarge the canvas in a part of the photo, with its surroundings, so that parts meet without a seam."""
        height, width = self.canvas.shape[:2]
        across, down = width / self.size[0], height / self.size[1]
        left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        first = max(0, math.floor(left) - _AROUND), max(0, math.floor(top) - _AROUND)
        last = min(width, math.ceil(right) + _AROUND), min(height, math.ceil(bottom) + _AROUND)
        seen = Image.fromarray(np.ascontiguousarray(self.canvas[first[1] : last[1], first[0] : last[0]]))
        place = left - first[0], top - first[1], right - first[0], bottom - first[1]
        return seen.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC, box=place)
