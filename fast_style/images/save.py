"""Writing pictures: encoded with their metadata, completely or not at all."""

import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from fast_style.errors import ImageError
from fast_style.files import check_new, check_writable, replacing
from fast_style.images.arrays import Picture, on_white, with_alpha
from fast_style.images.exif import add_exif

WRITABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif"})

# Longest side that a format can hold, px; the bound of JPEG is libjpeg's.
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383, "GIF": 65_535}

# A GIF's last color stands for transparency; half-transparent pixels become opaque from half on.
_TRANSPARENT, _HALF = 255, 128


def check_target(target: Path, *, force: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse, before any work is done, a picture that could not be written at the end.

    Raises:
        ImageError: No picture can be written with that suffix, or the folder does not exist.
        InputError: The file is one of the inputs, or it exists and ``force`` was not given.
    """
    format_of(target)
    if not target.parent.is_dir():
        raise ImageError(f"cannot write {target}: the folder {target.parent} does not exist", hint="Create it first.")
    check_new(target, force=force, inputs=inputs)
    check_writable(target)


def format_of(target: Path) -> str:
    """Pillow's name of the format for a file's suffix."""
    suffix = target.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise ImageError(
            f"cannot write {target}: unsupported suffix {suffix or '(none)'}", hint="Use .png, .jpg, .webp or .tif."
        )
    return {".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF"}.get(suffix, "JPEG")


def check_size(width: int, height: int, format: str) -> None:
    """Raise ImageError if a picture, px, is too large for a format, given by Pillow's name."""
    if max(width, height) > (longest := _LONGEST.get(format, sys.maxsize)):
        raise ImageError(
            f"cannot write {width}×{height} px as {format}: it holds sides of up to {longest} px", hint="Use .png."
        )


def save_image(picture: Picture, target: str | Path | IO[bytes], *, quality: int = 92, format: str = "PNG") -> None:
    """Encode a picture; a file appears completely or not at all.

    JPEG has no alpha: transparent parts are laid on white. GIF has 256 colors, with dithering, and no profile or EXIF.

    Args:
        picture: What to write.
        target: A path ending in .png, .jpg, .webp, .tif or .gif, or a binary stream.
        quality: Quality of JPEG and WebP, 1 to 100.
        format: Used for a stream only: PNG, JPEG or WEBP.

    Raises:
        ImageError: The suffix is not supported, or the picture is too large for the format.
        FileError: The file cannot be written.
    """
    if isinstance(target, str | Path):
        format = format_of(Path(target))
    check_size(*picture.size, format)
    if format == "JPEG":
        picture = on_white(picture)
    options = save_options(picture, format, quality)
    if format == "GIF":
        image, transparency = reduce_colors(picture)
        options |= transparency
    else:
        image = with_alpha(picture)
    if not isinstance(target, str | Path):
        image.save(target, format=format, **options)
        return
    with replacing(Path(target)) as partial:
        image.save(partial, format=format, **options)
        if picture.exif and format == "TIFF":
            add_exif(partial, picture.exif)


def reduce_colors(picture: Picture) -> tuple[Image.Image, dict[str, int]]:
    """Reduce a picture to 256 colors, or 255 and a transparent one, which Pillow's options then name."""
    image = Image.fromarray(picture.pixels)
    clear = None if picture.alpha is None else picture.alpha < _HALF
    palette = image.quantize(256 if clear is None else _TRANSPARENT, Image.Quantize.MEDIANCUT)
    image = image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if clear is None:
        return image, {}
    indices = np.array(image)
    indices[clear] = _TRANSPARENT
    colors = (palette.getpalette() or [])[: 3 * _TRANSPARENT]
    image = Image.fromarray(indices, "P")
    image.putpalette(colors + [0] * (3 * (_TRANSPARENT + 1) - len(colors)))
    return image, {"transparency": _TRANSPARENT}


def save_options(picture: Picture, format: str, quality: int) -> dict[str, Any]:
    """Pillow's options for a format."""
    options: dict[str, Any] = {}
    if format == "PNG":
        # Stylized pictures hardly repeat themselves, so runs are all that is worth looking for: a third of the time of
        # level 4, and files of the same size.
        options["compress_type"] = zlib.Z_RLE
    elif format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    elif format != "GIF":
        options["quality"] = quality
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    if picture.exif and format not in {"TIFF", "GIF"}:
        options["exif"] = picture.exif
    if picture.dpi and format not in {"WEBP", "GIF"} and not (format == "JPEG" and max(picture.dpi) >= 2**16):
        options["dpi"] = picture.dpi
    return options
