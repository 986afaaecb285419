"""Reading pictures as upright 8-bit RGB, from files that may be damaged or hostile."""

import contextlib
import ctypes
import io
import logging
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from fast_style.errors import ImageError
from fast_style.extras import missing_extra
from fast_style.images.arrays import Picture, Pixels, fit, on_white
from fast_style.images.exif import read_exif

Source = str | Path | IO[bytes]

# Decoders that are fed files from outside: no EPS (runs Ghostscript), no exotic ones. JPEG opens MPO, too.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "TIFF", "GIF", "PPM")

# Brands of HEIF (ISO/IEC 23008-12, annex B); those of AVIF, which may be a HEIF as well, are Pillow's.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

# What Pillow raises for damaged files, a SyntaxError for a PNG.
_DAMAGED = (ValueError, SyntaxError, KeyError, OverflowError, TypeError, struct.error)

# Pillow's own bound for warning of decompression bombs: a quarter of a gigabyte as 8-bit RGB.
MAX_PIXELS = 89_478_485

# An animation may have so many times as many pixels: the network sees one frame at a time.
MOST_ANIMATED = 4

# What Pillow knows of a picture and is never text. It adds the text chunks of a PNG to that, whatever their names.
_NO_TEXTS = ("exif", "transparency", "duration")

# Pillow logs what is wrong with some files, which would be printed: errors say it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Pillow's bound is global, so threads that lift it take turns.
_BOUND = threading.Lock()

# Highest plausible resolution, pixels per inch.
_MOST_DPI = 100_000.0

# TIFF 6.0, sections 8 and 19.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 284, 338, 339
_WHITE_IS_ZERO = 0
_PLAIN = {0, 1, 2, 3, 5}  # gray, RGB, a palette, CMYK
_COMPRESSION, _JPEG, _TILE_WIDTH = 259, 7, 322
_SEPARATE = 2
_PREMULTIPLIED = 1
_UNSIGNED = 1

# Functions that turn a picture upright, by its orientation (EXIF 3.0, section 4.6.5).
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


@dataclass(frozen=True)
class Header:
    """Contents of a picture file's header.

    Attributes:
        width: Px, before EXIF orientation is applied.
        height: Px, likewise.
        format: Pillow's name, such as ``JPEG``.
        deep: Whether it has 16 bits a channel, in color.
        frames: Of an animation, or pages. :func:`load_image` reads the first.
        plays: How often an animation is shown, 0 without end.
        poster: The first frame is not part of the animation, but for programs that know none.
        plain: Whether libvips reads it: of TIFF only RGB, gray, CMYK and JPEG, and no tiles of separate planes.
    """

    width: int
    height: int
    format: str
    deep: bool
    frames: int = 1
    plays: int = 0
    poster: bool = False
    plain: bool = True

    def pixels(self, size: int | None) -> int:
        """How many pixels it has, after its long side was shrunk to ``size`` px."""
        scale = 1.0 if size is None else min(1.0, size / max(self.width, self.height, 1))
        return int(self.width * self.height * scale * scale)


def read_header(source: Source) -> Header | None:
    """Read a picture's header; None if :func:`load_image` would raise."""
    try:
        with _opened(source, sys.maxsize) as image:
            # Pillow makes 8 bits of them, and says only in its own words from how many.
            depths = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
            deep = _coding(image) in {"RGB;16B", "RGBA;16B"} or (len(depths) >= 3 and set(depths) == {16})
            poster = bool(image.info.get("default_image"))
            tags = getattr(image, "tag_v2", {})
            plain = tags.get(_PHOTOMETRIC, 0) in _PLAIN or tags.get(_COMPRESSION) == _JPEG
            plain = plain and not (tags.get(_PLANAR) == _SEPARATE and _TILE_WIDTH in tags)
            return Header(*image.size, image.format or "", deep, _frames(image), _plays(image), poster, plain)
    except Exception:  # decoders let many kinds escape on damaged files; loading turns each into an ImageError
        return None
    finally:
        if not isinstance(source, str | Path):
            source.seek(0)


def _frames(image: ImageFile.ImageFile) -> int:
    """How many frames or pages there are, as far as can be told; what a JPEG has beside its picture is none."""
    with contextlib.suppress(Exception):  # those after the first may be damaged
        return 1 if image.format in {"JPEG", "MPO"} else int(getattr(image, "n_frames", 1))
    return 1


def _plays(image: ImageFile.ImageFile) -> int:
    """How often an animation is shown, 0 without end; a GIF tells how often it is repeated."""
    loop = image.info.get("loop")
    if image.format != "GIF":
        return int(loop or 0)
    return 1 if loop is None else loop and loop + 1


