"""Large photos, and photos with 16 bits a channel, read and written in parts by libvips.

This needs the extra ``large``. Without it, Pillow reads whole photos with 8 bits a channel.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fast_style.errors import ImageError
from fast_style.images import add_exif, check_size, fit_size, load_exif, read_header
from fast_style.stylize.rasters import Box, Part

if TYPE_CHECKING:
    import pyvips

# Formats, as Pillow recognizes them, whose loader is named; libvips's own choice would open many others.
READABLE = frozenset({"JPEG", "PNG", "TIFF", "WEBP"})
# Largest content of a plain TIFF, bytes: half of its 4 GiB, as compression can enlarge the content.
_PLAIN_TIFF_BYTES = 2**31
# Bytes that are written to a file that could not be written, so that the system says why.
_PROBE = 2**16
_PROFILE, _EXIF = "icc-profile-data", "exif-data"


def streams() -> bool:
    """Whether libvips is installed."""
    try:
        import pyvips  # noqa: F401  # asked for, not used
    except (ImportError, OSError):  # the package, or the library that it binds
        return False
    return True


@dataclass(frozen=True)
class StreamedRaster:
    """A photo that libvips reads in parts; a large one is decoded into a temporary file."""

    image: pyvips.Image  # upright RGB with 8 or 16 bits a channel
    alpha: pyvips.Image | None = None  # one channel, or None
    exif: bytes | None = None  # without the orientation, or None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.image.width, self.image.height

    @property
    def deep(self) -> bool:
        """Whether it has 16 bits a channel."""
        return bool(self.image.format == "ushort")

    def read(self, box: Box) -> Part:
        """Read a part, (h, w, 3) uint8 or uint16."""
        left, top, right, bottom = box
        with _failing("cannot read the picture"):
            return np.asarray(self.image.crop(left, top, right - left, bottom - top).numpy())

    def shrunk(self, size: tuple[int, int]) -> StreamedRaster:
        """Resample the whole with Lanczos, to 8 bits a channel; parts are computed when they are read."""
        return self._shallow(_resized(self.image, size))

    def reduced(self, factor: int) -> StreamedRaster:
        """Average squares of pixels, to 8 bits a channel; parts are computed when they are read."""
        return self._shallow(self.image.shrink(factor, factor, ceil=True))

    def _shallow(self, image: pyvips.Image) -> StreamedRaster:
        return StreamedRaster((image >> 8).cast("uchar") if self.deep else image)


def open_raster(path: Path, *, size: int | None = None) -> StreamedRaster:
    """Open a JPEG, PNG, TIFF or WebP file, with its long side shrunk to ``size`` px unless that is None.

    EXIF orientation is applied; gray and CMYK become RGB.

    Raises:
        ImageError: It is damaged, or of another format.
    """
    import pyvips

    # libvips would know what it has read by its name, and the file may be another now.
    pyvips.cache_set_max(0)
    exif = load_exif(path)
    header = read_header(path)
    if header is None or header.format not in READABLE:
        raise ImageError(f"cannot read {path} in parts: it is none of {', '.join(sorted(READABLE))}")
    with _failing(f"cannot read {path}"):
        load = getattr(pyvips.Image, f"{header.format.lower()}load")
        image = load(os.fsencode(path), access="random", fail_on="error").autorot()
        alpha = image[image.bands - 1] if image.hasalpha() else None
        if alpha is not None:
            image = image[: image.bands - 1]
        deep = image.format == "ushort"
        if image.interpretation == "cmyk":
            image = image.icc_transform("srgb", embedded=True)
        elif image.bands != 3:
            image = image.colourspace("rgb16" if deep else "srgb")
        if image.bands != 3 or image.format not in {"uchar", "ushort"}:
            raise ImageError(f"{path}: {image.bands} channels of type {image.format}; expected three of 8 or 16 bits")
        target = fit_size((image.width, image.height), size)
        return StreamedRaster(_resized(image, target), None if alpha is None else _resized(alpha, target), exif)


def write_bands(
    bands: Iterator[tuple[int, Part]], photo: StreamedRaster, target: Path, *, format: str, quality: int
) -> None:
    """Encode a picture while its bands are drawn; profile, EXIF, resolution and alpha come from the photo.

    The bands are those of :func:`fast_style.stylize.tiles.stylize_bands`. The format is JPEG, PNG, TIFF or WEBP; JPEG
    and WebP have 8 bits a channel, and a quality of 1 to 100.

    Raises:
        ImageError: The picture is too large for the format, or cannot be written.
        OSError: The system refuses the file, as on a full disk.
    """
    check_size(*photo.size, format)
    reading, writing = os.pipe()
    failed: list[Exception] = []

    def encode() -> None:
        try:
            _encode(reading, photo, target, format, quality)
        except Exception as error:  # raised again in the caller's thread
            failed.append(error)
        finally:
            while os.read(reading, 2**20):  # the writer must not wait for a full pipe
                pass
            os.close(reading)

    # In a thread, so that Ctrl-C works while libvips does.
    encoder = threading.Thread(target=encode, name="encode", daemon=True)
    encoder.start()
    try:
        with os.fdopen(writing, "wb") as pipe:
            for content in _as_png(bands, photo):
                if failed:
                    break
                pipe.write(content)
    finally:
        encoder.join()
    for error in failed:
        if not type(error).__module__.startswith("pyvips"):
            raise error
        raise ImageError(f"the picture could not be written as {format}: {_reason(error)}")


def _as_png(bands: Iterator[tuple[int, Part]], photo: StreamedRaster) -> Iterator[bytes]:
    """Yield the bands as an uncompressed PNG, the only 16-bit format that usual builds of libvips read from a pipe."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
        )

    width, height = photo.size
    stored = zlib.compressobj(0)
    truecolor = 2
    header = struct.pack(">IIBBBBB", width, height, 16 if photo.deep else 8, truecolor, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    for _, band in bands:
        rows = (band.astype(">u2") if photo.deep else band).reshape(len(band), -1).view(np.uint8)
        filters = np.zeros((len(rows), 1), np.uint8)
        yield chunk(b"IDAT", stored.compress(np.concatenate([filters, rows], axis=1).tobytes()))
    yield chunk(b"IDAT", stored.flush()) + chunk(b"IEND", b"")


def _encode(reading: int, photo: StreamedRaster, target: Path, format: str, quality: int) -> None:
    import pyvips

    source = pyvips.Source.new_from_descriptor(reading)
    image = pyvips.Image.pngload_source(source, access="sequential", fail_on="truncated")
    image = image.copy(xres=photo.image.xres, yres=photo.image.yres, interpretation="rgb16" if photo.deep else "srgb")
    if _PROFILE in photo.image.get_fields():
        image.set_type(pyvips.GValue.blob_type, _PROFILE, photo.image.get(_PROFILE))
    if photo.exif is not None:
        image.set_type(pyvips.GValue.blob_type, _EXIF, photo.exif)
    if photo.alpha is not None:
        image = image.bandjoin(photo.alpha)
    try:
        _save(image, target, format, quality)
    except pyvips.Error:
        # Messages of libvips get lost where threads use it at once. The system still refuses what it has just refused.
        with target.open("ab") as file:
            file.write(bytes(_PROBE))
        raise
    if format == "TIFF" and photo.exif is not None:
        add_exif(target, photo.exif)  # libvips writes none into a TIFF


def _save(image: Any, target: Path, format: str, quality: int) -> None:
    name, deep = os.fsencode(target), image.format == "ushort"  # a name that is text would have to be UTF-8
    if format == "TIFF":
        large = image.width * image.height * image.bands * (2 if deep else 1) > _PLAIN_TIFF_BYTES
        image.tiffsave(name, compression="deflate", predictor="horizontal", bigtiff=large)
    elif format == "PNG":
        image.pngsave(name, compression=3, filter="none" if deep else "all")
    else:
        image = (image >> 8).cast("uchar").copy(interpretation="srgb") if deep else image
        if format == "JPEG":
            image.jpegsave(name, Q=quality, background=[255, 255, 255])
        else:
            image.webpsave(name, Q=quality)


def _resized(image: Any, size: tuple[int, int]) -> Any:
    if (image.width, image.height) == size:
        return image
    return image.resize(size[0] / image.width, vscale=size[1] / image.height, kernel="lanczos3").crop(0, 0, *size)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Turn libvips's errors within the block into ImageError."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("pyvips"):
            raise
        raise ImageError(f"{what}: the file is damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """Return the first error of the system in libvips's message, or its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    system = [line for line in lines if line.startswith("system error: ")]
    return (system or lines[-1:] or [type(error).__name__])[0]
