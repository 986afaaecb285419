"""Noise that never repeats, for large pictures, from the tile with which a network was trained."""

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

    def copy(row: int, column: int) -> NDArray[np.float32]:
        roll = np.random.default_rng([row, column]).integers(0, side, 2) if row or column else (0, 0)
        return np.roll(tile[0, 0], roll, (0, 1))

    rows, columns = (
        range(first // side, (first + length - 1) // side + 1) for first, length in zip(origin, shape, strict=True)
    )
    copies = np.block([[copy(row, column) for column in columns] for row in rows])
    top, left = origin[0] % side, origin[1] % side
    return np.ascontiguousarray(copies[None, None, top : top + shape[0], left : left + shape[1]])
