"""EXIF, copied from a photo to its picture.

Values are copied byte for byte, whatever their types. Pillow would encode each again by its table of types,
and drops the whole record for a value that does not fit: a negative GPS altitude, a resolution that is text.
"""

import contextlib
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ImageFile

_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
# Directories, and the directory that points to each; 0 is the first directory of a file.
_PARENTS = {_EXIF: 0, _GPS: 0, _INTEROP: _EXIF}

# Bytes of a number in each type that EXIF 3.0 has (section 4.6.2), and numbers in a value. UTF-8 is type 129.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 129: 1}
_RATIONALS = frozenset({5, 10})
# Types that pointers to directories have: LONG, IFD, and those of BigTIFF.
_POINTERS = {4: "L", 13: "L", 16: "Q", 18: "Q"}

# Orientation, as the picture is upright, and places in the file that was read: strips, tiles, thumbnails, directories.
_LEFT_OUT = frozenset({273, 274, 279, 288, 289, 324, 325, 330, 513, 514})
# Tags of a TIFF's first directory that tell of the picture and not of the file: title, camera, software, date, author,
# rating, copyright, Windows' own and the date of exposure. All others go neither in nor out.
_DESCRIBING = frozenset({*range(269, 273), 285, 305, 306, 315, 316, 18246, 18249, 33432, 36867, 36868})
_DESCRIBING |= frozenset(range(40091, 40096))

# A JPEG's record ends at 65,533 bytes, with its header and the heads of four directories.
_LARGEST = 65_000

# Types and bytes by directory and tag.
_Tags = Mapping[tuple[int, int], tuple[int, bytes]]
# An entry of a directory: tag, type, count, and the value if it fits, else its place.
_Entry = tuple[int, int, int, bytes]


class _Layout:
    """How a TIFF structure packs its numbers: in the byte order "<" or ">", and whether it is BigTIFF."""

    def __init__(self, order: str, *, big: bool) -> None:
        self.order, self.big = order, big
        self.offset = struct.Struct(order + ("Q" if big else "L"))
        self.length = struct.Struct(order + ("Q" if big else "H"))  # of a directory
        self.entry = struct.Struct(order + ("HHQ8s" if big else "HHL4s"))


def read_exif(image: ImageFile.ImageFile) -> bytes | None:
    """Read the EXIF of a picture that was opened and not yet loaded, as a record that JPEG, PNG and WebP can hold.

    Orientation and the thumbnail are left out, then the largest values beyond 65,000 bytes. Of a TIFF's own tags, those
    that describe the picture are taken.
    """
    tiff = image.format == "TIFF"
    file = image.fp if tiff else io.BytesIO(_record(image))
    if file is None or (head := _read_head(file)) is None:
        return None
    layout, first = head
    tags = _read_tags(file, layout, first)
    if tiff:
        tags = {key: value for key, value in tags.items() if key[0] or key[1] in _DESCRIBING}
    if not tags:
        return None
    order = layout.order
    start = struct.pack(f"{order}2sHL", b"II" if order == "<" else b"MM", 42, 8)
    return b"Exif\0\0" + start + _lay_out(tags, order, _Layout(order, big=False), at=8)


def add_exif(path: Path, record: bytes) -> None:
    """Add a record of :func:`read_exif` to a TIFF file, whose own tags stay.

    The file gets a new first directory at its end. Pillow writes no Exif and GPS parts into a compressed TIFF, and
    libvips no EXIF at all.
    """
    source = io.BytesIO(record.removeprefix(b"Exif\0\0"))
    head = _read_head(source)
    with path.open("r+b") as file:
        target = _read_head(file)
        if head is None or target is None:
            return
        layout, first = target
        own = {entry[0]: entry for entry in _entries(file, layout, first)}
        tags = {
            (group, tag): value
            for (group, tag), value in _read_tags(source, *head).items()
            if group or (tag in _DESCRIBING and tag not in own)
        }
        end = file.seek(0, io.SEEK_END)
        end += file.write(b"\0" * (end % 2))
        if end + 2 * _LARGEST > 2**32 and not layout.big:  # beyond the offsets of a plain TIFF
            return
        file.write(_lay_out(tags, head[0].order, layout, at=end, own=own))
        file.seek(8 if layout.big else 4)
        file.write(layout.offset.pack(end))


