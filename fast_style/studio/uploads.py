"""What comes from the browser: measured while it streams in, looked at before it is kept, named anew."""

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fast_style.errors import InputError, VideoError
from fast_style.files import replacing
from fast_style.images import fit, load_image, read_header, save_image, search

MIB = 2**20
MOST_BYTES = {"painting": 100 * MIB, "photo": 100 * MIB, "frame": 4 * MIB, "film": 2048 * MIB}
_PREVIEW_SIZE = 960
# A picture's suffix, by Pillow's name of its format.
_SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
_SUFFIX |= {"AVIF": ".avif", "HEIF": ".heic"}
# The first bytes of films. FFmpeg would also read playlists, which name other files.
_FILMS = ((4, b"ftyp", ".mp4"), (0, b"\x1a\x45\xdf\xa3", ".mkv"), (8, b"AVI ", ".avi"), (0, b"GIF8", ".gif"))
_COUNT_SECONDS = 0.5


async def receive(stream: AsyncIterator[bytes], folder: Path, kind: str) -> Path:
    """Write a request's body to a hidden file in a folder, and stop where it grows too large.

    Raises:
        InputError: It is empty, or larger than its kind may be.
        FileError: The disk is full.
    """
    target, most, size = folder / f".{secrets.token_hex(16)}", MOST_BYTES[kind], 0
    with replacing(target) as partial, partial.open("wb") as file:
        async for chunk in stream:
            size += len(chunk)
            if size > most:
                raise InputError(
                    f"the file is too large; a {kind} may have {most // MIB} MB", hint="Choose a smaller file."
                )
            file.write(chunk)
    if not size:
        target.unlink()
        raise InputError("the file is empty", hint="Choose another file.")
    return target


def keep_picture(path: Path, shown_as: str) -> dict[str, Any]:
    """Give an uploaded picture a random name, with a small copy beside it; errors call it ``shown_as``.

    Raises:
        ImageError: It is not a picture, or it is damaged or too large.
        FileError: The disk is full.
    """
    preview = path.with_name(f"{secrets.token_hex(16)}.jpg")
    try:
        header = read_header(path)
        picture = load_image(path, opaque=True)
        suffix = _SUFFIX.get(header.format if header else "")
        save_image(fit(picture, _PREVIEW_SIZE), preview)
        original = path.with_name(f"{secrets.token_hex(16)}{suffix or '.png'}")
        if suffix is None:  # GIF and PPM, which a training does not take for paintings
            save_image(picture, original)
        else:
            path.replace(original)
    except InputError as error:
        preview.unlink(missing_ok=True)
        raise for_the_page(error, path, shown_as) from error
    finally:
        path.unlink(missing_ok=True)
    width, height = picture.size
    return {"id": original.name, "preview": preview.name, "width": width, "height": height}


def for_the_page(error: InputError, path: Path, shown_as: str) -> InputError:
    """Call an upload by its owner's name, and leave out advice for the command line."""
    hint = error.hint if error.hint and " --" not in error.hint else "Choose another picture."
    return type(error)(str(error).replace(str(path), shown_as), hint=hint)


def keep_film(path: Path) -> Path:
    """Give an uploaded film its suffix; raise VideoError if it is not of a kind that browsers and cameras make."""
    with path.open("rb") as file:
        start = file.read(16)
    for offset, magic, suffix in _FILMS:
        if start[offset : offset + len(magic)] == magic:
            return path.replace(path.with_suffix(suffix))
    path.unlink()
    raise VideoError("this is not a film that can be read", hint="MP4, MOV, MKV, WebM, AVI and GIF are.")


def list_folder(roots: list[Path], asked: str) -> dict[str, Any]:
    """List the folders in a folder, or the first root, and count its photos; errors as of :func:`check_folder`."""
    path = check_folder(roots, asked) if asked else roots[0]
    try:
        inside = sorted(
            entry.name
            for entry in os.scandir(path)
            # A name that is not UTF-8 cannot be written as JSON.
            if not entry.name.startswith(".") and entry.name.isprintable() and entry.is_dir(follow_symlinks=False)
        )
    except OSError as error:
        raise InputError(f"{path} cannot be looked into: {error.strerror}", hint="Choose another folder.") from error
    content = search(path, seconds=_COUNT_SECONDS)
    up = str(path.parent) if path not in roots else None
    return {"path": str(path), "up": up, "folders": inside, "photos": len(content.photos), "more": not content.whole}


def check_folder(roots: list[Path], asked: str) -> Path:
    """Resolve a folder of photos; raise InputError if it is outside of the roots, or not a folder."""
    path = None if "\0" in asked else Path(asked).resolve()
    if path is None or not any(path.is_relative_to(root) for root in roots) or not path.is_dir():
        raise InputError(
            f"{asked} is not a folder that the studio may read",
            hint=f"It reads {', '.join(map(str, roots))}; 'fast-style studio --photos FOLDER' names others.",
        )
    return path