def load_exif(path: Path) -> bytes | None:
    """Read a picture's EXIF alone, see :func:`fast_style.images.exif.read_exif`.

    Raises:
        ImageError: It is not a picture, or of a kind that :func:`load_image` refuses.
    """
    with _opened(path, sys.maxsize) as image:
        _check_samples(image, path)
        return read_exif(image)


def load_image(
    source: Source, *, size: int | None = None, opaque: bool = False, max_pixels: int = MAX_PIXELS
) -> Picture:
    """Decode a picture as upright 8-bit RGB.

    EXIF orientation is applied; gray, palette, CMYK and 16-bit pictures are converted; alpha is kept apart.

    Args:
        source: A path or a binary stream.
        size: Shrink the long side to this many px, or None to keep it. Never enlarges.
        opaque: Lay transparent parts on white, as viewers show them; the colors that a file hides there are arbitrary.
        max_pixels: Refuse larger pictures, before they are decoded: a small file can claim any size.

    Raises:
        ImageError: Not a picture, damaged, unreadable, of a kind whose values have no defined range, or larger than
            ``max_pixels``.
    """
    # Only Pillow's part is within _failing: a bug here must not be reported as a damaged file.
    with _opened(source, max_pixels) as image:
        exif = read_exif(image)
        _check_samples(image, source)
        # Of 16-bit RGB in which one color is transparent, Pillow compares the upper bytes with that color.
        deep_key = _coding(image) == "RGB;16B" and "transparency" in image.info
        low_bytes = _low_bytes(source, max_pixels) if deep_key else None
        with _failing(source, max_pixels):
            orientation = _orientation(image)
            if size is not None and image.format != "HEIF":  # its draft is the thumbnail
                image.draft("RGB", (size, size))  # a JPEG decodes at half, quarter or eighth size in that time
            image.load()
        picture = to_picture(image, orientation=orientation, exif=exif, low_bytes=low_bytes)
    if opaque:
        picture = on_white(picture)
    return picture if size is None else fit(picture, size)


def load_frames(
    source: Source, *, size: int | None = None, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Picture, float]]:
    """Decode an animation frame by frame, each as it is seen, laid over those before it.

    Arguments and errors are those of :func:`load_image`. All frames together may have four times ``max_pixels``; a
    damaged frame is an error when its turn comes.

    Yields:
        A picture, as of :func:`load_image`, and for how many milliseconds it is shown.
    """
    with _opened(source, max_pixels) as image:
        (width, height), frames = image.size, _frames(image)
        if width * height * frames > MOST_ANIMATED * max_pixels:
            raise _too_large(source, f"an animation of {frames} times {width}×{height} px", MOST_ANIMATED * max_pixels)
        exif = read_exif(image)
        _check_samples(image, source)
        with _failing(source, max_pixels):
            orientation = _orientation(image)
        for number in range(frames):
            with _failing(source, max_pixels):
                image.seek(number)
                image.load()
                # A frame of a GIF may reach beyond the picture, and Pillow then enlarges it.
                whole = image if image.size == (width, height) else image.crop((0, 0, width, height))
            whole.info.setdefault("icc_profile", image.info.get("icc_profile"))
            picture = to_picture(whole, orientation=orientation, exif=exif)
            yield picture if size is None else fit(picture, size), float(image.info.get("duration") or 0)


def to_picture(
    image: Image.Image, *, orientation: int = 1, exif: bytes | None = None, low_bytes: Pixels | None = None
) -> Picture:
    """Convert a loaded image to a picture and turn it upright, by its EXIF orientation; ``exif`` is kept with it.

    Text in its info where none belongs is removed. The mode ``I`` is gray of 16 bits. ``low_bytes``, (H, W, 3) uint8,
    are the lower bytes of 16-bit RGB in which one color is transparent.
    """
    pixels, alpha = _decode(image, low_bytes)
    if turn := _TURNS.get(orientation):
        pixels = np.ascontiguousarray(turn(pixels))
        alpha = None if alpha is None else np.ascontiguousarray(turn(alpha))
    icc = image.info.get("icc_profile")
    # A gray or CMYK profile does not describe the RGB picture that is written; its color space is at byte 16.
    icc = icc if isinstance(icc, bytes) and icc[16:20] == b"RGB " else None
    return Picture(pixels, alpha, icc, exif, _dpi(image.info.get("dpi")))


def turn_upright(image: Image.Image) -> Image.Image:
    """Load an image that Pillow has opened, and turn it upright.

    Raises:
        ImageError: It is damaged, or its values have no defined range.
    """
    name = str(getattr(image, "filename", "")) or "the image"
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point samples; their range is not defined", hint="Convert it to RGB.")
    with _failing(name, MAX_PIXELS):
        upright: Image.Image = ImageOps.exif_transpose(image)
    return upright


