from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fast_style import Stylizer
from fast_style.errors import ImageError, InputError, ModelError
from fast_style.images import Pixels, channels, to_float, to_uint8
from fast_style.model.checksum import add_checksum, read_checked
from fast_style.model.passes import COARSE_SHARE, count_fitting, count_passes, draft_shares
from fast_style.model.passes_graph import join_passes, sharing_form
from fast_style.model.session import open_session
from fast_style.networks import passes as in_training
from fast_style.styles.catalog import find_style
from fast_style.stylize.masks import networks_for_masks
from fast_style.stylize.passes import restore_coarse, underpaint_in_parts
from fast_style.stylize.rasters import ArrayRaster, Raster
from fast_style.stylize.scene import Scene
from fast_style.stylize.tiles import is_seen_whole


def paint(photo: Pixels, passes: int, stylize: Callable[[Raster], Pixels], strength: float = 1.0) -> Pixels:
    def restored(raster: Raster, before: Pixels | None) -> Pixels:
        drawn = stylize(raster)
        return drawn if before is None else to_uint8(restore_coarse(to_float(drawn), to_float(before)))

    return restored(*underpaint_in_parts(restored, ArrayRaster(photo), passes=passes, strength=strength))


def unchanged(photo: Raster) -> Pixels:
    pixels: Pixels = photo.read((0, 0, *photo.size))
    return pixels


def spy(seen: list[tuple[int, int]]) -> Callable[[Raster], Pixels]:
    def stylize(photo: Raster) -> Pixels:
        seen.append(photo.size[::-1])
        return unchanged(photo)

    return stylize


@pytest.mark.parametrize(
    ("long_side", "passes"), [(16, 1), (160, 1), (226, 1), (227, 2), (320, 2), (640, 3), (1280, 4), (2560, 5)]
)
def test_the_first_pass_is_about_160_px_whatever_the_photos_size(long_side: int, passes: int) -> None:
    assert count_passes(long_side) == passes
    assert 113 <= long_side / 2 ** (passes - 1) <= 227 or passes == 1


@pytest.mark.parametrize(
    ("passes", "sizes"), [(1, [(80, 120)]), (2, [(40, 60), (80, 120)]), (3, [(20, 30), (40, 60), (80, 120)])]
)
def test_a_photo_is_painted_from_coarse_to_fine(passes: int, sizes: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, int]] = []
    paint(np.zeros((80, 120, 3), np.uint8), passes, spy(seen))
    assert seen == sizes


def test_a_network_that_changes_nothing_gives_the_photo_back_with_all_its_detail() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    assert np.array_equal(paint(photo, 3, unchanged), photo)


def test_detail_finer_than_a_draft_stays_at_full_contrast() -> None:
    photo = np.full((64, 64, 3), 100, np.uint8)
    photo[::2, ::2] = photo[1::2, 1::2] = 120
    seen: list[Pixels] = []

    def darker(raster: Raster) -> Pixels:
        seen.append(unchanged(raster))
        return unchanged(raster) // 2

    paint(photo, 2, darker)
    rows = seen[-1][24, 24:40, 0].astype(int)
    assert np.allclose(np.abs(np.diff(rows)), 20, atol=1)
    assert rows.mean() < 100


