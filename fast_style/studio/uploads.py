"""What comes from the browser: measured while it streams in, looked at before it is kept, named anew."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from fast_style.errors import FileError, InputError, VideoError
from fast_style.files import replacing
from fast_style.images import MAX_PIXELS, SUFFIXES, fit, load_image, read_header, save_image

MIB = 2**20
MOST_BYTES = {"painting": 100 * MIB, "photo": 100 * MIB, "frame": 4 * MIB, "zip": 4096 * MIB, "film": 2048 * MIB}
# What an archive may hold. Photos hardly shrink in one, so what shrinks so much is a bomb.
MOST_MEMBERS = 50_000
MOST_UNPACKED = 8192 * MIB
MOST_RATIO = 100
_RATIO_FROM = 16 * MIB
_CHUNK = MIB
_SPARE = 64 * MIB
_PREVIEW_SIZE = 960
# A picture's suffix, by Pillow's name of its format.
_SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
_SUFFIX |= {"AVIF": ".avif", "HEIF": ".heic"}
# The first bytes of films. FFmpeg would also read playlists, which name other files.
_FILMS = ((4, b"ftyp", ".mp4"), (0, b"\x1a\x45\xdf\xa3", ".mkv"), (8, b"AVI ", ".avi"), (0, b"GIF8", ".gif"))
_COUNT_SECONDS = 0.5


async def receive(stream: AsyncIterator[bytes], target: Path, kind: str, length: str | None) -> None:
    """Write a request's body to a file, and stop where it grows too large.

    Raises:
        InputError: It is empty, or larger than its kind may be.
        FileError: The disk is full.
    """
    most = MOST_BYTES[kind]
    if length is not None and length.isdigit() and int(length) > most:
        raise _too_large(kind)
    size = 0
    with replacing(target) as partial, partial.open("wb") as file:
        async for chunk in stream:
            size += len(chunk)
            if size > most:
                raise _too_large(kind)
            file.write(chunk)
    if not size:
        target.unlink()
        raise InputError("the file is empty", hint="Choose another file.")


def _too_large(kind: str) -> InputError:
    return InputError(
        f"the file is too large; a {kind} may have {MOST_BYTES[kind] // MIB} MB", hint="Choose a smaller file."
    )


def keep_picture(path: Path, folder: Path, shown_as: str) -> dict[str, Any]:
    """Look at an uploaded picture, keep it under a random name, and a small copy beside it for the page.

    Args:
        path: What was received; it is moved.
        folder: Where to.
        shown_as: What its owner calls it, for messages only.

    Raises:
        ImageError: It is not a picture, or it is damaged or too large.
        FileError: The disk is full.
    """
    preview = folder / f"{secrets.token_hex(16)}.jpg"
    try:
        header = read_header(path)
        picture = load_image(path, opaque=True)
        suffix = _SUFFIX.get(header.format if header else "")
        save_image(fit(picture, _PREVIEW_SIZE), preview)
        original = folder / f"{secrets.token_hex(16)}{suffix or '.png'}"
        if suffix is None:  # GIF and PPM, which a training does not take for paintings
            save_image(picture, original)
        else:
            path.replace(original)
    except InputError as error:
        preview.unlink(missing_ok=True)
        raise type(error)(str(error).replace(str(path), shown_as), hint=error.hint) from error
    finally:
        path.unlink(missing_ok=True)
    width, height = picture.size
    return {"id": original.name, "preview": preview.name, "width": width, "height": height}


def keep_film(path: Path, folder: Path) -> Path:
    """Look at the first bytes of an uploaded film and keep it under a random name.

    Raises:
        VideoError: It is not a film of a kind that browsers and cameras make.
    """
    with path.open("rb") as file:
        start = file.read(16)
    for offset, magic, suffix in _FILMS:
        if start[offset : offset + len(magic)] == magic:
            return path.replace(folder / f"{secrets.token_hex(16)}{suffix}")
    path.unlink()
    raise VideoError("this is not a film that can be read", hint="MP4, MOV, MKV, WebM, AVI and GIF are.")


def unpack_photos(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpack the photos of a zip file into a new folder, under numbers.

    Nothing is written under a name from the archive, and a picture that cannot be read is left out.

    Args:
        archive: The file; it is deleted.
        folder: In which the new folder is made.

    Returns:
        ``id``: the new folder's name, ``photos``: how many it holds, ``skipped``: how many could not be used.

    Raises:
        InputError: It is not a zip file, is damaged or hostile, or holds no photos.
        FileError: The disk is full.
    """
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _check_members(opened.infolist())
            if sum(member.file_size for member in members) + _SPARE > shutil.disk_usage(folder).free:
                raise FileError("cannot unpack the photos: the disk is full", hint="Make room, or give fewer photos.")
            kept = sum(_unpack(opened, member, temporary, number) for number, member in enumerate(members))
        if not kept:
            raise InputError(
                "the zip file holds no photos that can be read", hint="JPEG, PNG, WebP, AVIF, HEIC, BMP and TIFF are."
            )
        identity = secrets.token_hex(16)
        temporary.rename(folder / identity)
        return {"id": identity, "photos": kept, "skipped": len(members) - kept}
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(
            f"this is not a zip file that can be read ({error})", hint="Make the zip file again."
        ) from error
    except OSError as error:
        raise FileError(f"cannot unpack the photos: {error.strerror}", hint="Make room on the disk.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _check_members(members: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Refuse an archive that wants out of its folder or to fill the disk; return the members that may be photos."""
    refused = "the zip file is refused: "
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{refused}it holds {len(members)} files; at most {MOST_MEMBERS} are read")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ":" in name.split("/")[0] or ".." in PurePosixPath(name).parts:
            raise InputError(f"{refused}the path {member.filename!r} leads out of it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(f"{refused}{member.filename!r} is a link")
        if member.flag_bits & 1:
            raise InputError(f"{refused}it is locked with a password", hint="Make one without.")
    total, packed = sum(member.file_size for member in members), sum(member.compress_size for member in members)
    if total > MOST_UNPACKED:
        raise InputError(f"{refused}it would unpack to {total // MIB} MB; at most {MOST_UNPACKED // MIB} are taken")
    if total > _RATIO_FROM and total > MOST_RATIO * max(packed, 1):
        raise InputError(f"{refused}it would grow to {total // max(packed, 1)} times its size, as no photos do")
    return [
        member
        for member in members
        if PurePosixPath(member.filename).suffix.lower() in SUFFIXES
        and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member.filename).parts)
        and not member.is_dir()
    ]


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, number: int) -> bool:
    """Write one photo; return whether it can be used."""
    if member.file_size > MOST_BYTES["photo"]:
        return False
    target = folder / f"{number:06d}{PurePosixPath(member.filename).suffix.lower()}"
    try:
        # The archive's figures may lie: zipfile itself reads no more than they say, and then misses the checksum.
        with opened.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _CHUNK)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        target.unlink(missing_ok=True)
        return False
    header = read_header(target)
    if header is None or header.pixels(None) > MAX_PIXELS:
        target.unlink()
        return False
    return True


