"""Precision and coverage: the ends of the scale, a picture of one patch, and where a photo is flat."""

import numpy as np
import pytest
import torch

from fast_style.errors import ImageError
from fast_style.evaluate.places import PlacesMeasure, local_variance
from fast_style.images import Picture, Pixels, load_image, resize
from fast_style.losses.terms.places import draw_places, precision_and_coverage
from tests.conftest import PHOTOS

SIDE = 128


@pytest.fixture(scope="module")
def painting() -> Pixels:
    """Stripes beside blots of colored noise, 128×128 px."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[:SIDE, : SIDE // 2]
    stripes = np.where((rows + columns) // 8 % 2, 230, 20)[..., None] * [1.0, 0.8, 0.2]
    blots = np.kron(random.integers(0, 256, (SIDE // 16, SIDE // 32, 3)), np.ones((16, 16, 1)))
    return np.concatenate([stripes, blots], axis=1).astype(np.uint8)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return resize(Picture(load_image(PHOTOS["rocket"]).pixels[:, 100:527].copy()), (SIDE, SIDE)).pixels


@pytest.fixture(scope="module")
def measure(painting: Pixels) -> PlacesMeasure:
    return PlacesMeasure(painting)


def test_the_photo_scores_one(measure: PlacesMeasure, photo: Pixels) -> None:
    figures = measure.measure([photo], [photo])
    for values in (figures.precision, figures.flat_precision, figures.coverage):
        assert values == pytest.approx((1.0, 1.0, 1.0))


def test_the_painting_scores_no_more_than_zero(measure: PlacesMeasure, photo: Pixels, painting: Pixels) -> None:
    figures = measure.measure([photo], [painting])
    for values in (figures.precision, figures.coverage):
        assert max(values) < 0.02


def test_one_patch_of_the_painting_repeated_is_precise_and_covers_little(
    measure: PlacesMeasure, photo: Pixels, painting: Pixels
) -> None:
    figures = measure.measure([photo], [np.tile(painting[:32, :32], (4, 4, 1))])
    assert max(figures.precision) < 0.2
    assert max(figures.flat_precision) < 0.2
    assert min(figures.coverage) > 0.6


def test_a_flat_sky_that_stays_flat_is_seen_in_the_flat_places_alone(measure: PlacesMeasure, painting: Pixels) -> None:
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    photo[: SIDE // 4] = 128
    picture = painting.copy()
    picture[: SIDE // 4] = 128
    figures = measure.measure([photo], [picture])
    assert min(figures.flat_precision) > 0.6
    assert max(figures.precision) < min(figures.flat_precision) / 2


def test_distances_are_averaged_over_photos_before_they_become_shares(
    measure: PlacesMeasure, photo: Pixels, painting: Pixels
) -> None:
    alone = measure.measure([photo], [255 - photo])
    # A photo of the painting itself has no share of its own; it counts by its distance, which is about the floor.
    both = measure.measure([photo, painting], [255 - photo, painting])
    assert both.precision == pytest.approx(alone.precision, abs=0.05)


def test_precision_and_coverage_of_known_places() -> None:
    painting = torch.eye(4)
    picture = torch.tensor([[2.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    precision, coverage = precision_and_coverage(picture, painting)
    assert float(precision) == pytest.approx((0 + (1 - 0.5**0.5)) / 2)
    assert float(coverage) == pytest.approx((0 + (1 - 0.5**0.5) + 1 + 1) / 4)


def test_the_draw_takes_each_place_once_and_is_the_same_each_time() -> None:
    assert draw_places(10, 20, seed=0).sort().values.tolist() == list(range(10))
    drawn = draw_places(1000, 50, seed=0)
    assert len(set(drawn.tolist())) == 50
    assert torch.equal(drawn, draw_places(1000, 50, seed=0))
    assert not torch.equal(drawn, draw_places(1000, 50, seed=1))


def test_variance_of_a_checkerboard_is_that_of_its_two_levels_and_of_an_even_area_zero() -> None:
    photo = np.full((128, 128, 3), 100, np.uint8)
    board = np.indices((128, 64)).sum(axis=0) % 2
    photo[:, 64:] = np.where(board, 120, 80)[..., None]
    variance = local_variance(photo)[0, 0].numpy()
    assert variance.shape == (33, 33)
    assert variance[:, :13] == pytest.approx(0.0, abs=1e-6)
    assert variance[:, 20:] == pytest.approx(400.0)


def test_a_picture_of_another_size_than_its_photo_is_refused(measure: PlacesMeasure, photo: Pixels) -> None:
    with pytest.raises(ImageError, match="the picture has 128×120 px, its photo 128×128 px"):
        measure.measure([photo], [photo[:120]])
