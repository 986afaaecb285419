"""Writing files whole or not at all, and refusing files of a format that came later."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fast_style.errors import FastStyleError, FileError, InputError


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path beside the target that takes its name when the block ends well, else vanishes.

    A ``durable`` file is on the disk before it takes its name, so that a power cut leaves the old one or the new.

    Raises:
        FileError: The disk is full, the folder is missing or not writable, or the target is a folder.
    """
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem[:40]}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        partial.chmod(0o666 & ~_umask())  # mkstemp's files are private; an output is an ordinary file
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        reason = {errno.ENOSPC: "the disk is full", errno.EISDIR: "it is a folder"}.get(
            error.errno or 0, error.strerror or str(error)
        )
        raise FileError(f"cannot write {target}: {reason}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def make_parent(target: Path) -> None:
    """Make the folder of a file that will be written.

    Raises:
        FileError: It cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.filename}: {error.strerror}") from error


def sweep(target: Path) -> None:
    """Remove what :func:`replacing` left beside a target in a process that was killed; none may be writing there."""
    for partial in target.parent.glob(f".{glob.escape(target.stem[:40])}-????????{glob.escape(target.suffix)}"):
        partial.unlink(missing_ok=True)


def check_new(target: Path, *, force: bool, hint: str = "Give --force to overwrite it.") -> None:
    """Raise InputError, with the hint, if a file exists and ``force`` was not given."""
    if target.exists() and not force:
        raise InputError(f"{target} exists", hint=hint)


def check_format(found: object, newest: int, path: Path, error: type[FastStyleError]) -> None:
    """Raise that error if the format that a file states is not one from 1 to ``newest``, which is written today."""
    if found not in range(1, newest + 1):
        raise error(
            f"{path} has the format {found!r}; this version of fast-style reads up to {newest}",
            hint="Update fast-style.",
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
