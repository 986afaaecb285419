"""EXIF: whatever a photo's says, the photo is read, and what is sound in it reaches the picture."""

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from fast_style.images import load_image, save_image

# Pillow says in warnings which values it finds odd.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

EXIF, GPS, MAKE, ARTIST, ORIENTATION, XMP = 34665, 34853, 271, 315, 274, 700
Value = tuple[int, int, bytes]  # type, count, bytes
Groups = Mapping[int, Mapping[int, Value]]  # by pointer; 0 is the first directory
SOUND: dict[int, dict[int, Value]] = {
    0: {MAKE: (2, 7, b"Camera\0"), ARTIST: (2, 4, b"Ann\0")},
    EXIF: {33434: (5, 1, struct.pack("<LL", 1, 60))},
    GPS: {1: (2, 2, b"N\0"), 2: (5, 3, struct.pack("<6L", 52, 1, 30, 1, 0, 1))},
}
# One and three values of each type that TIFF and BigTIFF have, the smallest, the largest and one between.
FORMATS = {1: "B", 2: "B", 3: "H", 4: "L", 5: "LL", 6: "b", 7: "B", 8: "h", 9: "l", 10: "ll", 11: "f", 12: "d", 13: "L"}
FORMATS |= {16: "Q", 17: "q", 18: "Q", 129: "B", 999: "L"}


def ends(letter: str) -> tuple[float, float]:
    if letter in "fd":
        return float("-inf"), float("nan")
    bits = 8 * struct.calcsize(f"={letter}")
    return (0, 2**bits - 1) if letter.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def awkward(kind: int) -> list[Value]:
    format = FORMATS[kind]
    low, high = ends(format[0])
    numbers = len(format)
    values: list[list[float]] = [[low] * numbers, [high] * numbers, list[float]([3, 0][:numbers]), [40] * numbers]
    single: list[Value] = [(kind, 1, struct.pack(f"<{format}", *each)) for each in values]
    many: Value = (kind, 3, struct.pack(f"<{3 * format}", *values[1], *values[0], *values[3]))
    return [*single, many, (kind, 0, b""), (kind, 2**31, b"\xff\xff\xff\xff")]


def directory(entries: Mapping[int, Value], at: int) -> bytes:
    """A directory that lies at a place, and its values behind it."""
    head, values = struct.pack("<H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<L", behind + len(values))
        head += struct.pack("<HHL", tag, kind, count) + field
        values += value if len(value) > 4 else b""
    return head + bytes(4) + values


def record(groups: Groups, pixels: bytes = b"") -> bytes:
    """A TIFF structure: Exif and GPS, then the first directory, then the pixels."""
    blocks, first = b"", dict(groups.get(0, {}))
    for group in (EXIF, GPS):
        if group in groups:
            first[group] = long(8 + len(blocks))
            blocks += directory(groups[group], 8 + len(blocks))
    start = 8 + len(blocks)
    if pixels:
        first[273] = long(start + len(directory({**first, 273: long(0)}, start)))
    return b"II*\0" + struct.pack("<L", start) + blocks + directory(first, start) + pixels


def long(value: int) -> Value:
    return 4, 1, struct.pack("<L", value)


UPRIGHT = np.zeros((24, 16, 3), np.uint8)
UPRIGHT[:8, :8] = (250, 40, 40)
LYING = np.ascontiguousarray(np.rot90(UPRIGHT))  # orientation 6 turns it upright


def photo(path: Path, groups: Groups) -> Path:
    """Write a photo that lies on its side and has that EXIF."""
    first = {**groups.get(0, {}), ORIENTATION: (3, 1, struct.pack("<H", 6))}
    if path.suffix == ".tif":
        numbers = {256: 24, 257: 16, 259: 1, 262: 2, 277: 3, 278: 16, 279: LYING.size}
        first |= {tag: long(number) for tag, number in numbers.items()}
        first[258] = (3, 3, struct.pack("<3H", 8, 8, 8))
        path.write_bytes(record({**groups, 0: first}, LYING.tobytes()))
        return path
    content = record({**groups, 0: first})
    if path.suffix == ".jpg":
        buffer = io.BytesIO()
        Image.fromarray(LYING).save(buffer, "JPEG", quality=100, subsampling=0)
        marker = b"\xff\xe1" + struct.pack(">H", len(content) + 8) + b"Exif\0\0" + content
        path.write_bytes(buffer.getvalue()[:2] + marker + buffer.getvalue()[2:])
    else:
        Image.fromarray(LYING).save(path, exif=b"Exif\0\0" + content, lossless=True)
    return path


