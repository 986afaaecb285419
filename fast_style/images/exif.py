"""EXIF, copied from a photo to its picture.

Values are copied byte for byte, whatever their types. Pillow would encode each again by its table of types,
and drops the whole record for a value that does not fit: a negative GPS altitude, a resolution that is text.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from typing import IO

from PIL import ImageFile

_EXIF, _GPS, _INTEROP = 34665, 34853, 40965
# Directories, and the directory that points to each; 0 is the first directory of a file.
_PARENTS = {_EXIF: 0, _GPS: 0, _INTEROP: _EXIF}

# Bytes of a value of each type that EXIF 3.0 has (section 4.6.2). UTF-8 is type 129.
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
# Types that pointers to directories have: LONG and IFD.
_LONG, _POINTERS = 4, frozenset({4, 13})

# Orientation, as the picture is upright, and places in the file that was read: strips, tiles, thumbnails, directories.
_LEFT_OUT = frozenset({273, 274, 279, 288, 289, 324, 325, 330, 513, 514})
# Tags of a TIFF's first directory that tell of the picture and not of the file: title, camera, software, date, author,
# rating, copyright, Windows' own and the date of exposure. All others are left out.
_DESCRIBING = frozenset({*range(269, 273), 285, 305, 306, 315, 316, 18246, 18249, 33432, 36867, 36868})
_DESCRIBING |= frozenset(range(40091, 40096))

# A JPEG's record ends at 65,533 bytes, with its header and the heads of four directories.
_LARGEST = 65_000

# Types and bytes by directory and tag.
_Tags = Mapping[tuple[int, int], tuple[int, bytes]]


def read_exif(image: ImageFile.ImageFile) -> bytes | None:
    """Read the EXIF of a picture that was opened and not yet loaded, as a record that JPEG, PNG and WebP can hold.

    Orientation and the thumbnail are left out, then the largest values beyond 65,000 bytes. Of a TIFF's own tags, those
    that describe the picture are taken.
    """
    file = image.fp if image.format == "TIFF" else io.BytesIO(_record(image))
    if file is None:
        return None
    file.seek(0)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None or len(head) < 8:
        return None
    tags = _read_tags(file, order, struct.unpack(f"{order}L", head[4:])[0])
    if image.format == "TIFF":
        tags = {key: value for key, value in tags.items() if key[0] or key[1] in _DESCRIBING}
    if not tags:
        return None
    return b"Exif\0\0" + head[:4] + struct.pack(f"{order}L", 8) + _lay_out(tags, order, at=8)


def _record(image: ImageFile.ImageFile) -> bytes:
    """The record of a JPEG, PNG or WebP, without the mark before it."""
    record = image.info.get("exif", b"")
    if not record and (text := image.info.get("Raw profile type exif")):  # ImageMagick's way in PNG
        with contextlib.suppress(ValueError):
            record = bytes.fromhex("".join(text.split("\n")[3:]))
    while record.startswith(b"Exif\0\0"):  # some files have it twice
        record = record[6:]
    return bytes(record)


def _read_tags(file: IO[bytes], order: str, first: int) -> _Tags:
    """Read the values of all directories; the largest are left out if there are too many bytes, and what is damaged."""
    places: dict[tuple[int, int], tuple[int, int, bytes]] = {}
    groups = {0: first}
    for group in (0, *_PARENTS):
        if group not in groups:
            continue
        file.seek(groups[group])
        count = int.from_bytes(file.read(2), "little" if order == "<" else "big")
        entries = file.read(12 * min(count, _LARGEST // 12))
        for tag, kind, count, field in struct.iter_unpack(f"{order}HHL4s", entries[: len(entries) // 12 * 12]):
            if tag in _PARENTS:
                if group == _PARENTS[tag] and kind in _POINTERS and count == 1:
                    groups[tag] = struct.unpack(f"{order}L", field)[0]
            elif kind in _WIDTHS and not (group == 0 and tag in _LEFT_OUT):
                places[group, tag] = (count * _WIDTHS[kind], kind, field)
    left = _LARGEST
    tags: dict[tuple[int, int], tuple[int, bytes]] = {}
    for key, (size, kind, field) in sorted(places.items(), key=lambda item: item[1][0]):
        left -= size + 13  # its entry, and what makes it even
        if left < 0:
            break
        data = field[:size]
        if size > 4:
            file.seek(struct.unpack(f"{order}L", field)[0])
            data = file.read(size)
        if len(data) == size > 0:
            tags[key] = (kind, data)
    return tags


def _lay_out(tags: _Tags, order: str, *, at: int, group: int = 0) -> bytes:
    """Lay out a directory that will be at that place, and those that it points to."""
    children = {tag for tag, parent in _PARENTS.items() if parent == group and any(tag == key[0] for key in tags)}
    numbers = sorted({*children, *(tag for parent, tag in tags if parent == group)})
    start = at + 2 + 12 * len(numbers) + 4
    entries = body = b""
    for tag in numbers:
        place = struct.pack(f"{order}L", start + len(body))
        if tag in children:
            body += _lay_out(tags, order, at=start + len(body), group=tag)
            entries += struct.pack(f"{order}HHL4s", tag, _LONG, 1, place)
            continue
        kind, data = tags[group, tag]
        field = place if len(data) > 4 else data.ljust(4, b"\0")
        body += data + b"\0" * (len(data) % 2) if len(data) > 4 else b""
        entries += struct.pack(f"{order}HHL4s", tag, kind, len(data) // _WIDTHS[kind], field)
    return struct.pack(f"{order}H", len(numbers)) + entries + bytes(4) + body
