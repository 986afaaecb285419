import numpy as np

from fast_style.inspect import drawing
from fast_style.sheet import Tile, grid


def test_map_colors_grow_lighter_and_clamp() -> None:
    ends = drawing.colorize(np.array([[-1.0, 0.0, 1.0, 2.0]], np.float32))[0]
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[2], ends[3])
    light = drawing.colorize(np.linspace(0, 1, 50, dtype=np.float32)[None])[0] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(light) > 0).all()


def test_heat_lies_over_the_photo_half_and_half() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    heat = np.ones((2, 2), np.float32)
    colors = drawing.colorize(heat, "turbo")[0, 0]
    np.testing.assert_array_equal(drawing.overlay(photo, heat), np.floor(photo / 2 + colors / 2 + 0.5))


def test_every_tile_of_a_grid_stands_whole_on_the_sheet() -> None:
    tiles = [Tile(np.full((20, 30, 3), shade, np.uint8), f"relu1_1 ch {shade}") for shade in (60, 90, 120)]
    sheet = grid(tiles, columns=2, heading="a heading")
    for shade in (60, 90, 120):
        assert (sheet == shade).all(axis=2).sum() >= 600


def test_titles_leave_ink_and_strange_letters_do_no_harm() -> None:
    tile = Tile(np.full((20, 90, 3), 255, np.uint8), "")
    blank = grid([tile])
    assert (blank == 255).all()
    named = grid([Tile(tile.pixels, "Ünïcödé 写真 × … a-word-that-is-much-too-long-for-its-cell")])
    assert (named < 100).any()
