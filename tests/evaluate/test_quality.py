import numpy as np
import pytest
import skimage.data
import skimage.metrics
import sklearn.datasets

from fast_style.errors import ImageError
from fast_style.evaluate.quality import (
    border_contrast,
    color_count,
    dead_area,
    grids,
    saturation,
    smallest_channel_spread,
    structural_similarity,
)

PHOTOS = {
    "astronaut": skimage.data.astronaut,
    "chelsea": skimage.data.chelsea,
    "coffee": skimage.data.coffee,
    "china": lambda: sklearn.datasets.load_sample_images().images[0],
    "flower": lambda: sklearn.datasets.load_sample_images().images[1],
}


def with_grid(photo, period, levels, phase=0):
    """Add a checkerboard of the period whose root mean square is ``levels``."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] + phase
    sign = np.where((x // (period // 2) + y // (period // 2)) % 2, 1.0, -1.0)
    return np.clip(np.rint(photo + levels * sign[..., None]), 0, 255).astype(np.uint8)


def noise(seed=0, size=(160, 192)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def grey(size=(128, 128), value=128):
    return np.full((*size, 3), value, dtype=np.uint8)


@pytest.mark.parametrize("period", [2, 4, 8])
@pytest.mark.parametrize("phase", [0, 1, 3])
def test_grid_on_grey_is_measured_at_its_period_and_amplitude(period, phase):
    found = grids(with_grid(grey(), period, 5.0, phase))
    assert found[period].visible
    assert found[period].levels == pytest.approx(5.0, rel=0.01)


def test_cosine_of_period_four_has_its_mean_square_as_energy():
    wave = 128 + 20 * np.cos(2 * np.pi * np.arange(128) / 4)
    found = grids(np.broadcast_to(np.rint(wave)[None, :, None], (128, 128, 3)).astype(np.uint8))
    assert found[4].levels == pytest.approx(20 / np.sqrt(2), rel=1e-3)
    assert found[2].levels == pytest.approx(0.0, abs=1e-6)
    assert found[8].levels == pytest.approx(0.0, abs=1e-6)


def test_constant_picture_has_no_grid():
    assert all(grid.levels == 0.0 and grid.ratio == pytest.approx(1.0) for grid in grids(grey()).values())


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_have_no_visible_grid(name):
    assert not any(grid.visible for grid in grids(PHOTOS[name]()).values())


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("period", [2, 4])
def test_faint_grid_on_a_photo_is_found(name, period):
    found = grids(with_grid(PHOTOS[name](), period, 4.0))
    assert found[period].visible
    assert found[period].levels == pytest.approx(4.0, rel=0.25)


def test_white_noise_is_no_grid():
    assert not any(grid.visible for grid in grids(noise()).values())


def test_grid_whose_sign_wanders_is_found():
    steady = with_grid(grey((256, 256)), 4, 6.0).astype(int) - 128
    sign = np.where(np.arange(256) < 128, 1, -1)[None, :, None]
    folded = np.stack([(steady * sign)[i::4, j::4].mean() for i in range(4) for j in range(4)])
    assert np.abs(folded).max() < 1e-9  # a mean over the whole picture would see nothing
    assert grids((128 + steady * sign).astype(np.uint8))[4].visible


def test_picture_too_small_for_grids_is_an_error():
    with pytest.raises(ImageError, match="40×63 px is too small to look for grids"):
        grids(grey((63, 40)))


def test_border_of_white_noise_is_like_its_inside():
    assert 0.3 < np.mean([border_contrast(noise(seed)) for seed in range(5)]) < 2.5


def test_band_along_the_border_is_found():
    picture = noise()
    band = np.ones(picture.shape[:2], dtype=bool)
    band[8:-8, 8:-8] = False
    darker = np.where(band[..., None], picture // 2, picture)
    assert border_contrast(darker) > 5 * border_contrast(picture)


def test_band_in_the_middle_is_no_border():
    picture = noise(size=(256, 256))
    striped = picture.copy()
    striped[120:128] //= 2
    assert border_contrast(striped) < border_contrast(picture)


def test_border_of_a_constant_picture_is_one_by_definition():
    assert border_contrast(grey()) == 1.0


def test_saturation_counts_values_at_the_ends():
    picture = grey()
    picture[:32] = 255
    picture[32:64, :, 0] = 0
    assert saturation(picture) == pytest.approx(0.25 + 0.25 / 3)


def test_half_a_flat_picture_is_half_dead():
    picture = noise(size=(64, 64))
    picture[:32] = 90
    assert dead_area(picture) == pytest.approx(0.5)


def test_color_count_of_equal_shares_is_their_number():
    picture = np.repeat(np.array([[0, 0, 0], [64, 0, 0], [0, 64, 0], [0, 0, 255]], dtype=np.uint8), 16, axis=0)
    assert color_count(picture.reshape(8, 8, 3)) == pytest.approx(4.0)
    assert color_count(grey()) == pytest.approx(1.0)


def test_dead_channel_has_no_spread():
    picture = noise()
    picture[..., 1] = 77
    assert smallest_channel_spread(picture) == 0.0
    checker = np.where(np.indices((8, 8)).sum(axis=0) % 2, 200, 100)[..., None].repeat(3, axis=2).astype(np.uint8)
    assert smallest_channel_spread(checker) == pytest.approx(50.0)


def test_structural_similarity_equals_scikit_image():
    photo = skimage.data.chelsea()[:120, :150]
    other = np.clip(photo * 0.7 + noise(size=(120, 150)) * 0.2, 0, 255).astype(np.uint8)
    luma = np.array([0.299, 0.587, 0.114])
    expected = skimage.metrics.structural_similarity(
        photo @ luma, other @ luma, data_range=255, gaussian_weights=True, use_sample_covariance=False
    )
    assert structural_similarity(photo, other) == pytest.approx(expected, abs=1e-4)


def test_picture_is_wholly_similar_to_itself():
    assert structural_similarity(noise(), noise()) == pytest.approx(1.0)


def test_structural_similarity_of_different_sizes_is_an_error():
    with pytest.raises(ImageError, match="one size"):
        structural_similarity(grey((20, 20)), grey((20, 21)))