def _record(image: ImageFile.ImageFile) -> bytes:
    """The record of a JPEG, PNG, WebP, AVIF or HEIC, without the mark before it."""
    record = image.info.get("exif")
    if not isinstance(record, bytes):  # of a HEIC, None
        record = b""
    if not record and (text := image.info.get("Raw profile type exif")):  # ImageMagick's way in PNG
        with contextlib.suppress(ValueError):
            record = bytes.fromhex("".join(text.split("\n")[3:]))
    while record.startswith(b"Exif\0\0"):  # some files have it twice
        record = record[6:]
    return bytes(record)


def _read_head(file: IO[bytes]) -> tuple[_Layout, int] | None:
    """How a TIFF structure is laid out, and where its first directory is."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return None
    (version,) = struct.unpack(f"{order}H", head[2:4])
    layout = _Layout(order, big=version == 43)
    word = layout.offset.size
    if version not in {42, 43} or len(head) < 2 * word:
        return None
    return layout, layout.offset.unpack_from(head, word)[0]


def _entries(file: IO[bytes], layout: _Layout, at: int) -> list[_Entry]:
    """Read the entries of a directory, as far as it goes."""
    head = _bytes_at(file, at, layout.length.size)
    if len(head) < layout.length.size:
        return []
    size = layout.entry.size
    entries = file.read(min(layout.length.unpack(head)[0], _LARGEST // size) * size)
    return list(layout.entry.iter_unpack(entries[: len(entries) // size * size]))


def _bytes_at(file: IO[bytes], place: int, size: int) -> bytes:
    """Read so many bytes, or fewer at the end of the file; none from a place that no file of the system has."""
    with contextlib.suppress(OSError, OverflowError):
        file.seek(place)
        return file.read(size)
    return b""


def _read_tags(file: IO[bytes], layout: _Layout, first: int) -> _Tags:
    """Read the values of all directories; the largest are left out if there are too many bytes, and what is damaged."""
    places: dict[tuple[int, int], tuple[int, int, bytes]] = {}
    groups = {0: first}
    for group in (0, *_PARENTS):
        for tag, kind, count, field in _entries(file, layout, groups[group]) if group in groups else ():
            if tag in _PARENTS:
                format = layout.order + _POINTERS.get(kind, "")
                fits = kind in _POINTERS and struct.calcsize(format) <= len(field)
                if fits and count == 1 and group == _PARENTS[tag]:
                    (groups[tag],) = struct.unpack_from(format, field)
            elif kind in _WIDTHS and not (group == 0 and tag in _LEFT_OUT):
                size = count * _WIDTHS[kind] * (2 if kind in _RATIONALS else 1)
                places[group, tag] = (size, kind, field)
    left = _LARGEST
    tags: dict[tuple[int, int], tuple[int, bytes]] = {}
    for key, (size, kind, field) in sorted(places.items(), key=lambda item: item[1][0]):
        left -= size + 13  # its entry, and what makes it even
        if left < 0:
            break
        data = field[:size]
        if size > len(field):
            data = _bytes_at(file, layout.offset.unpack(field)[0], size)
        if len(data) == size > 0:
            tags[key] = (kind, data)
    return tags


def _lay_out(
    tags: _Tags, order: str, layout: _Layout, *, at: int, group: int = 0, own: Mapping[int, _Entry] | None = None
) -> bytes:
    """Lay out the directory ``group``, which will be at ``at`` in the file, and those that it points to.

    ``tags`` are those of all directories, in the byte order ``order``; ``own`` are entries that it has already.
    """
    children = {tag for tag, parent in _PARENTS.items() if parent == group and any(tag == key[0] for key in tags)}
    entries = {tag: entry for tag, entry in (own or {}).items() if tag not in children}
    numbers = sorted({*entries, *children, *(tag for parent, tag in tags if parent == group)})
    word = layout.offset.size
    start = at + layout.length.size + len(numbers) * layout.entry.size + word
    body = b""
    for tag in numbers:
        if tag in entries:
            continue
        place = start + len(body)
        if tag in children:
            body += _lay_out(tags, order, layout, at=place, group=tag)
            entries[tag] = tag, 16 if layout.big else 4, 1, layout.offset.pack(place)
            continue
        kind, data = tags[group, tag]
        count = len(data) // (_WIDTHS[kind] * (2 if kind in _RATIONALS else 1))
        if order != layout.order:
            data = np.frombuffer(data, f"u{_WIDTHS[kind]}").byteswap().tobytes()
        field = data.ljust(word, b"\0")
        if len(data) > word:
            field = layout.offset.pack(place)
            body += data + b"\0" * (len(data) % 2)
        entries[tag] = tag, kind, count, field
    packed = b"".join(layout.entry.pack(*entries[tag]) for tag in numbers)
    return layout.length.pack(len(numbers)) + packed + layout.offset.pack(0) + body
