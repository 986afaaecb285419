"""How a film moves, and strokes that lie on the scene and not on the screen."""

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.images import Pixels, channels, to_float
from tests.conftest import PHOTOS

pytest.importorskip("cv2")

from fast_style.evaluate.motion import play
from fast_style.films.motion import MotionTracker

HEIGHT, WIDTH = 304, 360


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.asarray(Image.open(PHOTOS["coffee"]).convert("RGB"))


def view(photo: Pixels, row: int, column: int, *, seed: int | None = None) -> Pixels:
    """What a camera sees from there, with its noise if a seed is given."""
    seen = photo[row : row + HEIGHT, column : column + WIDTH]
    if seed is None:
        return seen
    grain = np.random.default_rng(seed).normal(0, 3, seen.shape)
    return np.clip(seen + grain, 0, 255).astype(np.uint8)


def origins(frames: list[Pixels]) -> list[tuple[int, int]]:
    motion = MotionTracker()
    return [motion.follow(channels(frame)).origin for frame in frames]


def test_a_camera_that_moves_over_a_scene_is_followed(photo: Pixels) -> None:
    found = origins([view(photo, 60 + 2 * time, 20 + 3 * time, seed=time) for time in range(12)])
    assert found[0] == (0, 0)
    np.testing.assert_allclose(found[-1], (22, 33), atol=2)


def test_a_camera_that_stands_still_stays_where_it_is(photo: Pixels) -> None:
    assert set(origins([view(photo, 60, 20, seed=time) for time in range(20)])) == {(0, 0)}


def test_what_passes_is_not_the_camera(photo: Pixels) -> None:
    frames = []
    for time in range(12):
        frame = view(photo, 60, 20).copy()
        frame[40:140, 8 * time : 8 * time + 80] = photo[40:140, 300:380]
        frames.append(frame)
    assert set(origins(frames)) == {(0, 0)}


@pytest.mark.parametrize("size", [(1920, 160), (640, 60), (60, 640), (2000, 17)])
def test_a_long_strip_is_followed_or_taken_as_still(size: tuple[int, int], photo: Pixels) -> None:
    strip = np.array(Image.fromarray(photo).resize((size[0] + 12, size[1])))
    down, across = origins([strip[:, 3 * time : 3 * time + size[0]] for time in range(4)])[-1]
    assert down == 0
    assert 0 <= across <= 11


def test_a_zoom_has_no_one_motion(photo: Pixels) -> None:
    assert set(origins([moment.frame for moment in play("zoom", photo, frames=8)])) == {(0, 0)}


def test_the_flow_points_to_where_each_pixel_was(photo: Pixels) -> None:
    motion = MotionTracker()
    assert motion.follow(channels(view(photo, 60, 20))).flow is None
    flow = motion.follow(channels(view(photo, 62, 25))).flow
    assert flow is not None
    offset = np.median(flow[10:-10, 10:-10], axis=(0, 1)) * (WIDTH, HEIGHT)
    np.testing.assert_allclose(offset, (5, 2), atol=0.2)


@pytest.mark.parametrize("way", [(5, 3), (8, 16), (-3, 13)])
def test_strokes_lie_still_in_the_scene(photo: Pixels, way: tuple[int, int]) -> None:
    style = Stylizer("starry-night").network
    fixed = style.fixed(style.measure(to_float(view(photo, 60, 100))))

    def drawn(row: int, column: int) -> Pixels:
        seen = view(photo, 60 + row, 100 + column)
        result = np.empty_like(seen)
        fixed.planes(channels(seen), channels(result), origin=(row, column))
        return result

    down, across = way
    first, second = drawn(0, 0).astype(int), drawn(down, across).astype(int)
    # Far from the border, which a network sees from some way off.
    reach = 130
    rows, columns = slice(reach, HEIGHT - reach), slice(reach, WIDTH - reach)
    there = second[reach - down : HEIGHT - reach - down, reach - across : WIDTH - reach - across]
    assert np.abs(first[rows, columns] - there).max() <= 1
    # Were the cells on the screen, they would differ.
    on_screen = np.empty_like(photo[:HEIGHT, :WIDTH])
    fixed.planes(channels(view(photo, 60 + down, 100 + across)), channels(on_screen))
    moved = on_screen[reach - down : HEIGHT - reach - down, reach - across : WIDTH - reach - across]
    assert np.abs(first[rows, columns] - moved).mean() > 2
