import os
import struct
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import ExifTags, Image, ImageCms

from fast_style import Stylizer
from fast_style.errors import DeviceError, ImageError, InputError, ModelError, StyleNotFoundError
from fast_style.images import load_image, to_float, to_uint8
from fast_style.model.ground import NO_GROUND
from fast_style.networks import build_network
from fast_style.styles.catalog import find_style
from fast_style.stylize.network import StyleNetwork
from tests.conftest import PHOTOS

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def stylizer(model_file: Path) -> Stylizer:
    return Stylizer(model_file, device="cpu")


def test_a_frame_is_what_torch_makes_of_it(stylizer: Stylizer) -> None:
    torch.manual_seed(0)
    network = build_network("tiny").eval()
    with torch.no_grad():
        expected = to_uint8(network(torch.from_numpy(to_float(PIXELS))).numpy())
    assert np.abs(stylizer.frame(PIXELS).astype(int) - expected).max() <= 1


def test_paths_images_and_arrays_give_the_same(stylizer: Stylizer, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png")
    results = [stylizer(tmp_path / "photo.png"), stylizer(Image.fromarray(PIXELS)), stylizer(PIXELS)]
    assert all(isinstance(result, Image.Image) for result in results)
    assert len({result.tobytes() for result in results}) == 1
    assert results[0].size == (50, 37)


def test_alpha_is_kept(stylizer: Stylizer) -> None:
    image = Image.fromarray(np.dstack([PIXELS, PIXELS[..., 0]]))
    np.testing.assert_array_equal(np.asarray(stylizer(image))[..., 3], PIXELS[..., 0])


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """A photo with a profile, a resolution and EXIF, which lies on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Artist] = 6, "somebody"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "photo.jpg"
    Image.fromarray(PIXELS).save(path, icc_profile=profile, dpi=(240, 240), exif=exif)
    return path


@pytest.mark.parametrize("opened", [False, True])
def test_a_result_keeps_the_photos_profile_resolution_and_exif(
    stylizer: Stylizer, photo_file: Path, tmp_path: Path, opened: bool
) -> None:
    with Image.open(photo_file) as image:
        out = stylizer(image if opened else photo_file)
    assert out.size == (37, 50)
    assert out.info["icc_profile"] == load_image(photo_file).icc_profile
    assert out.info["dpi"] == (240, 240)
    assert ExifTags.Base.Orientation not in out.getexif()
    assert out.getexif()[ExifTags.Base.Artist] == "somebody"
    out.save(tmp_path / "out.png")
    assert load_image(tmp_path / "out.png").icc_profile == out.info["icc_profile"]
    np.testing.assert_array_equal(np.asarray(out), np.asarray(stylizer(photo_file)))


def test_transparency_of_a_palette_is_kept_and_a_profile_of_ink_is_not(stylizer: Stylizer, tmp_path: Path) -> None:
    palette = Image.fromarray(PIXELS).quantize(16)
    palette.save(tmp_path / "palette.png", transparency=3)
    palette.info |= {"transparency": 3, "icc_profile": b"0123456789abcdefCMYK"}
    out = stylizer(palette)
    assert out.mode == "RGBA"
    assert 0 < (np.asarray(out)[..., 3] == 0).sum() < 37 * 50
    np.testing.assert_array_equal(np.asarray(out), np.asarray(stylizer(tmp_path / "palette.png")))
    assert out.info == {}


def ink_profile() -> bytes:
    """A profile of CMYK (ICC.1:2010, lut8Type): the Lab of each overprint of inks, two points an axis."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T @ [(30, 90, 0), (60, 0, 90), (10, 60, 60), (90, 0, 0)]
    lab = np.clip([255, 128, 128] - inks, 0, 255).astype(np.uint8)
    ramp = bytes(range(256))
    identity = (0x10000 * np.eye(3, dtype=int)).ravel()
    table = b"mft1" + struct.pack(">4x4B9i", 4, 3, 2, 0, *identity) + 4 * ramp + lab.tobytes() + 3 * ramp
    kinds, d50 = (b"scnr", b"CMYK", b"Lab ", b"acsp"), (63190, 65536, 54061)
    head = struct.pack(">I4xI4s4s4s12x4s28x3I", 144 + len(table), 0x4200000, *kinds, *d50)
    return head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


@pytest.mark.parametrize(("mode", "suffix"), [("I;16", ".png"), ("CMYK", ".tif"), ("RGBA", ".png"), ("P", ".png")])
def test_an_image_is_decoded_as_its_file_is_and_not_changed(
    stylizer: Stylizer, tmp_path: Path, mode: str, suffix: str
) -> None:
    wide = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200)
    image = wide if mode == "I;16" else Image.fromarray(PIXELS).convert(mode)
    path = tmp_path / f"photo{suffix}"
    image.save(path, dpi=(0.5, 0.5), icc_profile=ink_profile() if mode == "CMYK" else None)
    with Image.open(path) as opened:
        before = opened.tobytes(), dict(opened.info)
        out = stylizer(opened)
        assert opened.mode == mode
        assert (opened.tobytes(), opened.info) == before
    expected = stylizer(path)
    assert (out.mode, out.info) == (expected.mode, expected.info)
    np.testing.assert_array_equal(np.asarray(out), np.asarray(expected))


