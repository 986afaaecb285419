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
# Pixels of the draft around a part that are read with it: bicubic resampling looks at fewer.
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

    def reduced(self, factor: int) -> Raster:
        """Average squares with this side, px, smaller at the right and the bottom, with 8 bits a channel."""


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

    def reduced(self, factor: int) -> ArrayRaster:
        """Average squares of pixels."""
        return ArrayRaster(np.asarray(Image.fromarray(self.pixels).reduce(factor)))


class OverRaster:
    """A photo into which a draft of half its size, enlarged, is mixed part by part.

    Args:
        photo: The photo.
        draft: (⌈H / 2⌉, ⌈W / 2⌉, 3) uint8.
        share: Share of the draft, 0 to 1, by place: (⌈H / factor⌉, ⌈W / factor⌉) float32.
        factor: How much smaller the share is than the photo.
    """

    def __init__(self, photo: Raster, draft: Pixels, share: NDArray[np.float32], factor: int = 2) -> None:
        self.photo, self.draft, self.share, self.factor = photo, draft, share, factor
        self.size = photo.size

    def read(self, box: Box) -> Part:
        """Mix a part."""
        part = self.photo.read(box)
        share = _enlarged(self.share, self.factor, box)[..., None]
        draft = _enlarged(self.draft, 2, box) * np.float32(1 if part.dtype == np.uint8 else 257)
        mixed = part + share * (draft - part) + np.float32(0.5)
        return mixed.astype(part.dtype)

    def shrunk(self, size: tuple[int, int]) -> ArrayRaster:
        """Mix the whole and resample it."""
        return self._mixed().shrunk(size)

    def reduced(self, factor: int) -> ArrayRaster:
        """Mix the whole and average squares of pixels."""
        return self._mixed().reduced(factor)

    def _mixed(self) -> ArrayRaster:
        half = self.photo.reduced(2)  # enough for statistics, and a quarter of the memory
        whole = half.read((0, 0, *half.size))
        width, height = half.size
        share = Image.fromarray(self.share).resize((width, height), Image.Resampling.BICUBIC)
        mixed = whole + np.asarray(share)[..., None] * (self.draft.astype(np.float32) - whole)
        return ArrayRaster((mixed + np.float32(0.5)).astype(np.uint8))


def _enlarged(array: NDArray[Any], factor: int, box: Box) -> NDArray[np.float32]:
    """Enlarge a part of an array, with its surroundings, so that parts meet without a seam."""
    height, width = array.shape[:2]
    left, top, right, bottom = (side / factor for side in box)
    first = max(0, math.floor(left) - _AROUND), max(0, math.floor(top) - _AROUND)
    last = min(width, math.ceil(right) + _AROUND), min(height, math.ceil(bottom) + _AROUND)
    seen = Image.fromarray(np.ascontiguousarray(array[first[1] : last[1], first[0] : last[0]]))
    place = left - first[0], top - first[1], right - first[0], bottom - first[1]
    enlarged = seen.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BICUBIC, box=place)
    return np.asarray(enlarged, np.float32)
