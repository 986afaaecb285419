import itertools

import numpy as np
import pytest

from fast_style.films.steady import SteadyFilter, novelty
from fast_style.images import Pixels

cv2 = pytest.importorskip("cv2")


def network(planes: Pixels) -> Pixels:
    """Stands in for a style that makes much of little: it triples what is fine in the picture."""
    image = planes.astype(np.float32)
    fine = image - np.stack([cv2.blur(plane, (5, 5)) for plane in image])
    return np.asarray(np.clip(image + 2 * fine, 0, 255), np.uint8)


def film(count: int = 30, *, deviation: float = 3.0) -> tuple[list[Pixels], list[Pixels]]:
    """A still scene with a square that moves, without and with a camera's noise; (3, 96, 160) uint8 each."""
    generator = np.random.default_rng(0)
    scene = cv2.blur(generator.uniform(40, 200, (96, 160, 3)), (9, 9)).transpose(2, 0, 1)
    clean, noisy = [], []
    for number in range(count):
        frame = scene.copy()
        frame[:, 60:80, number * 4 : number * 4 + 20] = np.array([230, 40, 40])[:, None, None]
        clean.append(frame.astype(np.uint8))
        grain = generator.normal(0, deviation, frame.shape)
        noisy.append(np.clip(frame + grain, 0, 255).astype(np.uint8))
    return clean, noisy


def flicker(frames: list[Pixels], region: tuple[slice, slice]) -> float:
    """Mean change from one frame to the next, in steps of 8 bits."""
    parts = np.stack([frame[:, region[0], region[1]].astype(np.float32) for frame in frames[10:]])
    return float(np.abs(np.diff(parts, axis=0)).mean())


def steadied(frames: list[Pixels]) -> list[Pixels]:
    steady = SteadyFilter()
    results = []
    for frame in frames:
        held, change = steady.hold(frame)
        results.append(steady.smooth(network(held), change))
    return results


def test_flicker_is_at_least_halved_where_nothing_moves() -> None:
    _, noisy = film()
    still = (slice(0, 40), slice(0, 160))
    assert flicker(steadied(noisy), still) < 0.5 * flicker([network(frame) for frame in noisy], still)


def test_what_moves_leaves_no_trail() -> None:
    clean, noisy = film()
    results = steadied(noisy)
    for number in (15, 22, 29):
        x = number * 4
        expected = network(clean[number]).astype(int)
        square = abs(results[number][:, 62:78, x + 2 : x + 18].astype(int) - expected[:, 62:78, x + 2 : x + 18])
        trail = abs(results[number][:, 62:78, x - 14 : x - 2].astype(int) - expected[:, 62:78, x - 14 : x - 2])
        # A ghost would differ by tens; noise that is not held by a few.
        assert square.mean() < 12
        assert trail.mean() < 12


def test_a_cut_is_shown_at_once() -> None:
    _, noisy = film(12)
    steady = SteadyFilter()
    for frame in noisy:
        _, change = steady.hold(frame)
        steady.smooth(frame, change)
    other = 255 - noisy[-1]
    _, change = steady.hold(other)
    assert (steady.smooth(other, change) == other).all()


def test_a_slow_change_of_light_comes_through() -> None:
    steady = SteadyFilter()
    for level in np.linspace(80, 120, 120):
        result = steady.smooth(*steady.hold(np.full((3, 40, 40), level, np.uint8)))
    assert abs(result.astype(int) - 120).max() <= 4


