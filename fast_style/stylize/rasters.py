"""Pictures that are read in parts, so that large ones need not be in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.images import Picture, Pixels, channels, float_to_planes, resize, to_float, to_uint8
from fast_style.images.arrays import to_uint16

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


def read_whole(raster: Raster) -> Part:
    """Read all of a picture."""
    return raster.read((0, 0, *raster.size))


def to_part(image: NDArray[np.float32], like: Part) -> Part:
    """(1, 3, H, W) float in [0, 1] to (H, W, 3) of another part's type; rounds, and clamps what lies outside.

    The image is overwritten: another of floats would be most of the memory.
    """
    if like.dtype != np.uint8:
        return to_uint16(image)
    part = np.empty((*image.shape[2:], 3), np.uint8)
    float_to_planes(image, channels(part))
    return part


class ArrayRaster:
    """A picture that is in memory.

    Args:
        pixels: (H, W, 3) uint8 or uint16.
    """

    def __init__(self, pixels: Part) -> None:
        self.pixels, self.size = pixels, (pixels.shape[1], pixels.shape[0])

    def read(self, box: Box) -> Part:
        """Return a view of a part."""
        return _cut(self.pixels, box)

    def shrunk(self, size: tuple[int, int]) -> ArrayRaster:
        """Resample the whole, of 8 bits, with Lanczos."""
        return ArrayRaster(resize(Picture(self.pixels), size).pixels)

    def reduced(self, factor: int) -> ArrayRaster:
        """Average squares of pixels."""
        shallow = self.pixels if self.pixels.dtype == np.uint8 else to_uint8(to_float(self.pixels))
        return ArrayRaster(np.asarray(Image.fromarray(shallow).reduce(factor)))


class OverRaster:
    """A photo whose coarse part is mixed with a draft of half its size, part by part.

    Args:
        photo: The photo.
        small: The photo at half the size, of which the draft was painted.
        draft: (⌈H / 2⌉, ⌈W / 2⌉, 3) uint8.
        share: Share of the draft, 0 to 1, by place: (⌈H / factor⌉, ⌈W / factor⌉) float32.
        factor: How much smaller the share is than the photo.
    """

    def __init__(
        self, photo: Raster, small: Raster, draft: Pixels, share: NDArray[np.float32], factor: int = 2
    ) -> None:
        self.photo, self.small, self.draft, self.share, self.factor = photo, small, draft, share, factor
        self.size = photo.size

    def read(self, box: Box) -> Part:
        """Mix a part."""
        part = self.photo.read(box)
        height, width = self.share.shape
        share = _enlarged(lambda box: _cut(self.share, box), (width, height), self.factor, box)
        change = _enlarged(self._change, self.small.size, 2, box)
        change *= share * np.float32(1 if part.dtype == np.uint8 else 257)
        mixed = part + change + np.float32(0.5)
        return mixed.clip(0, np.iinfo(part.dtype).max).astype(part.dtype)

    def _change(self, box: Box) -> NDArray[np.float32]:
        """What the draft changed in a part of the small photo."""
        change: NDArray[np.float32] = np.subtract(_cut(self.draft, box), self.small.read(box), dtype=np.float32)
        return change

    def shrunk(self, size: tuple[int, int]) -> ArrayRaster:
        """Mix the whole and resample it."""
        return self._mixed().shrunk(size)

    def reduced(self, factor: int) -> ArrayRaster:
        """Mix the whole and average squares of pixels, whose side is even."""
        return self._mixed().reduced(factor // 2)

    def _mixed(self) -> ArrayRaster:
        """Mix at half the size: enough for statistics, and a quarter of the memory."""
        width, height = self.small.size
        whole = read_whole(self.small)
        share = Image.fromarray(self.share).resize((width, height), Image.Resampling.BICUBIC)
        mixed = whole + np.asarray(share)[..., None] * (self.draft.astype(np.float32) - whole)
        # Cubic resampling overshoots, so that a share may be over 1.
        return ArrayRaster((mixed + np.float32(0.5)).clip(0, 255).astype(np.uint8))


def _cut(array: NDArray[Any], box: Box) -> NDArray[Any]:
    left, top, right, bottom = box
    return array[top:bottom, left:right]


def _enlarged(
    read: Callable[[Box], NDArray[np.float32]], size: tuple[int, int], factor: int, box: Box
) -> NDArray[np.float32]:
    """Enlarge a part of some maps of (width, height) px, with its surroundings, so that parts meet without a seam.

    Returns:
        (height, width, maps) of the part.
    """
    left, top, right, bottom = (side / factor for side in box)
    first = max(0, math.floor(left) - _AROUND), max(0, math.floor(top) - _AROUND)
    last = min(size[0], math.ceil(right) + _AROUND), min(size[1], math.ceil(bottom) + _AROUND)
    place = left - first[0], top - first[1], right - first[0], bottom - first[1]
    shape = box[2] - box[0], box[3] - box[1]
    maps = np.moveaxis(np.atleast_3d(read((*first, *last))), 2, 0)
    images = [Image.fromarray(np.ascontiguousarray(each)) for each in maps]
    enlarged = [np.asarray(each.resize(shape, Image.Resampling.BICUBIC, box=place)) for each in images]
    return np.stack(enlarged, axis=-1)