def test_a_tiff_in_which_0_is_white_is_decoded_as_its_file_is(stylizer: Stylizer, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200)
    image.save(path, tiffinfo={262: 0})
    with Image.open(path) as opened:
        out = stylizer(opened)
    np.testing.assert_array_equal(np.asarray(out), np.asarray(stylizer(path)))


def test_a_profile_of_ink_decides_the_colors(stylizer: Stylizer) -> None:
    image = Image.new("CMYK", (20, 20), (0, 0, 0, 255))
    image.info["icc_profile"] = ink_profile()
    # L* of 165 / 255 · 100, as gray of sRGB.
    assert np.abs(np.asarray(stylizer(image, blend=0.0)).astype(int) - 156).max() <= 1


def test_an_image_of_gray_and_premultiplied_alpha_is_read(stylizer: Stylizer) -> None:
    gray = Image.fromarray(PIXELS[..., :2], "LA")
    np.testing.assert_array_equal(
        np.asarray(stylizer(gray.convert("La"))), np.asarray(stylizer(gray.convert("La").convert("LA")))
    )


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (PIXELS[..., 0], r"\(37, 50\) uint8"),
        (np.dstack([PIXELS, PIXELS[..., 0]]), r"\(37, 50, 4\) uint8"),
        (PIXELS.astype(np.float32), r"\(37, 50, 3\) float32"),
    ],
)
@pytest.mark.parametrize("passes", [1, 2])
def test_a_wrong_array_is_refused_in_any_number_of_passes(
    stylizer: Stylizer, array: Any, said: str, passes: int
) -> None:
    with pytest.raises(ImageError, match=rf"expected an \(H, W, 3\) uint8 array that is not empty, got {said}"):
        stylizer(array, passes=passes)


def test_an_empty_mixture_is_refused(stylizer: Stylizer) -> None:
    with pytest.raises(InputError, match="the mixture is empty"):
        stylizer.mixed({})


def test_an_opened_style_does_not_change_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "style.onnx"
    path.write_bytes(find_style("udnie-tiny").path.read_bytes())
    monkeypatch.chdir(tmp_path)
    network, expected = Stylizer("style.onnx", threads=1).network, Stylizer("udnie-tiny", threads=1).network
    path.write_bytes(find_style("great-wave-tiny").path.read_bytes())
    monkeypatch.chdir("/")
    assert network.sees_parts
    assert network.checksum == expected.checksum
    fixed, as_before = (each.fixed(each.measure(to_float(PIXELS))).frame(PIXELS) for each in (network, expected))
    np.testing.assert_array_equal(fixed, as_before)


def test_blend_of_zero_is_the_photo_and_size_shrinks(stylizer: Stylizer) -> None:
    np.testing.assert_array_equal(np.asarray(stylizer(PIXELS, blend=0.0)), PIXELS)
    assert stylizer(PIXELS, size=25).size == (25, 18)


def test_kept_colors_change_only_the_brightness(stylizer: Stylizer) -> None:
    photo = np.full((32, 32, 3), (110, 100, 90), np.uint8)
    out = np.asarray(stylizer(photo, keep_colors=True)).astype(int)
    assert np.abs((out[..., 0] - out[..., 1]) - 10).max() <= 1


def test_the_callers_array_is_not_changed(stylizer: Stylizer) -> None:
    before = PIXELS.copy()
    stylizer(PIXELS, blend=0.5, keep_colors=True)
    np.testing.assert_array_equal(PIXELS, before)


def test_a_tiny_picture_and_a_wrong_array_are_refused(stylizer: Stylizer) -> None:
    with pytest.raises(ImageError, match="1×1 px is too small") as caught:
        stylizer(PIXELS[:1, :1])
    assert "at least 16 px" in str(caught.value.hint)
    with pytest.raises(ImageError, match="expected an"):
        stylizer.frame(PIXELS[..., 0])
    with pytest.raises(InputError, match=r"blend is 1\.5"):
        stylizer(PIXELS, blend=1.5)


