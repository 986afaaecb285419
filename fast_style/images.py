"""Reading, writing and resizing pictures: the one place where their bytes become a network's floats, and back.

Code that only measures (frames around paintings, steady film, flicker, heat maps) computes in floats of 0 to 255 and
says so; the ONNX graphs with pixels in and out, and the page's script, repeat :func:`to_float` and :func:`to_uint8`.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fast_style.errors import DatasetError, ImageError
from fast_style.files import check_new, replacing

Pixels = NDArray[np.uint8]
Planes = Sequence[Pixels] | NDArray[np.uint8]  # red, green and blue, each (H, W); or (3, H, W)

# Decoders that are fed files from outside: no EPS (runs Ghostscript), no exotic ones. JPEG opens MPO, too.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
WRITABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"})

# zlib's name for compression that looks for runs only.
_Z_RLE = 3

# Pillow's own bound for warning of decompression bombs: a quarter of a gigabyte as 8-bit RGB.
MAX_PIXELS = 89_478_485

# Pillow's bound is a global, so those who lift it take turns.
_BOUND = threading.Lock()

_BITS_PER_SAMPLE = 258  # TIFF 6.0, section 8
_MOST_DPI = 100_000.0

# ITU-R BT.601 luma, the weights of Pillow's "L" and of the Y in JPEG.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what has to survive a round trip.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, turned upright.
        alpha: (H, W) uint8, or None if the file had none.
        icc_profile: The RGB colour profile, or None.
        exif: EXIF without the orientation, or None.
        dpi: Resolution for print, across and down, pixels an inch, or None.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]


def find_images(folder: Path) -> list[Path]:
    """List the pictures under a folder, at any depth and with any case of suffix, sorted; hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def find_photos(folder: Path) -> list[Path]:
    """List the pictures under a folder that must hold some: see :func:`find_images`.

    Raises:
        DatasetError: It is not a folder, or it holds none.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of photos")
    if not (found := find_images(folder)):
        raise DatasetError(f"{folder} holds no photos", hint="JPEG, PNG, WebP, BMP and TIFF are looked for.")
    return found


@dataclass(frozen=True)
class Header:
    """What the first bytes of a picture's file say.

    Attributes:
        width: Px, before an orientation in EXIF is heeded.
        height: Px, likewise.
        format: Pillow's name, such as ``JPEG``.
        deep: Whether it has 16 bits a channel, in colour.
    """

    width: int
    height: int
    format: str
    deep: bool

    def pixels(self, size: int | None) -> int:
        """How many pixels it has, after its long side was shrunk to ``size`` px."""
        scale = 1.0 if size is None else min(1.0, size / max(self.width, self.height, 1))
        return int(self.width * self.height * scale * scale)


def read_header(source: str | Path | IO[bytes]) -> Header | None:
    """Read a picture's header; None if :func:`load_image` would say what is wrong with it."""
    try:
        with _opened(source, sys.maxsize) as image:
            # Pillow makes 8 bits of them, and says only in its own words from how many.
            depths = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
            codings = {tile[3] for tile in getattr(image, "tile", ())} if image.format == "PNG" else set()
            deep = bool(codings & {"RGB;16B", "RGBA;16B"}) or (len(depths) >= 3 and set(depths) == {16})
            return Header(*image.size, image.format or "", deep)
    except Exception:  # decoders let many kinds escape on damaged files; loading turns each into an ImageError
        return None
    finally:
        if not isinstance(source, str | Path):
            source.seek(0)


