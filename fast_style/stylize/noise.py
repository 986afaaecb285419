"""Noise that never repeats, for large pictures, from the tile with which a network was trained."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray


def endless_noise(tile: NDArray[np.float32], origin: tuple[int, int], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Cut a part out of an endless plane of noise.

    A network repeats its tile, every 512 px if it works at an eighth of the size, which shows in the sky of a large
    picture. Here each copy of the tile is rolled by a random amount. White noise has no edges that could show.

    Args:
        tile: (1, 1, S, S). The copy at the origin of the plane is not rolled.
        origin: Row and column of the part.
        shape: Rows and columns of the part.

    Returns:
        (1, 1, rows, columns). The same place has the same noise in every part.
    """
    side = tile.shape[-1]
    out = np.empty((1, 1, *shape), np.float32)
    last = [first + length - 1 for first, length in zip(origin, shape, strict=True)]
    for row, column in product(*(range(a // side, b // side + 1) for a, b in zip(origin, last, strict=True))):
        roll = np.random.default_rng([row, column]).integers(0, side, 2) if row or column else np.zeros(2, np.int64)
        copy = np.roll(tile[0, 0], roll, (0, 1))
        (to_rows, from_rows), (to_columns, from_columns) = (
            _overlap(block * side, side, first, length)
            for block, first, length in zip((row, column), origin, shape, strict=True)
        )
        out[0, 0, to_rows, to_columns] = copy[from_rows, from_columns]
    return out


def _overlap(block: int, side: int, first: int, length: int) -> tuple[slice, slice]:
    """Return where a block of the plane lies in a part, and where the part lies in the block."""
    low, high = max(block, first), min(block + side, first + length)
    return slice(low - first, high - first), slice(low - block, high - block)