def test_an_unknown_style_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StyleNotFoundError, match="neither the name of a style nor a file"):
        Stylizer("no-such-style")
    with pytest.raises(StyleNotFoundError, match="is a folder"):
        Stylizer(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="cannot be opened as an ONNX model"):
        Stylizer(path)


def test_a_device_that_is_not_there_is_an_error_not_the_cpu(model_file: Path) -> None:
    with pytest.raises(DeviceError, match="'coreml' is not in this ONNX Runtime"):
        Stylizer(model_file, device="coreml")


def foreign_model(path: Path) -> Path:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 32, 32])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_model_from_elsewhere_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not exported by fast-style"):
        Stylizer(foreign_model(tmp_path / "relu.onnx"))


def test_what_a_model_from_elsewhere_calls_its_own_styles_and_strength_is_not_read(tmp_path: Path) -> None:
    model = onnx.load(foreign_model(tmp_path / "relu.onnx"))
    onnx.helper.set_model_props(model, {"styles": "impasto", "strength": "much", "ground": "mud"})
    onnx.save(model, tmp_path / "relu.onnx")
    network = Stylizer(tmp_path / "relu.onnx", value_range="0-1").network
    assert (network.styles, network.draft_strength, network.ground) == ((), 1.0, NO_GROUND)


@pytest.mark.parametrize("shape", [(0, 1000, 3), (1000, 0, 3)])
def test_an_empty_picture_is_refused(stylizer: Stylizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"expected an \(H, W, 3\) uint8 array that is not empty, got"):
        stylizer(np.zeros(shape, np.uint8))


def test_a_file_of_several_styles_lays_the_ground_in_the_colors_of_the_one_it_paints() -> None:
    first = Stylizer("ten#composition-vii", ground="panes").network.ground
    assert Stylizer("ten", ground="panes").network.ground == first
    assert first.palette


def test_a_style_that_was_mixed_and_then_fixed_draws() -> None:
    mixed = Stylizer("ten", threads=1).network.mixed({"udnie": 1.0}, 2.0)
    fixed = mixed.fixed(mixed.measure(to_float(PIXELS)))
    assert np.abs(fixed.frame(PIXELS).astype(int) - mixed.frame(PIXELS)).max() <= 1


def test_what_is_fixed_has_no_mixture_to_change() -> None:
    ten = Stylizer("ten", threads=1).network
    assert not hasattr(ten.fixed(ten.measure(to_float(PIXELS))), "mixed")


def test_another_mixture_leaves_the_network_as_it_was() -> None:
    ten = Stylizer("ten", threads=1).network
    before = ten.frame(PIXELS)
    assert np.any(ten.mixed({"udnie": 1.0}).frame(PIXELS) != before)
    np.testing.assert_array_equal(ten.frame(PIXELS), before)
    with pytest.raises(FrozenInstanceError):
        ten.strength = 2.0  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize("kind", [KeyError, TypeError, ValueError])
def test_a_mistake_in_the_code_is_not_called_a_lack_of_memory(
    stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def fail(self: StyleNetwork, stylized: object) -> None:
        raise kind("a mistake")

    monkeypatch.setattr(StyleNetwork, "_check", fail)
    with pytest.raises(kind, match="a mistake"):
        stylizer.frame(PIXELS)


def test_a_lack_of_memory_is_told_with_the_remedy(stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: StyleNetwork, stylized: object) -> None:
        raise MemoryError("cannot allocate")

    monkeypatch.setattr(StyleNetwork, "_check", fail)
    with pytest.raises(ImageError, match="50×37 px could not be stylized: cannot allocate") as error:
        stylizer.frame(PIXELS)
    assert "smaller --size" in str(error.value.hint)


def test_a_style_whose_path_is_not_text_paints(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff-x.onnx")
    path.write_bytes(find_style("udnie-tiny").path.read_bytes())
    photo = np.zeros((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Stylizer(path)(photo)), np.asarray(Stylizer("udnie-tiny")(photo)))


def test_an_image_that_was_opened_and_is_damaged_is_an_image_error(model_file: Path, tmp_path: Path) -> None:
    content = PHOTOS["china"].read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    damaged = pytest.raises(ImageError, match=r"cannot read .*half\.jpg: the file is damaged")
    with Image.open(tmp_path / "half.jpg") as image, damaged:
        Stylizer(model_file)(image)
    with pytest.raises(ImageError, match="floating-point samples; their range is not defined"):
        Stylizer(model_file)(Image.fromarray(np.zeros((32, 32), np.float32)))