def list_folder(roots: list[Path], asked: str) -> dict[str, Any]:
    """List a folder's folders, and count the photos in it, for choosing one.

    Args:
        roots: Only these and what is in them may be looked at.
        asked: An absolute path, or nothing for the first root.

    Raises:
        InputError: It is outside, or not a folder.
    """
    path = check_folder(roots, asked) if asked else roots[0]
    try:
        inside = sorted(
            entry.name
            for entry in os.scandir(path)
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
        )
    except OSError as error:
        raise InputError(f"{path} cannot be looked into: {error.strerror}", hint="Choose another folder.") from error
    photos, whole = _count_photos(path)
    up = str(path.parent) if path not in roots else None
    return {"path": str(path), "up": up, "folders": inside, "photos": photos, "more": not whole}


def check_folder(roots: list[Path], asked: str) -> Path:
    """Resolve a folder of photos that may be used.

    Raises:
        InputError: It is outside of the roots, or not a folder.
    """
    refused = InputError(
        f"{asked} is not a folder that the studio may read",
        hint=f"It reads {', '.join(map(str, roots))}; 'fast-style studio --photos FOLDER' names others.",
    )
    if "\0" in asked:
        raise refused
    path = Path(asked).resolve()
    if not any(path.is_relative_to(root) for root in roots) or not path.is_dir():
        raise refused
    return path


def _count_photos(folder: Path) -> tuple[int, bool]:
    """How many photos a folder holds at any depth, and whether there was time to count them all."""
    until, found = time.monotonic() + _COUNT_SECONDS, 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += sum(Path(name).suffix.lower() in SUFFIXES and not name.startswith(".") for name in files)
        if time.monotonic() > until:
            return found, False
    return found, True
