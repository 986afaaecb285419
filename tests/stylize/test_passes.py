from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_style import Stylizer
from fast_style.errors import InputError
from fast_style.images import Pixels
from fast_style.stylize.passes import natural_strokes, underpaint
from fast_style.stylize.rasters import ArrayRaster, Raster


def paint(photo: Pixels, strokes: float, stylize: Callable[[Raster], Pixels]) -> Pixels:
    return stylize(underpaint(stylize, ArrayRaster(photo), strokes=strokes, smallest=16))


def unchanged(photo: Raster) -> Pixels:
    pixels: Pixels = photo.read((0, 0, *photo.size))
    return pixels


def spy(seen: list[tuple[int, int]]) -> Callable[[Raster], Pixels]:
    def stylize(photo: Raster) -> Pixels:
        seen.append(photo.size[::-1])
        return unchanged(photo)

    return stylize


@pytest.mark.parametrize(("side", "strokes"), [(64, 1), (2047, 1), (2048, 2), (4095, 2), (4096, 4), (9000, 8)])
def test_strokes_grow_with_the_photo(side: int, strokes: float) -> None:
    assert natural_strokes(side, 16) == natural_strokes(16, side) == strokes


@pytest.mark.parametrize(
    ("strokes", "sizes"),
    [
        (1, [(80, 120)]),
        (2, [(40, 60), (80, 120)]),
        (3, [(27, 40), (53, 80), (80, 120)]),
        (4, [(20, 30), (40, 60), (80, 120)]),
    ],
)
def test_a_photo_is_painted_from_coarse_to_fine(strokes: float, sizes: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, int]] = []
    paint(np.zeros((80, 120, 3), np.uint8), strokes, spy(seen))
    assert seen == sizes


def test_a_network_that_changes_nothing_gives_the_smooth_photo_back() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 96, dtype=np.uint8)[None, :, None], (64, 96, 3)).copy()
    painted = paint(ramp, 4, unchanged)
    assert np.abs(painted.astype(int) - ramp).max() <= 4


@given(st.integers(16, 90), st.integers(16, 90), st.floats(1, 16))
def test_any_photo_keeps_its_size_and_no_copy_is_too_small(height: int, width: int, strokes: float) -> None:
    seen: list[tuple[int, int]] = []
    painted = paint(np.zeros((height, width, 3), np.uint8), strokes, spy(seen))
    assert painted.shape == (height, width, 3)
    assert min(min(size) for size in seen) >= 16


def test_strokes_are_larger_mixed_and_checked(model_file: str) -> None:
    stylizer = Stylizer(model_file)
    photo = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    plain = np.asarray(stylizer(photo))
    assert np.array_equal(plain, np.asarray(stylizer(photo, strokes=1)))
    assert not np.array_equal(plain, np.asarray(stylizer(photo, strokes=2)))
    assert np.array_equal(photo, np.asarray(stylizer(photo, strokes=2, blend=0.0)))
    with pytest.raises(InputError, match=r"strokes is 0\.5"):
        stylizer(photo, strokes=0.5)
