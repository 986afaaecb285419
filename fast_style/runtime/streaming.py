"""Photos that are never in memory as a whole, and photos with 16 bits a channel: read and written by libvips.

It needs the extra ``large``. Without it, photos are read by Pillow, whole, with 8 bits a channel.
"""

from __future__ import annotations

import contextlib
import queue
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image

from fast_style.errors import ImageError
from fast_style.images import fit_size
from fast_style.runtime.rasters import Box, Part

if TYPE_CHECKING:
    import pyvips

# What Pillow must have taken the file for, from its first bytes: libvips would open much else.
READABLE = frozenset({"JPEG", "PNG", "TIFF", "WEBP"})
# So many bands wait to be encoded, at most.
_WAITING = 2
# Px; offsets in a plain TIFF file end at 4 GiB, which 16 bits and alpha reach from here on.
_LARGEST_PLAIN_TIFF = 500_000_000
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
    """A photo that libvips reads in parts; what it has decoded lies in a temporary file if it is large.

    Attributes:
        image: Upright RGB with 8 or 16 bits a channel.
        alpha: One channel, or None.
    """

    image: pyvips.Image
    alpha: pyvips.Image | None

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
        """Resample the whole with Lanczos, to 8 bits a channel; it is computed where it is read."""
        image = _resized(self.image, size)
        return StreamedRaster((image >> 8).cast("uchar") if self.deep else image, None)


def open_raster(path: Path, *, size: int | None = None) -> StreamedRaster:
    """Open a JPEG, PNG, TIFF or WebP file.

    EXIF orientation is applied; grey and CMYK become RGB.

    Args:
        path: The file; that it is a picture, and how large it is, has been seen from its header.
        size: Shrink the long side to this many px, or None.

    Raises:
        ImageError: It is damaged.
    """
    import pyvips

    with _failing(f"cannot read {path}"):
        # Of all that libvips can open, these alone.
        pyvips.operation_block_set("VipsForeignLoad", True)
        for name in ("Jpeg", "Png", "Tiff", "Webp"):
            pyvips.operation_block_set(f"VipsForeignLoad{name}", False)
        image = pyvips.Image.new_from_file(str(path), access="random", fail_on="error").autorot()
        alpha = image[image.bands - 1] if image.hasalpha() else None
        if alpha is not None:
            image = image[: image.bands - 1]
        deep = image.format == "ushort"
        if image.interpretation == "cmyk":
            image = image.icc_transform("srgb", embedded=True)
        elif image.bands != 3:
            image = image.colourspace("rgb16" if deep else "srgb")
        if image.bands != 3 or image.format not in {"uchar", "ushort"}:
            raise ImageError(f"{path}: {image.bands} channels of type {image.format} are no photo")
        target = fit_size((image.width, image.height), size)
        return StreamedRaster(_resized(image, target), None if alpha is None else _resized(alpha, target))


def write_bands(
    bands: Iterator[tuple[int, Part]], photo: StreamedRaster, target: Path, *, format: str, quality: int
) -> None:
    """Encode a picture while its bands are made; profile, EXIF, resolution and alpha are the photo's.

    Args:
        bands: From the top to the bottom, as of :func:`fast_style.runtime.tiles.stylize_bands`.
        photo: What they were made of.
        target: Where to write.
        format: JPEG, PNG, TIFF or WEBP. JPEG and WebP have 8 bits a channel and no more.
        quality: Of JPEG and WebP, 1 to 100.

    Raises:
        ImageError: The picture is too large for the format, or cannot be written.
    """
    waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING)
    failed: list[Exception] = []
    stopped = threading.Event()

    def encode() -> None:
        try:
            _encode(_Stream(waiting), photo, target, format, quality)
        except Exception as error:  # carried to the thread that made the bands
            failed.append(error)
        finally:
            stopped.set()

    def put(content: bytes | None) -> None:
        while not stopped.is_set():
            try:
                waiting.put(content, timeout=0.2)
                return
            except queue.Full:
                continue

    # A thread of its own, so that Ctrl-C is heeded while libvips works.
    encoder = threading.Thread(target=encode, name="encode", daemon=True)
    encoder.start()
    try:
        for content in _as_png(bands, photo):
            put(content)
            if stopped.is_set():
                break
    finally:
        put(None)
        encoder.join()
    for error in failed:
        if isinstance(error, OSError | ImageError):
            raise error
        reason = (
            "the disk is full, or the picture too large for the format" if "write" in str(error) else _reason(error)
        )
        raise ImageError(f"the picture could not be written as {format}: {reason}", hint="Free space, or use .tif.")