def test_flicker_of_what_moves_as_a_whole_is_halved_too() -> None:
    """A camera that moves over a scene by parts of a pixel: what was painted is carried along."""
    generator = np.random.default_rng(0)
    scene = cv2.blur(generator.uniform(40, 200, (160, 260, 3)), (9, 9)).astype(np.float32)
    step = np.array([1.4, 0.6], np.float32)
    frames, seen = [], scene
    for time in range(20):
        moved = np.array([[1, 0, -time * step[0] - 8], [0, 1, -time * step[1] - 8]], np.float32)
        seen = cv2.warpAffine(scene, moved, (160, 96), flags=cv2.INTER_CUBIC)
        frames.append(np.clip(seen + generator.normal(0, 3, seen.shape), 0, 255).astype(np.uint8).transpose(2, 0, 1))
    flow = np.broadcast_to(step / np.array((160, 96), np.float32), (96, 160, 2)).astype(np.float32)

    def change(pictures: list[Pixels]) -> float:
        """Mean change inside, once the motion is undone."""
        back = np.array([[1, 0, -step[0]], [0, 1, -step[1]]], np.float32)
        changes = []
        for first, second in itertools.pairwise(picture.transpose(1, 2, 0).astype(np.float32) for picture in pictures):
            changes.append(np.abs(cv2.warpAffine(first, back, (160, 96)) - second)[20:-20, 20:-20].mean())
        return float(np.mean(changes[10:]))

    steady = SteadyFilter()
    results = []
    for frame in frames:
        held, since = steady.hold(frame, flow)
        results.append(steady.smooth(network(held), since))
    assert change(results) < 0.5 * change([network(frame) for frame in frames])
    # It is renewed often enough to stay crisp.
    clean = network(np.clip(seen, 0, 255).astype(np.uint8).transpose(2, 0, 1))
    contrast = [cv2.Laplacian(picture[1].astype(np.float32), cv2.CV_32F).std() for picture in (results[-1], clean)]
    assert contrast[0] > 0.7 * contrast[1]


@pytest.mark.parametrize(("error", "new"), [(0.0, False), (0.15, False), (1.5, True)])
def test_an_edge_that_the_flow_misses_by_a_part_of_a_pixel_is_not_new(error: float, new: bool) -> None:
    """Soft edges of high contrast on flat ground, beside the same ones off by ``error`` px."""
    columns = np.arange(200, dtype=np.float32)

    def edges(off: float) -> np.ndarray:
        row = 40 + 150 / (1 + np.exp(8 * np.cos((columns - off) * 2 * np.pi / 50)))
        return np.tile(row.astype(np.float32), (100, 1))

    assert bool(novelty(edges(0), edges(error)).max() > 0.9) == new
    assert new or novelty(edges(0), edges(error)).max() == 0


def test_what_is_painted_otherwise_leaves_no_ghost_though_the_photo_hardly_changed() -> None:
    """Strokes in a dark corner may move with what is beside it."""
    generator = np.random.default_rng(0)
    photo, steady = np.full((3, 96, 160), 20, np.uint8), SteadyFilter()
    painted = generator.integers(90, 110, (10, 3, 96, 160)).astype(np.uint8)
    for number, picture in enumerate(painted):
        if number == 9:
            picture[:, 30:60, 40:90] = 200
        result = steady.smooth(picture, steady.hold(photo)[1])
    inside, outside = result[:, 36:54, 46:84].astype(int), result[:, :, 110:].astype(int)
    assert abs(inside - 200).max() <= 1
    assert outside.std() < 0.6 * painted[9, :, :, 110:].std()


def test_strokes_in_a_flat_sky_move_with_the_camera_and_leave_no_smear() -> None:
    """A sky does not seem to move when the camera pans, but its strokes lie on the scene."""
    generator = np.random.default_rng(0)
    strokes = cv2.blur(generator.uniform(0, 255, (96, 400, 3)), (5, 5)).transpose(2, 0, 1)
    ground = cv2.blur(generator.uniform(40, 200, (30, 400, 3)), (5, 5)).transpose(2, 0, 1)
    steady, flow = SteadyFilter(), np.full((96, 160, 2), (6 / 160, 0), np.float32)
    for number in range(12):
        left = 6 * number
        photo = np.full((3, 96, 160), 180.0)
        photo[:, 66:] = ground[..., left : left + 160]
        painted = strokes[..., left : left + 160].astype(np.uint8)
        _, change = steady.hold(photo.astype(np.uint8), flow if number else None, origin=(0, left))
        result = steady.smooth(painted, change)
    apart = np.abs(result.astype(int) - painted)[:, 4:60, 4:80]  # what was seen from the first frame on
    assert apart.max() <= 1
