"""Which files are pictures: by their suffixes."""

from __future__ import annotations

from pathlib import Path

from fast_style.errors import DatasetError

HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = HEIC_SUFFIXES | {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".tif", ".tiff"}


def find_images(folder: Path) -> list[Path]:
    """List the pictures under a folder, at any depth and with any case of suffix, sorted; hidden ones left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def find_photos(folder: Path) -> list[Path]:
    """List the pictures under a folder that must contain some: see :func:`find_images`.

    Raises:
        DatasetError: It is not a folder, or contains no pictures.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of photos")
    if not (photos := find_images(folder)):
        raise DatasetError(f"{folder} holds no photos", hint="Supported: JPEG, PNG, WebP, AVIF, HEIC, BMP and TIFF.")
    return photos
