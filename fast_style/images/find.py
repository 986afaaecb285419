"""Which files are pictures: by their suffixes."""

import math
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fast_style.errors import DatasetError
from fast_style.extras import install_command, is_installed

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = HEIC_SUFFIXES | {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".gif", ".pbm", ".pgm", ".pnm", ".ppm"}

# A photo of each kind, for trainings without photos of one's own; what they are is said in the folder.
INCLUDED = Path(__file__).parent / "included"


@dataclass
class Search:
    """What a folder holds at any depth; hidden files and folders are left out.

    Attributes:
        photos: Pictures that can be read, by their suffixes in any case, sorted.
        folders: The folder and those in it, each once.
        unreadable: How many folders and files may not be looked at.
        others: How many files have another suffix, by suffix, in lower case.
        whole: Whether there was time for all of it.
    """

    photos: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    unreadable: int = 0
    others: Counter[str] = field(default_factory=Counter)
    whole: bool = True


def search(folder: Path, *, seconds: float = math.inf) -> Search:
    """Look through a folder and the links in it, each folder once; it has its own path rather than that of a link.

    After so many ``seconds``, what was found by then is returned.
    """
    until = time.monotonic() + seconds
    readable = SUFFIXES if is_installed("heic") else SUFFIXES - HEIC_SUFFIXES
    result, seen, waiting, links = Search(), set[tuple[int, int]](), [folder], list[Path]()
    while waiting or links:
        path = waiting.pop() if waiting else links.pop(0)
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            result.unreadable += 1
            continue
        result.folders.append(path)
        if time.monotonic() > until:
            result.whole = False
            break
        for entry in inside:
            if entry.name.startswith("."):
                continue
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:
                result.unreadable += 1
                continue
            file = path / entry.name
            if is_folder:
                (links if entry.is_symlink() else waiting).append(file)
            elif is_file and (suffix := file.suffix.lower()) in readable:
                result.photos.append(file)
            elif is_file:
                result.others[suffix] += 1
    result.photos.sort()
    return result


def find_images(folder: Path) -> list[Path]:
    """List the pictures under a folder: see :func:`search`."""
    return search(folder).photos


def find_photos(folder: Path) -> list[Path]:
    """List the pictures under a folder that must contain some: see :func:`search`.

    Raises:
        DatasetError: It is not a folder, or contains no pictures.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of photos")
    content = search(folder)
    check_photos(folder, content)
    return content.photos


def check_photos(folder: Path, content: Search) -> None:
    """Raise DatasetError for a folder without photos."""
    if content.photos:
        return
    hint = "Supported: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF."
    if heic := sum(content.others[suffix] for suffix in HEIC_SUFFIXES):
        hint = f"It holds {heic} HEIC: {install_command('heic')}"
    elif content.unreadable:
        hint = f"{content.unreadable} of what it holds, or itself, may not be read: look at the permissions."
    raise DatasetError(f"{folder} holds no photos", hint=hint)
