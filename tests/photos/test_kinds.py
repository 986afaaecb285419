"""What docs/files.md says is kept of photos and animations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style.images import load_frames, load_image
from fast_style.photos.jobs import Job
from fast_style.photos.run import PhotoOptions, stylize_photos
from fast_style.stylize.options import StyleOptions

# More red below and more green on the left: turned or mirrored, it is another picture.
PIXELS = np.full((48, 64, 3), 90, np.uint8)
PIXELS[..., 0] = np.linspace(20, 220, 48)[:, None]
PIXELS[..., 1] = np.linspace(230, 30, 64)
PICTURE = Image.fromarray(PIXELS)
OPAQUE = Image.merge("RGBA", (*PICTURE.split(), Image.new("L", PICTURE.size, 255)))
TURNS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
)
KINDS: list[tuple[str, Image.Image, dict[str, Any]]] = [
    *(("jpg", PICTURE.convert(mode), {"quality": 98}) for mode in ("RGB", "L", "CMYK")),
    ("jpg", PICTURE, {"quality": 98, "progressive": True}),
    *(("png", OPAQUE.convert(mode), {}) for mode in ("RGB", "L", "1", "P", "RGBA", "LA")),
    *(("webp", OPAQUE.convert(mode), {"lossless": True}) for mode in ("RGB", "RGBA")),
    ("avif", PICTURE, {"quality": 95}),
    *(("bmp", PICTURE.convert(mode), {}) for mode in ("RGB", "L", "1")),
    ("bmp", PICTURE.quantize(256), {}),
    ("gif", PICTURE, {}),
    *(("tif", PICTURE, {"compression": each}) for each in ("tiff_lzw", "packbits", "jpeg")),
    ("tif", PICTURE.convert("1"), {"compression": "group4"}),
    *(("ppm", PICTURE.convert(mode), {}) for mode in ("RGB", "L", "1")),
]


def stylize(source: Path, target: Path, style: Path) -> Path:
    (outcome,) = stylize_photos([Job(source, target)], StyleOptions(style), PhotoOptions(quality=100), force=True)
    assert outcome.error is None
    return target


def check(shown: Any, wanted: Any) -> None:
    assert np.shape(shown) == np.shape(wanted)
    assert np.abs(np.asarray(shown, float) - np.asarray(wanted, float)).mean() < 4


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1].mode}-{kind[2]}")
def test_a_photo_goes_from_each_format_to_each(
    kind: tuple[str, Image.Image, dict[str, Any]], same: Path, tmp_path: Path
) -> None:
    suffix, image, options = kind
    image.save(tmp_path / f"in.{suffix}", **options)
    for target in ("png", "jpg", "webp", "tif", "gif"):
        result = stylize(tmp_path / f"in.{suffix}", tmp_path / f"out.{target}", same)
        check(load_image(result).pixels, image.convert("RGB"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
def test_a_photo_of_any_orientation_becomes_upright(suffix: str, same: Path, tmp_path: Path) -> None:
    for orientation, turn in enumerate(TURNS, 1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        PICTURE.save(tmp_path / f"in.{suffix}", exif=exif, quality=95)
        result = stylize(tmp_path / f"in.{suffix}", tmp_path / "out.png", same)
        check(load_image(result).pixels, PICTURE if turn is None else PICTURE.transpose(turn))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_goes_from_each_format_to_each(suffix: str, same: Path, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, 9 * number, 1)) for number in range(3)]
    animated: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": [50, 120, 900]}
    frames[0].save(tmp_path / f"in.{suffix}", **animated, quality=98)
    for target in ("gif", "webp", "png"):
        result = stylize(tmp_path / f"in.{suffix}", tmp_path / f"out.{target}", same)
        pictures, pauses = zip(*load_frames(result), strict=True)
        assert list(pauses) == [50, 120, 900]
        check([picture.pixels for picture in pictures], [np.asarray(frame) for frame in frames])