@settings(deadline=None)
@given(st.integers(16, 90), st.integers(16, 90), st.integers(1, 8))
def test_any_photo_keeps_its_size_and_no_draft_is_too_small(height: int, width: int, passes: int) -> None:
    seen: list[tuple[int, int]] = []
    painted = paint(np.zeros((height, width, 3), np.uint8), passes, spy(seen))
    assert painted.shape == (height, width, 3)
    assert min(min(size) for size in seen) >= 16
    assert len(seen) == count_fitting((width, height), passes)
    assert all(seen[i] == tuple(-(-side // 2) for side in seen[i + 1]) for i in range(len(seen) - 1))


def draft_share(photo: NDArray[np.float32], strength: float = 1.0) -> NDArray[np.float32]:
    feeds = {"photo": photo, "shares": np.array(draft_shares(strength), np.float32)}
    share: NDArray[np.float32] = open_session(sharing_form()).run(None, feeds)[0][0, 0]
    return share


def test_the_draft_has_most_where_the_photo_is_flat_and_least_where_it_is_detailed() -> None:
    photo = np.full((64, 128, 3), 128, np.uint8)
    photo[:, 96:] = np.random.default_rng(0).integers(0, 255, (64, 32, 3))
    share = draft_share(to_float(photo))
    assert share.shape == (64, 128)
    assert np.allclose(share[:, :64], 0.7)
    assert np.allclose(share[:, 112:], 0.3)


def test_a_strength_goes_from_no_draft_over_that_of_the_training_to_little_else() -> None:
    shares = [(flat, flat + more) for flat, more in map(draft_shares, (1e-6, 0.25, 0.5, 1.0, 2.0, 4.0, 1e6))]
    assert shares == sorted(shares)
    assert np.allclose([shares[0], shares[3], shares[-1]], [(0, 0), (0.7, 0.3), (1, 0.9)], atol=1e-5)


@settings(deadline=None)
@given(st.integers(16, 80), st.integers(16, 80), st.integers(0, 9), st.floats(0.25, 4))
def test_training_and_runtime_mix_the_draft_alike(height: int, width: int, seed: int, strength: float) -> None:
    photo = np.random.default_rng(seed).random((1, 3, height, width), np.float32)
    photo[..., : width // 2] *= 0.1
    expected = in_training.draft_share(torch.from_numpy(photo), strength)[0, 0].numpy()
    assert np.abs(draft_share(photo, strength) - expected).max() < 1e-4


def test_after_the_learned_passes_the_draft_keeps_its_forms_and_the_pass_its_detail() -> None:
    draft = np.full((1, 3, 33, 49), 0.7, np.float32)
    checks = np.where(np.indices((66, 97)).sum(0) % 2, 0.1, -0.1).astype(np.float32)[:, :96]
    restored = restore_coarse(0.2 + np.tile(checks, (1, 3, 1, 1)), draft[..., :48])
    # Squares of four pixels have no checks, so all of them stay.
    np.testing.assert_allclose(restored, np.tile(0.2 + COARSE_SHARE * 0.5 + checks, (1, 3, 1, 1)), atol=1e-5)
    odd = restore_coarse(np.full((1, 3, 65, 97), 0.2, np.float32), draft)
    np.testing.assert_allclose(odd, 0.2 + COARSE_SHARE * 0.5, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.integers(128, 150), st.integers(128, 150), st.integers(0, 9), st.sampled_from([3, 4]))
def test_training_and_runtime_paint_alike(height: int, width: int, seed: int, passes: int) -> None:
    random = np.random.default_rng(seed)
    pixels = np.kron(random.integers(0, 255, (6, 6, 3)), np.ones((25, 25, 1), int))[:height, :width].astype(np.uint8)
    pixels[:32, :32] //= 2
    pixels[:32, :32] += random.integers(0, 60, (32, 32, 3), np.uint8)

    def inverted(image: torch.Tensor) -> torch.Tensor:
        return 1 - image

    expected = in_training.paint(inverted, torch.from_numpy(to_float(pixels)), passes)[0].permute(1, 2, 0).numpy() * 255
    painted = paint(pixels, passes, lambda raster: 255 - unchanged(raster))
    assert np.abs(painted - expected).max() <= 2.5  # rounded to 8 bits at each pass


def test_no_gradient_flows_through_a_draft() -> None:
    factor = torch.tensor(0.5, requires_grad=True)
    seen, _ = in_training.add_draft(lambda image: image * factor, torch.rand(1, 3, 64, 64), 3)
    assert not seen.requires_grad


@pytest.mark.parametrize("style", ["negative", "udnie-tiny"])
@pytest.mark.parametrize(("height", "width"), [(97, 131), (64, 64), (37, 300)])
def test_a_photo_in_memory_is_painted_as_one_in_parts(
    style: str, height: int, width: int, negative: Path, load: Callable[..., torch.Tensor]
) -> None:
    stylizer = Stylizer(negative if style == "negative" else style, threads=1)
    pixels = to_uint8(load("astronaut", (width, height)).numpy())

    def stylize(raster: Raster) -> Pixels:
        return to_uint8(stylizer.network.floats(to_float(unchanged(raster))))

    for passes in (2, 3, 5):
        in_parts = paint(pixels, passes, stylize, stylizer.network.draft_strength)
        differences = np.abs(np.asarray(stylizer(pixels, passes=passes)) - in_parts.astype(int))
        # Where a value lies between two levels, a network magnifies which of them it is rounded to.
        assert np.percentile(differences, 99.9) <= 1
        assert differences.max() <= (1 if style == "negative" else 6)


def test_passes_change_the_picture_are_mixed_and_checked(model_file: str) -> None:
    stylizer = Stylizer(model_file)
    photo = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    plain = np.asarray(stylizer(photo))
    assert np.array_equal(plain, np.asarray(stylizer(photo, passes=1)))
    assert not np.array_equal(plain, np.asarray(stylizer(photo, passes=2)))
    assert np.array_equal(photo, np.asarray(stylizer(photo, passes=2, blend=0.0)))
    with pytest.raises(InputError, match=r"passes is 0; expected 1 to 8"):
        stylizer(photo, passes=0)


@pytest.fixture(scope="module")
def itself(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A style that paints in three passes by itself."""
    path = tmp_path_factory.mktemp("passes") / "itself.onnx"
    path.write_bytes(add_checksum(join_passes([model_file.read_bytes()] * 3)))
    return path


@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_a_file_that_paints_in_passes_paints_as_the_runtime_does_with_the_file_it_was_made_from(
    size: tuple[int, int], tmp_path: Path, load: Callable[..., torch.Tensor]
) -> None:
    photo, style = to_uint8(load("astronaut", size[::-1]).numpy()), find_style("udnie-tiny").path
    itself = tmp_path / "itself.onnx"
    itself.write_bytes(add_checksum(join_passes([read_checked(style)] * 3)))
    expected = np.asarray(Stylizer(style)(photo, passes=3)).astype(int)
    # The runtime rounds photos and drafts to 8 bits, and the network magnifies that here and there.
    differences = np.abs(np.asarray(Stylizer(itself)(photo)) - expected)
    assert np.percentile(differences, 99) <= 1
    assert differences.max() <= 6
    assert np.abs(np.asarray(Stylizer(style)(photo)) - expected).max() > 12


def test_a_file_that_paints_in_passes_is_run_once(itself: Path) -> None:
    stylizer = Stylizer(itself)
    photo = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    assert stylizer.network.count_passes(4000, 3000) == 1
    assert np.array_equal(np.asarray(stylizer(photo)), np.asarray(stylizer(photo, passes=3)))
    assert np.array_equal(np.asarray(stylizer(photo)), stylizer.frame(photo))
    with pytest.raises(InputError, match=r"passes is 2, but .*itself\.onnx paints in 3 by itself"):
        stylizer(photo, passes=2)


def test_a_file_that_paints_in_passes_names_the_smallest_picture_it_takes(itself: Path) -> None:
    with pytest.raises(ImageError, match="a picture of 80×63 px is too small") as caught:
        Stylizer(itself)(np.zeros((63, 80, 3), np.uint8))
    assert caught.value.hint == "Each side needs at least 64 px."


@pytest.mark.parametrize("style", ["itself", "ten"])
def test_a_file_that_paints_in_passes_sees_whole_pictures_only(style: str, itself: Path, tmp_path: Path) -> None:
    if style == "ten":
        (tmp_path / "ten.onnx").write_bytes(add_checksum(join_passes([read_checked(find_style("ten").path)] * 2)))
    network = Stylizer(itself if style == "itself" else tmp_path / "ten.onnx").network
    image = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    assert not network.sees_parts
    assert is_seen_whole(network, 10**9)
    assert Scene(network).style(channels(np.zeros((64, 64, 3), np.uint8))) is network
    with pytest.raises(ModelError, match="paints in passes by itself, so its statistics cannot be fixed"):
        network.measure(image)
    with pytest.raises(InputError, match="cannot be given masks"):
        networks_for_masks(network, [network.name], (64, 64))


def test_a_file_that_paints_in_passes_mixes_its_own_styles_only(itself: Path, tmp_path: Path) -> None:
    ten = tmp_path / "ten.onnx"
    ten.write_bytes(add_checksum(join_passes([read_checked(find_style("ten").path)] * 2)))
    photo = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    expected = np.asarray(Stylizer("ten#udnie:0.5,ten#the-scream:0.5")(photo, passes=2)).astype(int)
    assert np.abs(np.asarray(Stylizer(f"{ten}#udnie:0.5,{ten}#the-scream:0.5")(photo)) - expected).mean() < 1
    for other in (f"{itself}:0.5", f"{ten}#udnie:0.5"):
        with pytest.raises(ModelError, match=r"\.onnx cannot be mixed: it paints in passes by itself"):
            Stylizer(f"{other},night-cafe:0.5")
