from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fast_style.errors import DatasetError, ImageError
from fast_style.images import Pixels, find_images, to_float
from fast_style.training import photos
from fast_style.training.photos import (
    LARGEST_MAGNIFICATION,
    DrawSampler,
    PhotoData,
    PhotoDraws,
    center_crop,
    random_crop,
)


def test_a_draw_is_the_same_whenever_it_is_taken(photo_folder: Path) -> None:
    draws = PhotoDraws(find_images(photo_folder), size=64, seed=3)
    again = PhotoDraws(find_images(photo_folder), size=64, seed=3)
    later = [again[index][0] for index in (7, 2)]
    assert torch.equal(draws[2][0], later[1])
    assert torch.equal(draws[7][0], later[0])
    assert not torch.equal(draws[7][0], PhotoDraws(draws.paths, size=64, seed=4)[7][0])


def test_every_photo_is_seen_once_before_any_is_seen_twice(tmp_path: Path) -> None:
    for value in range(6):
        Image.new("RGB", (64, 64), (value * 40,) * 3).save(tmp_path / f"{value}.png")
    draws = PhotoDraws(find_images(tmp_path), size=32, seed=0)
    for epoch in range(3):
        seen = {round(float(draws[epoch * 6 + index][0].mean()) * 255 / 40) for index in range(6)}
        assert seen == set(range(6))


@settings(max_examples=40, deadline=None)
@given(st.integers(32, 90), st.integers(32, 90), st.sampled_from([32, 48, 64]), st.integers(0, 2**16))
def test_a_crop_has_the_asked_size_and_stays_in_range(height: int, width: int, size: int, seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crop = random_crop(photo, size, np.random.default_rng(seed))
    assert crop.shape == (3, size, size)
    assert 0.0 <= float(crop.min()) <= float(crop.max()) <= 1.0


def test_subjects_come_in_several_sizes_and_are_enlarged_at_most_twice() -> None:
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8)[None, :, None] * 2, (96, 96, 3)).copy()
    # The slope of a crop tells how many px of the photo one of its own is.
    crops = [random_crop(ramp, 64, np.random.default_rng(seed)) for seed in range(200)]
    steps = np.array([abs(float(crop[0, 32, 40] - crop[0, 32, 24])) / 16 * 255 / 2 for crop in crops])
    assert steps.min() == pytest.approx(0.6, abs=0.02)  # 0.4 of 96 px, on 64
    assert steps.max() == pytest.approx(1.5, abs=0.05)
    small = [random_crop(ramp[:64, :64], 64, np.random.default_rng(seed)) for seed in range(200)]
    steps = np.array([abs(float(crop[0, 32, 40] - crop[0, 32, 24])) / 16 * 255 / 2 for crop in small])
    assert steps.min() == pytest.approx(1 / LARGEST_MAGNIFICATION, abs=0.02)


def test_a_panorama_is_not_shrunk_until_it_is_too_narrow(tmp_path: Path) -> None:
    columns = np.arange(3000) // 250 * 20
    Image.fromarray(np.broadcast_to(columns.astype(np.uint8), (300, 3000))).save(tmp_path / "long.png")
    photo = photos.load_photo(tmp_path / "long.png", at_least=64)
    assert photo.shape[:2] == pytest.approx((64, 640), rel=0.02)
    Image.new("RGB", (3000, 30)).save(tmp_path / "ribbon.png")
    with pytest.raises(ImageError, match=r"ribbon\.png of 3000×30 px is too small for crops of 64 px"):
        photos.load_photo(tmp_path / "ribbon.png", at_least=64)


def test_a_crop_of_the_photos_own_size_is_the_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(center_crop(photo, 48)[None], to_float(photo))


def test_the_order_is_drawn_once_an_epoch(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws, drawn = PhotoDraws(find_images(photo_folder), size=64, seed=3), []
    make = np.random.default_rng

    def counted(seed: list[int]) -> np.random.Generator:
        drawn.append(tuple(seed))
        return make(seed)

    monkeypatch.setattr(np.random, "default_rng", counted)
    for draw in range(12):
        draws[draw]
    assert [seed for seed in drawn if seed[1] == 0] == [(3, 0, 0), (3, 0, 1)]


def test_only_what_is_cropped_of_a_photo_becomes_float(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (1024, 512)).save(tmp_path / "wide.png")
    shapes: list[tuple[int, ...]] = []

    def watched(pixels: Pixels) -> NDArray[np.float32]:
        shapes.append(pixels.shape)
        return to_float(pixels)

    monkeypatch.setattr(photos, "to_float", watched)
    PhotoDraws(find_images(tmp_path), size=256, seed=0)[0]
    assert [height == width <= 512 for height, width, _ in shapes] == [True]


def test_processes_share_every_step_and_resuming_goes_on_where_it_stopped() -> None:
    def first(count: int, **kwargs: int) -> list[int]:
        sampler = iter(DrawSampler(**kwargs))
        return [next(sampler) for _ in range(count)]

    alone = first(8, first_step=0, batch=4, rank=0, world=1)
    assert alone == list(range(8))
    halves = [first(4, first_step=0, batch=2, rank=rank, world=2) for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == alone
    assert first(4, first_step=1, batch=4, rank=0, world=1) == alone[4:]


def test_unusable_photos_are_skipped_and_named(photo_folder: Path) -> None:
    (photo_folder / "fake.jpg").write_text("text")
    Image.new("RGB", (8, 8)).save(photo_folder / "small.png")
    draws = PhotoDraws(find_images(photo_folder), size=64, seed=0)
    skipped = {Path(path).name for index in range(len(draws.paths)) for path in draws[index][1]}
    assert skipped == {"fake.jpg", "small.png"}


def test_one_usable_photo_among_many_is_found(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number:03}.jpg").write_text("text")
    Image.new("RGB", (64, 64)).save(tmp_path / "sound.png")
    draws = PhotoDraws(find_images(tmp_path), size=64, seed=0)
    assert all(len(draws[index][0]) == 3 for index in (0, 75, 150))


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_text("text")
    with pytest.raises(DatasetError, match="could be used"):
        PhotoDraws(find_images(tmp_path), size=64, seed=0)[0]
    with pytest.raises(DatasetError, match="could be used"):
        PhotoData(tmp_path, size=64, batch=2, seed=0).sample(2, size=64)
    (tmp_path / "fake.jpg").unlink()
    with pytest.raises(DatasetError, match="holds no photos"):
        PhotoData(tmp_path, size=64, batch=2, seed=0)
    with pytest.raises(DatasetError, match="is not a folder"):
        PhotoData(tmp_path / "none", size=64, batch=2, seed=0)
