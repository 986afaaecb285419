import numpy as np
import pytest

from fast_style.errors import ImageError
from fast_style.evaluate.quality import GRID_LEVELS, GRID_RATIO, Grid, border_contrast, grids, saturation
from fast_style.images import Pixels, load_image
from tests.conftest import PHOTOS

NAMES = ("astronaut", "chelsea", "coffee", "china", "flower")


def with_grid(photo: Pixels, period: int, levels: float, phase: int = 0) -> Pixels:
    """Add a checkerboard of the period whose root mean square is ``levels``."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] + phase
    sign = np.where((x // (period // 2) + y // (period // 2)) % 2, 1.0, -1.0)
    return np.clip(np.rint(photo + levels * sign[..., None]), 0, 255).astype(np.uint8)


def visible(grid: Grid) -> bool:
    """Whether a pattern stands out and is strong enough to be seen."""
    return grid.ratio >= GRID_RATIO and grid.levels >= GRID_LEVELS


def noise(seed: int = 0, size: tuple[int, int] = (160, 192)) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def gray(size: tuple[int, int] = (128, 128), value: int = 128) -> Pixels:
    return np.full((*size, 3), value, dtype=np.uint8)


@pytest.mark.parametrize("period", [2, 4, 8])
@pytest.mark.parametrize("phase", [0, 1, 3])
def test_grid_on_grey_is_measured_at_its_period_and_amplitude(period: int, phase: int) -> None:
    found = grids(with_grid(gray(), period, 5.0, phase))
    assert visible(found[period])
    assert found[period].levels == pytest.approx(5.0, rel=0.01)


def test_cosine_of_period_four_has_its_mean_square_as_energy() -> None:
    wave = 128 + 20 * np.cos(2 * np.pi * np.arange(128) / 4)
    found = grids(np.broadcast_to(np.rint(wave)[None, :, None], (128, 128, 3)).astype(np.uint8))
    assert found[4].levels == pytest.approx(20 / np.sqrt(2), rel=1e-3)
    assert found[2].levels == pytest.approx(0.0, abs=1e-6)
    assert found[8].levels == pytest.approx(0.0, abs=1e-6)


def test_constant_picture_has_no_grid() -> None:
    assert all(grid.levels == 0.0 and grid.ratio == pytest.approx(1.0) for grid in grids(gray()).values())


@pytest.mark.parametrize("name", NAMES)
def test_photos_have_no_visible_grid(name: str) -> None:
    assert not any(visible(grid) for grid in grids(load_image(PHOTOS[name]).pixels).values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("period", [2, 4])
def test_faint_grid_on_a_photo_is_found(name: str, period: int) -> None:
    found = grids(with_grid(load_image(PHOTOS[name]).pixels, period, 4.0))
    assert visible(found[period])
    assert found[period].levels == pytest.approx(4.0, rel=0.25)


def test_white_noise_is_no_grid() -> None:
    assert not any(visible(grid) for grid in grids(noise()).values())


def test_grid_whose_sign_wanders_is_found() -> None:
    steady = with_grid(gray((256, 256)), 4, 6.0).astype(int) - 128
    sign = np.where(np.arange(256) < 128, 1, -1)[None, :, None]
    folded = np.stack([(steady * sign)[i::4, j::4].mean() for i in range(4) for j in range(4)])
    assert np.abs(folded).max() < 1e-9  # a mean over the whole picture would see nothing
    assert visible(grids((128 + steady * sign).astype(np.uint8))[4])


def test_picture_too_small_for_grids_is_an_error() -> None:
    with pytest.raises(ImageError, match="40×63 px is too small to look for grids"):
        grids(gray((63, 40)))


def test_border_of_white_noise_is_like_its_inside() -> None:
    assert 0.3 < np.mean([border_contrast(noise(seed)) for seed in range(5)]) < 2.5


def test_band_along_the_border_is_found() -> None:
    picture = noise()
    band = np.ones(picture.shape[:2], dtype=bool)
    band[8:-8, 8:-8] = False
    darker = np.where(band[..., None], picture // 2, picture)
    assert border_contrast(darker) > 5 * border_contrast(picture)


def test_band_in_the_middle_is_no_border() -> None:
    picture = noise(size=(256, 256))
    striped = picture.copy()
    striped[120:128] //= 2
    assert border_contrast(striped) < border_contrast(picture)


def test_border_of_a_constant_picture_is_one_by_definition() -> None:
    assert border_contrast(gray()) == 1.0


def test_saturation_counts_values_at_the_ends() -> None:
    picture = gray()
    picture[:32] = 255
    picture[32:64, :, 0] = 0
    assert saturation(picture) == pytest.approx(0.25 + 0.25 / 3)