def _as_png(bands: Iterator[tuple[int, Part]], photo: StreamedRaster) -> Iterator[bytes]:
    """Write bands as a PNG that is not compressed: what libvips reads while it comes, and holds 16 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))
        )

    width, height = photo.size
    stored = zlib.compressobj(0)
    truecolour = 2
    header = struct.pack(">IIBBBBB", width, height, 16 if photo.deep else 8, truecolour, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    for _, band in bands:
        rows = (band.astype(">u2") if photo.deep else band).reshape(len(band), -1).view(np.uint8)
        filters = np.zeros((len(rows), 1), np.uint8)
        yield chunk(b"IDAT", stored.compress(np.concatenate([filters, rows], axis=1).tobytes()))
    yield chunk(b"IDAT", stored.flush()) + chunk(b"IEND", b"")


class _Stream:
    """Bytes that come in pieces, for a reader that wants them in others."""

    def __init__(self, waiting: queue.Queue[bytes | None]) -> None:
        self._waiting, self._left = waiting, memoryview(b"")
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return at most so many bytes; none at the end."""
        if not self._left and not self._ended:
            content = self._waiting.get()
            self._ended = content is None
            self._left = memoryview(content or b"")
        given, self._left = self._left[:size], self._left[size:]
        return bytes(given)


def _encode(stream: _Stream, photo: StreamedRaster, target: Path, format: str, quality: int) -> None:
    import pyvips

    source = pyvips.SourceCustom()
    source.on_read(stream.read)
    image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")
    image = image.copy(xres=photo.image.xres, yres=photo.image.yres, interpretation="rgb16" if photo.deep else "srgb")
    fields = photo.image.get_fields()
    if _PROFILE in fields:
        image.set_type(pyvips.GValue.blob_type, _PROFILE, photo.image.get(_PROFILE))
    if _EXIF in fields:
        # What was turned upright must not be turned again.
        with contextlib.suppress(Exception):  # a damaged record is left out, as it is from photos in memory
            exif = Image.Exif()
            exif.load(photo.image.get(_EXIF))
            exif.pop(ExifTags.Base.Orientation, None)
            image.set_type(pyvips.GValue.blob_type, _EXIF, exif.tobytes())
    if photo.alpha is not None:
        image = image.bandjoin(photo.alpha)
    if format == "PNG":
        image.pngsave(str(target), compression=3, filter="none" if photo.deep else "all")
    elif format == "TIFF":
        image.tiffsave(
            str(target), compression="deflate", predictor="horizontal", bigtiff=image.width * image.height > 2**28
        )
    else:
        image = (image >> 8).cast("uchar").copy(interpretation="srgb") if photo.deep else image
        if format == "JPEG":
            image.jpegsave(str(target), Q=quality, background=[255, 255, 255])
        else:
            image.webpsave(str(target), Q=quality)


def _resized(image: Any, size: tuple[int, int]) -> Any:
    if (image.width, image.height) == size:
        return image
    return image.resize(size[0] / image.width, vscale=size[1] / image.height, kernel="lanczos3").crop(0, 0, *size)


class _failing:  # it is used as a function
    """Turn libvips's errors within the block into ours."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise ImageError for an error of libvips."""
        if error is not None and type(error).__module__.startswith("pyvips"):
            raise ImageError(f"{self._what}: the file is damaged ({_reason(error)})") from error


def _reason(error: BaseException) -> str:
    """The last line of what libvips says."""
    return ([line for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1].strip()