@contextlib.contextmanager
def _opened(source: str | Path | IO[bytes], max_pixels: int) -> Iterator[Image.Image]:
    """Open a picture, with Pillow's own bound against decompression bombs out of the way if ours is higher."""
    with _BOUND:
        before = Image.MAX_IMAGE_PIXELS
        if max_pixels > MAX_PIXELS:
            Image.MAX_IMAGE_PIXELS = None
        try:
            image = Image.open(source, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    with image:
        yield image


def load_image(
    source: str | Path | IO[bytes], *, size: int | None = None, opaque: bool = False, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Decode a picture as upright 8-bit RGB.

    EXIF orientation is applied; grey, palette, CMYK and 16-bit pictures are converted; alpha is kept apart.

    Args:
        source: A path or a binary stream.
        size: Shrink the long side to this many px, or None to keep it. Never enlarges.
        opaque: Lay transparent parts on white, as one sees them; what colours a file hides there is anyone's guess.
        max_pixels: Refuse larger pictures, before they are decoded: a small file can claim any size.

    Raises:
        ImageError: Not a picture, damaged, unreadable, or larger than ``max_pixels``.
    """
    name = str(source) if isinstance(source, str | Path) else "standard input"
    try:
        with _opened(source, max_pixels) as image:
            if image.width * image.height > max_pixels:
                raise _too_large(name, f"{image.width}×{image.height} px", max_pixels)
            if size is not None:
                image.draft("RGB", (size, size))  # a JPEG decodes at half, quarter or eighth size in that time
            picture = _decode(image)
            if opaque:
                picture = _on_white(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, "the picture", max_pixels) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not a picture that can be read", hint="JPEG, PNG, WebP, BMP, TIFF and GIF are."
        ) from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; expected a picture") from error
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist") from error
    except OSError as error:
        reason = error.strerror if error.errno else f"the file is damaged ({error})"
        raise ImageError(f"cannot read {name}: {reason}") from error
    except (ValueError, SyntaxError, EOFError, IndexError, KeyError, OverflowError, TypeError, MemoryError) as error:
        # What Pillow's decoders let escape on damaged files; a SyntaxError is a broken PNG.
        raise ImageError(f"cannot read {name}: the file is damaged ({error})") from error
    return picture if size is None else fit(picture, size)


def _too_large(name: str, what: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{name}: {what} is too large; at most {max_pixels // 1_000_000} megapixels are read",
        hint="If you trust the file, stylize has --max-megapixels. Else shrink it with an image editor.",
    )


def _decode(image: Image.Image) -> Picture:
    icc = image.info.get("icc_profile")
    dpi = _dpi(image.info.get("dpi"))
    image = ImageOps.exif_transpose(image)
    exif = image.getexif()
    exif.pop(ExifTags.Base.Orientation, None)
    alpha = None
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A")).copy()
    elif image.mode.startswith("I"):  # 16-bit grey: "I;16", or "I" from older files
        wide = np.asarray(image)
        image = Image.fromarray((np.clip(wide, 0, 65535) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    elif image.mode == "CMYK" and icc:
        from PIL import ImageCms

        with contextlib.suppress(ImageCms.PyCMSError):  # an unusable profile: fall back to the plain conversion
            image = (
                ImageCms.profileToProfile(
                    image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                or image
            )
    pixels = np.array(image.convert("RGB"))
    # A grey or CMYK profile does not describe the RGB picture that is written; its colour space is at byte 16.
    keep_icc = isinstance(icc, bytes) and icc[16:20] == b"RGB "
    return Picture(pixels, alpha, icc if keep_icc else None, exif.tobytes() if len(exif) else None, dpi)


def _dpi(found: Any) -> tuple[float, float] | None:
    """A resolution that makes sense, of what a file says."""
    try:
        across, down = map(float, found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= _MOST_DPI and 1 <= down <= _MOST_DPI else None


def _on_white(picture: Picture) -> Picture:
    if picture.alpha is None:
        return picture
    image = Image.fromarray(picture.pixels)
    image.putalpha(Image.fromarray(picture.alpha))
    white = Image.new("RGBA", image.size, "white")
    return replace(picture, pixels=np.array(Image.alpha_composite(white, image).convert("RGB")), alpha=None)


def fit(picture: Picture, size: int) -> Picture:
    """Shrink a picture so that its long side has at most ``size`` px; the aspect ratio is kept."""
    target = fit_size(picture.size, size)
    return picture if target == picture.size else resize(picture, target)


def fit_size(
    size: tuple[int, int], long_side: float | None, *, enlarge: bool = False, least: int = 1
) -> tuple[int, int]:
    """Shrink a size, (width, height) px, to a long side; the aspect ratio is kept.

    Args:
        size: What is there.
        long_side: Px, or None to keep the size.
        enlarge: Bring a smaller size to that long side, too.
        least: What each side has at least after that, px.
    """
    if long_side is None or (max(size) <= long_side and not enlarge):
        return size
    scale = long_side / max(size)
    return max(least, round(size[0] * scale)), max(least, round(size[1] * scale))


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """Resample to exactly (width, height) px with Lanczos, alpha too."""

    def resample(channels: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(channels).resize(size, Image.Resampling.LANCZOS))

    alpha = None if picture.alpha is None else resample(picture.alpha)
    return replace(picture, pixels=resample(picture.pixels), alpha=alpha)


def to_float(pixels: Pixels | NDArray[np.uint16]) -> NDArray[np.float32]:
    """(H, W, 3) uint8, or uint16 of a picture with 16 bits a channel, to (1, 3, H, W) float32 in [0, 1]."""
    out = np.empty((1, 3, *pixels.shape[:2]), dtype=np.float32)
    np.multiply(pixels.transpose(2, 0, 1), np.float32(1 / np.iinfo(pixels.dtype).max), out=out[0])
    return out


def to_uint8(image: NDArray[np.float32]) -> Pixels:
    """(1, 3, H, W) float in [0, 1] to (H, W, 3) uint8; rounds, and clamps what lies outside."""
    scaled = np.clip(image[0] * np.float32(255) + np.float32(0.5), 0, 255)
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))


def to_uint16(image: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(1, 3, H, W) float in [0, 1] to (H, W, 3) uint16; rounds, and clamps what lies outside."""
    scaled = np.clip(image[0] * np.float32(65535) + np.float32(0.5), 0, 65535)
    return np.ascontiguousarray(scaled.astype(np.uint16).transpose(1, 2, 0))


def channels(pixels: Pixels) -> list[Pixels]:
    """The three (H, W) planes of an (H, W, 3) array, as views."""
    return [pixels[..., channel] for channel in range(3)]


def planes_to_float(planes: Planes, out: NDArray[np.float32]) -> None:
    """Fill a (1, 3, H, W) float32 image in [0, 1] from three (H, W) uint8 planes, views with any strides."""
    for channel, plane in zip(out[0], planes, strict=True):
        np.multiply(plane, np.float32(1 / 255), out=channel)


def float_to_planes(image: NDArray[np.float32], planes: Planes) -> None:
    """Fill three (H, W) uint8 planes from a (1, 3, H, W) float32 image; rounds, and clamps what lies outside [0, 1].

    The image is used up: it is scaled where it lies, as other memory would have to come into the caches first.
    """
    for channel, plane in zip(image[0], planes, strict=True):
        channel *= np.float32(255)
        channel += np.float32(0.5)
        np.clip(channel, np.float32(0), np.float32(255), out=channel)
        np.copyto(plane, channel, casting="unsafe")


def mix(
    photo: NDArray[np.float32], stylized: NDArray[np.float32], *, blend: float = 1.0, keep_colors: bool = False
) -> None:
    """Mix the photo into the stylized picture, in place. Both (1, 3, H, W) float32 in [0, 1].

    Args:
        photo: What was stylized.
        stylized: The result, overwritten.
        blend: 0.0 is the photo, 1.0 the stylized picture.
        keep_colors: Brightness from the stylized picture, colours from the photo.

    Reference:
        Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", section 3.2.
    """
    if keep_colors:
        shift = np.tensordot(LUMA, stylized[0] - photo[0], axes=1)
        np.clip(photo + shift, 0, 1, out=stylized)
    if blend < 1.0:
        stylized *= np.float32(blend)
        stylized += np.float32(1.0 - blend) * photo


def check_target(target: Path, *, force: bool) -> None:
    """Refuse, before any work is done, a picture that could not be written at the end.

    Raises:
        ImageError: No picture can be written with that suffix, or there is no such folder.
        InputError: The file exists and ``force`` was not given.
    """
    format_of(target)
    if not target.parent.is_dir():
        raise ImageError(f"cannot write {target}: there is no folder {target.parent}", hint="Make it first.")
    check_new(target, force=force)


def format_of(target: Path) -> str:
    """Pillow's name of the format that a file's suffix tells."""
    suffix = target.suffix.lower()
    if suffix not in WRITABLE_SUFFIXES:
        raise ImageError(f"cannot write {target}: {suffix or 'no suffix'}", hint="Use .png, .jpg, .webp or .tif.")
    return {".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}.get(suffix, "JPEG")


def save_image(picture: Picture, target: str | Path | IO[bytes], *, quality: int = 92, format: str = "PNG") -> None:
    """Encode a picture; a file appears whole or not at all.

    JPEG has no alpha: transparent parts are laid on white.

    Args:
        picture: What to write.
        target: A path ending in .png, .jpg, .webp or .tif, or a binary stream.
        quality: Quality of JPEG and WebP, 1 to 100.
        format: Used for a stream only: PNG, JPEG or WEBP.

    Raises:
        ImageError: The suffix is another, or the picture is too large for the format.
        FileError: The file cannot be written.
    """
    options: dict[str, Any] = {}
    if isinstance(target, str | Path):
        format = format_of(Path(target))
    if format == "JPEG":
        picture = _on_white(picture)
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    if format == "PNG":
        # Stylized pictures hardly repeat themselves, so runs are all that is worth looking for: a third of the time of
        # level 4, and files of the same size.
        options["compress_type"] = _Z_RLE
    elif format == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    else:
        options["quality"] = quality
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    if picture.exif:
        options["exif"] = picture.exif
    if picture.dpi and format != "WEBP":
        options["dpi"] = picture.dpi
    if not isinstance(target, str | Path):
        image.save(target, format=format, **options)
        return
    with replacing(Path(target)) as partial:
        try:
            image.save(partial, format=format, **options)
        except ValueError as error:  # beyond the format: WebP ends at 16,383 px, JPEG at 65,535 px a side
            raise ImageError(
                f"cannot write {target}: {image.width}×{image.height} px as {format}: {error}", hint="Use .png."
            ) from error
