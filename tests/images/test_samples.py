"""Samples of 8 and 16 bits, alpha, negatives and separate planes: read rightly, or refused."""

import io
import itertools
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from fast_style.errors import ImageError
from fast_style.images import load_frames, load_image, read_header
from fast_style.stylize.streaming import open_raster, streams

HEIGHT, WIDTH = 64, 96
ACROSS = np.tile(np.linspace(0, 1, WIDTH), (HEIGHT, 1))
DOWN = np.tile(np.linspace(0, 1, HEIGHT)[:, None], (1, WIDTH))
CHANNELS = np.stack([ACROSS, ACROSS[:, ::-1], DOWN, DOWN[::-1] * 0.5], axis=-1)
ALPHA = (0.5 + 0.5 * DOWN)[..., None]

COLORS = ("minisblack", "miniswhite", "rgb", "separated")
EXTRAS = (None, "unassalpha", "assocalpha", "unspecified")
PLANES = ("contig", "separate")
COMPRESSIONS = (None, "zlib")
TILES = (None, (32, 32))
ORDERS: tuple[Literal["<", ">"], ...] = ("<", ">")


def expected(color: str, samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is seen, (H, W, 3) from 0 to 1."""
    if color == "separated":
        return (1 - samples[..., :3]) * (1 - samples[..., 3:])
    if color == "rgb":
        return samples
    return np.repeat(1 - samples if color == "miniswhite" else samples, 3, axis=-1)


def check(pixels: NDArray[Any], alpha: NDArray[Any] | None, wanted: NDArray[np.float64], extra: str | None) -> None:
    if extra == "assocalpha":
        wanted = np.clip(wanted / ALPHA, 0, 1)
    assert np.abs(pixels / np.iinfo(pixels.dtype).max - wanted).mean() * 255 < 1.5
    assert (alpha is not None) == (extra in {"unassalpha", "assocalpha"})
    if alpha is not None:
        assert np.abs(alpha / np.iinfo(alpha.dtype).max - ALPHA[..., 0]).mean() * 255 < 1.5


def must_be_read(color: str, bits: int, extra: str | None, planes: str, order: str) -> bool:
    """Whether it is a common kind; Pillow knows not all of the others."""
    if color == "rgb":
        return extra != "unspecified" or planes == "contig"
    if extra is None:
        return not (color == "miniswhite" and bits == 16 and order == ">")
    return color == "minisblack" and bits == 8 and planes == "contig"


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("planes", PLANES)
def test_a_tiff_is_read_as_it_was_written_or_refused(
    tmp_path: Path, color: str, bits: int, extra: str | None, planes: str
) -> None:
    count = {"rgb": 3, "separated": 4}.get(color, 1)
    samples = CHANNELS[..., :count]
    whole = np.round(np.concatenate([samples, ALPHA], -1) * (2**bits - 1)) if extra else samples * (2**bits - 1)
    values = np.round(whole).astype(f"u{bits // 8}")
    values = values[..., 0] if values.shape[-1] == 1 else values
    if planes == "separate" and values.ndim == 3:
        values = np.moveaxis(values, -1, 0)
    wanted = expected(color, samples)
    for compression, order, tile in itertools.product(COMPRESSIONS, ORDERS, TILES):
        tifffile.imwrite(
            path := tmp_path / "photo.tif",
            np.ascontiguousarray(values),
            photometric=color,
            planarconfig=planes if values.ndim == 3 else None,
            extrasamples=[extra] if extra else None,
            compression=compression,
            byteorder=order,
            tile=tile,
        )
        if not must_be_read(color, bits, extra, planes, order) and is_refused(path):
            continue
        picture = load_image(path)
        check(picture.pixels, picture.alpha, wanted, extra)
        header = read_header(path)
        if streams() and header is not None and header.plain and color != "separated" and extra in {None, "unassalpha"}:
            raster = open_raster(path)
            alpha = None if raster.alpha is None else np.asarray(raster.alpha.numpy())
            check(raster.read((0, 0, WIDTH, HEIGHT)), alpha, wanted, extra)


def is_refused(path: Path) -> bool:
    try:
        load_image(path)
    except ImageError as error:
        return "that can" in str(error) or "cannot be read" in str(error)
    return False


def png(rows: NDArray[Any], depth: int, kind: int, key: tuple[int, ...]) -> bytes:
    def piece(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    flat = rows.reshape(len(rows), -1)
    bits = (flat[..., None] >> np.arange(depth)[::-1] & 1).astype(np.uint8).reshape(len(rows), -1)
    body = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits)
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, kind, 0, 0, 0)
    parts = {b"IHDR": head, b"tRNS": struct.pack(f">{len(key)}H", *key), b"IDAT": zlib.compress(body), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(itertools.starmap(piece, parts.items()))


@pytest.mark.parametrize(("depth", "kind"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_the_transparent_color_of_a_png_is_compared_in_all_of_its_bits(tmp_path: Path, depth: int, kind: int) -> None:
    top = 2**depth - 1
    samples = np.round(CHANNELS[..., : 1 + kind] * top).astype(np.int64)
    key = tuple(int(value) for value in samples[5, 7])
    samples[:4, :10] = key
    samples[10:14, :10] = np.array(key) ^ 1  # as near as can be
    (tmp_path / "photo.png").write_bytes(png(samples, depth, kind, key))
    picture = load_image(tmp_path / "photo.png")
    hole = (samples == key).all(-1)
    assert np.abs(picture.pixels - samples / top * 255).mean() < 1.5
    np.testing.assert_array_equal(picture.alpha, np.where(hole, 0, 255))
    with (tmp_path / "photo.png").open("rb") as stream:
        np.testing.assert_array_equal(load_image(stream).alpha, np.where(hole, 0, 255))
    if (depth, kind) != (16, 2):  # of an animation's frames, only the upper bytes are read
        ((frame, _),) = load_frames(tmp_path / "photo.png")
        np.testing.assert_array_equal(frame.alpha, np.where(hole, 0, 255))


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "u4", "f4"])
def test_samples_without_a_defined_range_are_refused(kind: str) -> None:
    tifffile.imwrite(file := io.BytesIO(), (ACROSS * 100).astype(kind), photometric="minisblack")
    file.seek(0)
    with pytest.raises(ImageError, match="range is not defined"):
        load_image(file)


def test_gray_with_alpha_that_is_multiplied_already_is_read(tmp_path: Path) -> None:
    gray = np.concatenate([CHANNELS[..., :1] * ALPHA, ALPHA], -1)
    values = np.round(gray * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", extrasamples=["assocalpha"])
    picture = load_image(tmp_path / "a.tif")
    check(picture.pixels, picture.alpha, np.repeat(ACROSS[..., None] * ALPHA, 3, -1), "assocalpha")


def test_sixteen_bits_from_ppm_use_the_whole_range() -> None:
    values = np.round(ACROSS * 65535).astype(">u2").tobytes()
    picture = load_image(io.BytesIO(b"P5 96 64 65535\n" + values))
    check(picture.pixels, picture.alpha, np.repeat(ACROSS[..., None], 3, -1), None)


def test_a_mistake_of_ours_is_not_called_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")

    def mistaken(*_: object) -> None:
        raise TypeError("mistake")

    monkeypatch.setattr("fast_style.images.load._decode", mistaken)
    with pytest.raises(TypeError, match="mistake"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_libtiff_prints_nothing_about_a_damaged_file(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray((CHANNELS[..., :3] * 255).astype(np.uint8)).save(tmp_path / "a.tif", compression=compression)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content[start : start + length] = bytes([255]) * length
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ImageError, match="damaged"):
        load_image(tmp_path / "a.tif")
    assert capfd.readouterr().err == ""