@contextlib.contextmanager
def _opened(source: Source, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open a picture of at most ``max_pixels``, lifting Pillow's bound against decompression bombs if it is lower."""
    with _failing(source, max_pixels), _BOUND:
        before = Image.MAX_IMAGE_PIXELS
        if max_pixels > MAX_PIXELS:
            Image.MAX_IMAGE_PIXELS = None
        try:
            image = _identified(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before
        if image.format == "TIFF":
            _silence_libtiff()
        _drop_texts(image)
    with image:
        if image.width * image.height > max_pixels:
            raise _too_large(source, f"{image.width}×{image.height} px", max_pixels)
        yield image


def _drop_texts(image: Image.Image) -> None:
    for name in _NO_TEXTS:
        if isinstance(image.info.get(name), str):
            del image.info[name]


@cache
def _silence_libtiff() -> None:
    """Keep the libtiff of Pillow's wheels from printing what is wrong with a file: errors say it."""
    package = Path(Image.__file__).parent
    for library in (*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")):
        for handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            getattr(ctypes.CDLL(str(library)), handler)(None)


def _identified(source: Source) -> ImageFile.ImageFile:
    """Open a picture with the library of its format; an ImageError says that it is missing or cannot be loaded."""
    head = _read(source, 64)
    brands: set[bytes] = set()
    if head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, min(len(head), int.from_bytes(head[:4], "big")), 4)}
    if brands & _AVIF_BRANDS:
        try:
            return Image.open(source, formats=("AVIF",))
        except UnidentifiedImageError:
            # Pillow encodes the EXIF again to note the orientation, and refuses the file if it cannot.
            return Image.open(io.BytesIO(_read(source, -1).replace(b"Exif", b"Skip")), formats=("AVIF",))
    if not brands & _HEIF_BRANDS:
        return Image.open(source, formats=FORMATS)
    try:
        from pillow_heif import register_heif_opener  # slow to import, and an extra
    except ImportError as error:
        raise ImageError(f"{_name(source)} is a HEIC: {missing_extra(error) or error}") from error
    register_heif_opener()
    return Image.open(source, formats=("HEIF",))


def _is_film(source: Source) -> bool:
    """Whether a file begins as MP4 and MOV do, or MKV and WebM, or AVI."""
    head = _read(source, 12)
    is_mp4 = head[4:8] == b"ftyp" and head[8:] not in _AVIF_BRANDS | _HEIF_BRANDS
    return is_mp4 or head[:4] == b"\x1a\x45\xdf\xa3" or head[:4] + head[8:] == b"RIFFAVI "


def _read(source: Source, size: int) -> bytes:
    """Read the first bytes, or all with -1."""
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return file.read(size)
    source.seek(0)
    head = source.read(size)
    source.seek(0)
    return head


@contextlib.contextmanager
def _failing(source: Source, max_pixels: int) -> Iterator[None]:
    """Turn what Pillow raises within the block into ImageError."""
    name = _name(source)
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(source, "the picture", max_pixels) from error
    except UnidentifiedImageError as error:
        hint = "Supported: JPEG, PNG, WebP, AVIF, HEIC, BMP, TIFF and GIF."
        if Path(name).suffix.lower() in {".tif", ".tiff"}:
            hint = "Save it as RGB with 8 or 16 bits a channel."
        elif _is_film(source):
            hint = "It is a film: give it as a file whose name ends as that of a film, such as .mp4."
        raise ImageError(f"{name} is not a picture that can be read", hint=hint) from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; expected a picture") from error
    except FileNotFoundError as error:
        remedy = "Download it first." if name.startswith(("http:", "https:")) else None
        raise ImageError(f"{name} does not exist", hint=remedy) from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit in memory, or is damaged", hint="Give --jobs 1.") from error
    except (OSError, *_DAMAGED, EOFError, IndexError, RuntimeError) as error:
        # The last is of libavif and libheif, whose messages may have several lines.
        damage = f"the file is damaged ({' '.join(str(error).split())})"
        reason = error.strerror if isinstance(error, OSError) and error.errno else damage
        raise ImageError(f"cannot read {name}: {reason}") from error


def _name(source: Source) -> str:
    return str(source if isinstance(source, str | Path) else getattr(source, "name", "standard input"))


def _too_large(source: Source, what: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{_name(source)}: {what} is too large; at most {max_pixels // 1_000_000} megapixels are read",
        hint="If you trust the file, raise --max-megapixels of stylize. Otherwise shrink it with an image editor.",
    )


def _coding(image: ImageFile.ImageFile) -> str:
    """Pillow's name for how a PNG's samples are coded; empty for other formats."""
    return str(image.tile[0].args) if image.format == "PNG" and image.tile else ""


def _check_samples(image: Any, source: Source) -> None:
    """Refuse samples without a defined range, and mend what Pillow would read wrongly."""
    if image.mode == "F" or (image.format == "TIFF" and (image.mode == "I" or _is_signed(image))):
        raise ImageError(
            f"{_name(source)} has 32-bit or signed samples; their range is not defined",
            hint="Save it with unsigned samples of 8 or 16 bits.",
        )
    if _coding(image) in {"L;2", "L;4"} and "transparency" in image.info:
        # The samples become 8 bits, but the transparent one does not.
        image.info["transparency"] *= 85 if _coding(image) == "L;2" else 17
    if image.format == "TIFF" and image.tag_v2.get(_PLANAR) == _SEPARATE:
        _read_planes(image, source)


def _is_signed(image: Any) -> bool:
    formats = image.tag_v2.get(_SAMPLE_FORMAT, _UNSIGNED)
    return any(sample_format != _UNSIGNED for sample_format in (formats if isinstance(formats, tuple) else (formats,)))


def _read_planes(image: Any, source: Source) -> None:
    """Let libtiff read separate planes that are not compressed: Pillow takes 16 bits for 8 and forgets what is white.

    Of gray with alpha, Pillow and libtiff read the gray only.
    """
    compressed = image.use_load_libtiff
    if image.mode in {"RGB", "RGBA", "CMYK"}:
        if compressed:
            return
        premultiplied = image.mode == "RGBA" and _PREMULTIPLIED in image.tag_v2.get(_EXTRA_SAMPLES, ())
        coding = "RGBa" if premultiplied else image.mode
        if 16 in image.tag_v2.get(_BITS_PER_SAMPLE, ()):
            coding += ";16N"
        whole = (0, 0, *image.tile[-1].extents[2:])
        tile = image.tile[0]._replace(
            codec_name="libtiff", extents=whole, offset=0, args=(coding, False, image.tag_v2.offset)
        )
        image.tile, image.use_load_libtiff = [tile], True
    elif image.mode in {"LA", "La", "PA"} or not compressed:
        raise ImageError(
            f"{_name(source)} is a TIFF with separate planes, of a kind that cannot be read",
            hint="Save it with interleaved channels, as most programs do.",
        )


def _low_bytes(source: Source, max_pixels: int) -> Pixels:
    """Read the lower bytes of a PNG of 16-bit RGB, as if its samples had the other byte order."""
    with _failing(source, max_pixels), _opened(source, max_pixels) as image:
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
        return np.array(image)


def _orientation(image: ImageFile.ImageFile) -> int:
    """Orientation by EXIF or XMP; 1 is upright. Pillow turns a TIFF while loading it, and libheif a HEIC."""
    if image.format == "HEIF":
        return 1
    if image.format == "TIFF":
        if not isinstance(image.info.get("xmp"), bytes):
            image.info.pop("xmp", None)  # of another type than Pillow takes for granted, there and while it loads
        exif = image.getexif()
        for pointer in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop):
            exif.pop(pointer, None)  # Pillow would follow them while it loads, wherever they point
        return 1
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (*_DAMAGED, OSError):
        return 1  # the record is damaged, the picture need not be
    return orientation if isinstance(orientation, int) else 1


def _decode(image: Image.Image, low_bytes: Pixels | None) -> tuple[Pixels, Pixels | None]:
    """Convert a loaded picture to RGB with 8 bits, and its alpha."""
    _drop_texts(image)  # those behind the pixels
    key = image.info.get("transparency")
    if image.mode.startswith("I"):  # 16-bit gray: "I;16", or "I" from PPM
        wide = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
        tags = getattr(image, "tag_v2", {})
        gray = (wide // 16 if tags.get(_BITS_PER_SAMPLE) == (12,) else wide // 257).astype(np.uint8)
        if image.format == "TIFF" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            gray = 255 - gray  # Pillow applies it to 8 bits only
        alpha = None if key is None else np.where(wide == key, 0, 255).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1), alpha
    if low_bytes is not None:
        pixels = np.array(image)
        exact = np.stack([pixels, low_bytes], axis=-1).view(">u2")[..., 0]
        return pixels, np.where((exact == key).all(axis=-1), 0, 255).astype(np.uint8)
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return np.array(image.convert("RGB")), np.array(image.getchannel("A"))
    if image.mode == "CMYK" and (icc := image.info.get("icc_profile")):
        image = _from_cmyk(image, icc)
    return np.array(image.convert("RGB")), None


def _from_cmyk(image: Image.Image, icc: bytes) -> Image.Image:
    from PIL import ImageCms

    with contextlib.suppress(ImageCms.PyCMSError, OSError):  # an unusable profile: the plain conversion follows
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    return image


def _dpi(values: Any) -> tuple[float, float] | None:
    """Resolution that a file states, or None if implausible."""
    try:
        across, down = map(float, values)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= _MOST_DPI and 1 <= down <= _MOST_DPI else None