TAGS = {0: {*ExifTags.Base}, EXIF: {*ExifTags.Base}, GPS: {*ExifTags.GPS}}
# Pillow opens no JPEG whose horizontal resolution is a single byte.
TAGS = {group: {int(tag) for tag in tags} - {EXIF, GPS, 40965, ORIENTATION, 282} for group, tags in TAGS.items()}


def check_result(path: Path) -> None:
    """It is upright, and the sound tags are there."""
    with Image.open(path) as image:
        assert (image.size, image.mode) == ((16, 24), "RGB")
        np.testing.assert_allclose(np.asarray(image), UPRIGHT, atol=70 if path.suffix in {".jpg", ".webp"} else 6)
        exif = image.getexif()
        assert exif[MAKE] == "Camera"
        assert ORIENTATION not in exif
        assert float(exif.get_ifd(EXIF)[33434]) == pytest.approx(1 / 60)
        assert [float(each) for each in exif.get_ifd(GPS)[2]] == [52, 30, 0]
    np.testing.assert_allclose(load_image(path).pixels, UPRIGHT, atol=70)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("source", ["in.jpg", "in.png", "in.webp", "in.tif"])
def test_any_tag_may_have_a_value_of_any_type(tmp_path: Path, source: str, kind: int) -> None:
    for value in awkward(kind):
        check_tags(tmp_path, source, value)


def check_tags(folder: Path, source: str, value: Value) -> None:
    """Give all tags that value."""
    groups = {group: {**dict.fromkeys(tags, value), **SOUND[group]} for group, tags in TAGS.items()}
    if source == "in.tif":  # where others describe the file
        groups[0] = {
            **dict.fromkeys((270, 272, 305, 306, 315, 316, XMP, 33432, 36867, 40091), value),
            MAKE: SOUND[0][MAKE],
        }
    picture = load_image(photo(folder / source, groups))
    np.testing.assert_allclose(picture.pixels, UPRIGHT, atol=6)
    for suffix in ("png", "jpg", "webp", "tif"):
        save_image(picture, folder / f"out.{suffix}", quality=100)
        check_result(folder / f"out.{suffix}")


@pytest.mark.parametrize("pointer", [EXIF, GPS, 40965, 330])
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("source", ["in.jpg", "in.png", "in.tif"])
def test_pointers_may_lead_anywhere(tmp_path: Path, source: str, kind: int, pointer: int) -> None:
    for value in awkward(kind):
        picture = load_image(photo(tmp_path / source, {0: {**SOUND[0], pointer: value}}))
        np.testing.assert_allclose(picture.pixels, UPRIGHT, atol=6)
        for suffix in ("png", "tif"):
            save_image(picture, tmp_path / f"out.{suffix}")


@pytest.mark.parametrize("target", ["out.png", "out.jpg", "out.webp", "out.tif"])
@pytest.mark.parametrize("source", ["in.jpg", "in.png", "in.webp", "in.tif"])
def test_sound_exif_goes_from_each_format_to_each(tmp_path: Path, source: str, target: str) -> None:
    save_image(load_image(photo(tmp_path / source, SOUND)), tmp_path / target, quality=100)
    check_result(tmp_path / target)
    with Image.open(tmp_path / target) as image:
        assert image.getexif()[ARTIST] == "Ann"


def test_a_place_that_no_file_has_is_damage_to_the_record_only(tmp_path: Path) -> None:
    head = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16)
    fields = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1)]
    fields += [(273, 4, 1, 400), (278, 4, 1, 16), (279, 4, 1, 256), (EXIF, 16, 1, 2**50)]
    entries = b"".join(struct.pack("<HHQQ", *each) for each in sorted(fields))
    content = (head + struct.pack("<Q", len(fields)) + entries + bytes(8)).ljust(400, b"\0") + bytes(256)
    (tmp_path / "photo.tif").write_bytes(content)
    assert load_image(tmp_path / "photo.tif").size == (16, 16)
