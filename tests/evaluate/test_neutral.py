"""The neutral measure: closed forms first, then its ends: the photo itself and the painting itself."""

import numpy as np
import pytest
import torch

from fast_style.errors import ImageError
from fast_style.evaluate.neutral import Gaussian, NeutralMeasure, color_quantiles, gaussian, square_root, wasserstein
from fast_style.images import Pixels


def _gaussian(mean: list[float], covariance: list[list[float]]) -> Gaussian:
    return Gaussian(torch.tensor(mean, dtype=torch.float64), torch.tensor(covariance, dtype=torch.float64))


def test_distance_of_shifted_gaussians_is_the_squared_shift() -> None:
    covariance = [[2.0, 0.5], [0.5, 1.0]]
    first, second = _gaussian([0.0, 0.0], covariance), _gaussian([3.0, 4.0], covariance)
    assert wasserstein(first, second) == pytest.approx(25.0)


def test_distance_of_gaussians_of_other_spread_compares_standard_deviations() -> None:
    first, second = _gaussian([0.0, 0.0], [[4.0, 0.0], [0.0, 9.0]]), _gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 25.0]])
    assert wasserstein(first, second) == pytest.approx((2 - 1) ** 2 + (3 - 5) ** 2)


def test_distance_of_gaussians_that_do_not_commute_is_symmetric_and_known() -> None:
    first, second = _gaussian([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]]), _gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    # For two rows and columns, the trace of the root of a product is √(tr + 2 √det): tr(Σ₁Σ₂) = 10, det = 12.
    expected = 4.0 + 5.0 - 2.0 * np.sqrt(10.0 + 2.0 * np.sqrt(12.0))
    assert wasserstein(first, second) == pytest.approx(expected)
    assert wasserstein(second, first) == pytest.approx(expected)


def test_distance_of_singular_gaussians_is_finite() -> None:
    first, second = _gaussian([0.0, 0.0], [[4.0, 0.0], [0.0, 0.0]]), _gaussian([0.0, 0.0], [[0.0, 0.0], [0.0, 9.0]])
    assert wasserstein(first, second) == pytest.approx(4.0 + 9.0)


def test_square_root_squared_is_the_covariance() -> None:
    covariance = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
    root = square_root(covariance)
    torch.testing.assert_close(root @ root, covariance)


def test_gaussian_of_features_agrees_with_numpy() -> None:
    features = torch.randn(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    found, rows = gaussian(features), features[0].flatten(1).double().numpy()
    np.testing.assert_allclose(found.mean.numpy(), rows.mean(axis=1))
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(rows, bias=True))


def test_a_grey_step_moves_every_color_quantile_by_its_projection() -> None:
    dark, light = np.full((8, 8, 3), 10, np.uint8), np.full((8, 8, 3), 20, np.uint8)
    moved = color_quantiles(light) - color_quantiles(dark)
    # The mean over directions of (10 · d·(1, 1, 1))² is 100 · |(1, 1, 1)|² / 3.
    assert np.square(moved).mean() == pytest.approx(100.0, rel=0.02)


@pytest.fixture(scope="module")
def painting() -> Pixels:
    return np.random.default_rng(1).integers(0, 256, (96, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    rows, columns = np.mgrid[:96, :80]
    return np.stack([2 * rows, 3 * columns, rows + columns], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def measure(painting: Pixels) -> NeutralMeasure:
    return NeutralMeasure(painting)


def test_the_photo_itself_scores_one(measure: NeutralMeasure, photo: Pixels) -> None:
    found = measure.measure(photo, photo)
    assert (found.distance, found.colors, found.kept) == pytest.approx((1.0, 1.0, 1.0))


def test_the_painting_itself_is_no_distance_away(measure: NeutralMeasure, photo: Pixels, painting: Pixels) -> None:
    found = measure.measure(photo, painting)
    assert found.distance == pytest.approx(0.0, abs=1e-3)
    assert found.colors == pytest.approx(0.0, abs=1e-9)
    assert abs(found.kept) < 0.5


def test_a_half_mixed_picture_lies_between(measure: NeutralMeasure, photo: Pixels, painting: Pixels) -> None:
    mixed = (photo // 2 + painting // 2).astype(np.uint8)
    found = measure.measure(photo, mixed)
    assert 0.0 < found.distance < 1.0
    assert 0.0 < found.colors < 1.0
    assert 0.0 < found.kept < 1.0


def test_a_picture_of_another_size_than_its_photo_is_refused(measure: NeutralMeasure, photo: Pixels) -> None:
    with pytest.raises(ImageError, match="the picture has 80×90 px, its photo 80×96 px"):
        measure.measure(photo, photo[:90])
