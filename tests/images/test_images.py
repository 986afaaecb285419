import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from pillow_heif import register_heif_opener

from fast_style.errors import ImageError
from fast_style.images import (
    Picture,
    find_images,
    fit,
    fit_size,
    load_frames,
    load_image,
    mix,
    read_header,
    save_image,
    to_float,
    to_uint8,
)
from tests.conftest import PHOTOS


def noise(height: int, width: int, channels: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**16))
def test_float_and_back_is_the_same_picture(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = to_float(pixels)
    assert image.shape == (1, 3, height, width)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(to_uint8(image), pixels)


def test_values_outside_the_range_are_clamped() -> None:
    image = np.array([-0.5, 0.5, 1.5], dtype=np.float32).reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(to_uint8(image)[0, 0], [0, 128, 255])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(noise(6, 4))
    turned = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "kept"
    turned.save(tmp_path / "turned.png", exif=exif)
    picture = load_image(tmp_path / "turned.png")
    np.testing.assert_array_equal(picture.pixels, np.asarray(upright))
    save_image(picture, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as out:
        assert out.getexif()[0x010E] == "kept"
        assert 0x0112 not in out.getexif()


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_and_avif_are_turned_upright_once_and_keep_exif_and_profile(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    register_heif_opener()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.zeros((96, 64, 3), np.uint8)
    pixels[:32, :32], pixels[64:, 32:] = 255, 90
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "maker"
    for name in ("in.png", f"in{suffix}"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif.tobytes(), icc_profile=profile, quality=95)
    upright, picture = load_image(tmp_path / "in.png"), load_image(tmp_path / f"in{suffix}")
    assert picture.size == upright.size
    assert np.abs(picture.pixels.astype(int) - upright.pixels).mean() < 4
    assert picture.icc_profile == profile
    save_image(picture, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as out:
        assert out.getexif()[0x010F] == "maker"
        assert 0x0112 not in out.getexif()


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_heic_and_avif_have_the_bounds_of_other_pictures(tmp_path: Path, suffix: str) -> None:
    register_heif_opener()
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(noise(64, 96)).save(path)
    with pytest.raises(ImageError, match="too large"):
        load_image(path, max_pixels=64 * 96 - 1)
    assert load_image(io.BytesIO(path.read_bytes()), size=48).size == (48, 32)
    for cut in (20, 100, 400, len(path.read_bytes()) - 50):
        path.with_name("cut").write_bytes(path.read_bytes()[:cut])
        with pytest.raises(ImageError, match="cut") as caught:
            load_image(path.with_name("cut"))
        assert "\n" not in str(caught.value)


def test_an_avif_whose_exif_cannot_be_written_again_is_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[6] = 3.0  # altitude, m
    buffer = io.BytesIO()
    Image.fromarray(noise(48, 64)).save(buffer, format="AVIF", exif=exif)
    content = buffer.getvalue()
    unsigned, signed = (struct.pack(">HHL", 6, kind, 1) for kind in (5, 10))
    assert content.count(unsigned) == content.count(struct.pack(">LL", 3, 1)) == 1
    below_sea = content.replace(unsigned, signed).replace(struct.pack(">LL", 3, 1), struct.pack(">ll", -3, 1))
    (tmp_path / "below-sea.avif").write_bytes(below_sea)
    upright = load_image(io.BytesIO(content)).pixels
    for source in (tmp_path / "below-sea.avif", io.BytesIO(below_sea)):
        np.testing.assert_array_equal(load_image(source).pixels, upright)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_becomes_the_same_rgb(tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (8, 8)))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(gray).astype(np.uint16) * 257)
    else:
        image = gray.convert("RGB").convert(mode) if mode != "LA" else gray.convert("LA")
    path = tmp_path / ("x.tiff" if mode in {"CMYK", "YCbCr"} else "x.png")
    image.save(path)
    picture = load_image(path)
    np.testing.assert_allclose(picture.pixels, np.asarray(gray.convert("RGB")), atol=3)
    assert (picture.alpha is not None) == (mode in {"RGBA", "LA"})


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    np.testing.assert_array_equal(load_image(tmp_path / "ramp.png").pixels[..., 0], ramp // 257)


def test_alpha_profile_and_exif_survive_a_round_trip(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    Image.fromarray(noise(9, 7, 4)).save(tmp_path / "in.png", icc_profile=profile, exif=exif)
    picture = load_image(tmp_path / "in.png")
    for name in ("out.png", "out.webp"):
        save_image(picture, tmp_path / name, quality=100)
        with Image.open(tmp_path / name) as out:
            assert out.mode == "RGBA"
            assert out.info["icc_profile"] == profile
            assert out.getexif()[0x010F] == "maker"


def test_a_jpeg_has_its_transparent_parts_on_white(tmp_path: Path) -> None:
    picture = Picture(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8))
    save_image(picture, tmp_path / "out.jpg")
    assert load_image(tmp_path / "out.jpg").pixels.min() > 250


@pytest.mark.parametrize("hidden", [0, 90, 255])
def test_colors_hidden_by_transparency_are_not_seen(tmp_path: Path, hidden: int) -> None:
    pixels = np.full((32, 32, 4), hidden, np.uint8)
    pixels[:, :, 3] = 0
    pixels[8:24, 8:24] = (200, 30, 60, 255)
    Image.fromarray(pixels).save(tmp_path / "cut-out.png")
    picture = load_image(tmp_path / "cut-out.png", opaque=True)
    assert picture.alpha is None
    seen = np.full((32, 32, 3), 255, np.uint8)
    seen[8:24, 8:24] = (200, 30, 60)
    np.testing.assert_array_equal(picture.pixels, seen)


def test_half_transparent_parts_are_half_white(tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 51)).save(tmp_path / "veil.png")
    np.testing.assert_allclose(load_image(tmp_path / "veil.png", opaque=True).pixels, 204, atol=1)


def test_a_picture_keeps_its_shape_when_it_is_shrunk_and_is_never_enlarged() -> None:
    picture = Picture(noise(100, 50), noise(100, 50, 1)[..., 0])
    small = fit(picture, 20)
    assert small.size == (10, 20)
    assert small.alpha is not None
    assert small.alpha.shape == (20, 10)
    assert fit(picture, 1000) is picture
    assert fit(Picture(noise(1, 4000)), 16).size == (16, 1)


def test_a_stream_is_read_like_a_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    save_image(Picture(noise(5, 5)), buffer)
    buffer.seek(0)
    np.testing.assert_array_equal(load_image(buffer).pixels, noise(5, 5))


def bomb() -> bytes:
    """A PNG whose header promises 30,000 by 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def truncated(suffix: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(buffer, format=suffix)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"just text", "is not a picture"),
        (lambda: b"", "is not a picture"),
        (lambda: truncated("JPEG"), "damaged"),
        (lambda: truncated("PNG"), "damaged"),
        (bomb, "too large"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture"),
    ],
    ids=["text", "empty", "half a JPEG", "half a PNG", "bomb", "postscript"],
)
def test_a_bad_file_is_told_for_what_it_is(tmp_path: Path, content: Callable[[], bytes], message: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content())
    with pytest.raises(ImageError, match=message):
        load_image(path)


# Pillow reads on past damaged metadata and says so in a warning.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"]), st.data())
def test_flipped_bytes_give_a_picture_or_our_error(kind: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise(24, 20)).save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert load_image(io.BytesIO(bytes(content))).pixels.dtype == np.uint8


@pytest.mark.parametrize("name", ["exif", "transparency", "Raw profile type exif", "icc_profile", "dpi"])
@pytest.mark.parametrize("after", [False, True], ids=["before the pixels", "after them"])
@pytest.mark.parametrize("kind", ["tEXt", "iTXt"])
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_a_text_of_any_name_in_a_png_is_only_a_text(
    name: str, after: bool, kind: str, mode: str, tmp_path: Path
) -> None:
    image = Image.new("L", (4, 3), 90).convert(mode) if mode != "I;16" else Image.new(mode, (4, 3), 90 * 257)
    image.save(tmp_path / "plain.png")
    info = PngInfo()
    info.add(kind.encode(), f"{name}\0{'' if kind == 'tEXt' else 4 * chr(0)}text".encode(), after)
    image.save(tmp_path / "text.png", pnginfo=info)
    plain, picture = load_image(tmp_path / "plain.png"), load_image(tmp_path / "text.png")
    np.testing.assert_array_equal(picture.pixels, plain.pixels)
    assert (picture.alpha is None) == (plain.alpha is None)
    assert picture.exif is None


def test_texts_in_an_animation_are_only_texts(tmp_path: Path) -> None:
    info = PngInfo()
    for name in ("exif", "transparency", "duration"):
        info.add_text(name, "text")
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "green")]
    frames[0].save(tmp_path / "text.png", save_all=True, append_images=frames[1:], duration=50, pnginfo=info)
    assert [picture.pixels[0, 0].tolist() for picture, _ in load_frames(tmp_path / "text.png")] == [
        [255, 0, 0],
        [0, 128, 0],
    ]


@pytest.mark.parametrize(
    "head",
    [b"\0\0\0\x20ftypisom", b"\0\0\0\x14ftypqt  ", b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f", b"RIFF\0\0\1\0AVI "],
    ids=["mp4", "mov", "mkv", "avi"],
)
def test_a_film_with_the_name_of_a_picture_is_told_for_what_it_is(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "film.jpg").write_bytes(head + bytes(100))
    for source in (tmp_path / "film.jpg", io.BytesIO(head + bytes(100))):
        with pytest.raises(ImageError) as error:
            load_image(source)
        assert str(error.value.hint).startswith("It is a film: ")


def test_a_folder_and_a_missing_file_have_their_own_words(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        load_image(tmp_path / "none.png")


def test_pictures_are_found_at_any_depth_and_in_any_case(tmp_path: Path) -> None:
    for name in (
        "a.JPG",
        "b/c.png",
        "b/d/e.TiFf",
        "b/d/f.txt",
        ".hidden/g.png",
        "b/.h.png",
        "i.jfif",
        "j.avif",
        "k.ppm",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a.JPG", "b/c.png", "b/d/e.TiFf", "i.jfif", "j.avif", "k.ppm"]


@pytest.mark.parametrize(("suffix", "longest"), [(".webp", 16_383), (".jpg", 65_500), (".gif", 65_535)])
def test_a_picture_beyond_what_its_format_can_hold_is_refused(
    suffix: str, longest: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageError, match=f"cannot write {longest + 1}×1 px as .*up to {longest} px"):
        save_image(Picture(np.zeros((1, longest + 1, 3), np.uint8)), tmp_path / f"wide{suffix}")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""
    save_image(Picture(np.zeros((1, longest, 3), np.uint8)), tmp_path / f"wide{suffix}")


def test_blend_goes_from_the_photo_to_the_style() -> None:
    photo = np.zeros((1, 3, 2, 2), np.float32)
    for amount in (0.0, 0.25, 1.0):
        styled = np.full((1, 3, 2, 2), 0.8, np.float32)
        mix(photo, styled, blend=amount)
        np.testing.assert_allclose(styled, 0.8 * amount, rtol=1e-6)


def test_kept_colors_are_the_photos_and_the_brightness_is_the_styles() -> None:
    photo = np.array([0.5, 0.4, 0.3], np.float32).reshape(1, 3, 1, 1)
    styled = np.full((1, 3, 1, 1), 0.6, np.float32)
    mix(photo, styled, keep_colors=True)
    out = styled.ravel()
    assert (out[0] - out[1], out[1] - out[2]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert out @ [0.299, 0.587, 0.114] == pytest.approx(0.6)


def test_a_long_side_is_met_and_nothing_is_enlarged_unless_asked() -> None:
    assert fit_size((200, 100), 50) == (50, 25)
    assert fit_size((200, 100), 400) == fit_size((200, 100), None) == (200, 100)
    assert fit_size((200, 100), 400, enlarge=True) == (400, 200)
    assert fit_size((1000, 2), 100) == (100, 1)
    assert fit_size((1000, 2), 100, least=16) == (100, 16)


@pytest.mark.parametrize(
    ("mode", "compression", "plain"),
    [("RGB", None, True), ("CMYK", None, True), ("YCbCr", None, False), ("YCbCr", "jpeg", True), ("LAB", None, False)],
)
def test_a_tiff_in_colors_that_libvips_does_not_convert_is_known(
    mode: str, compression: str | None, plain: bool, tmp_path: Path
) -> None:
    image = Image.open(PHOTOS["coffee"]).convert("RGB").resize((64, 48))
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
        assert converted is not None
        converted.save(tmp_path / "photo.tif")
    else:
        image.convert(mode).save(tmp_path / "photo.tif", compression=compression)
    header = read_header(tmp_path / "photo.tif")
    assert header is not None
    assert header.plain is plain


def test_a_resolution_beyond_what_a_jpeg_holds_is_left_out(tmp_path: Path) -> None:
    picture = Picture(np.zeros((16, 16, 3), np.uint8), dpi=(90_000.0, 90_000.0))
    for name in ("out.jpg", "out.png"):
        save_image(picture, tmp_path / name)
    assert load_image(tmp_path / "out.jpg").dpi in {None, (72.0, 72.0), (1.0, 1.0)}
    assert load_image(tmp_path / "out.png").dpi == pytest.approx((90_000, 90_000), rel=1e-4)
