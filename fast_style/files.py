"""Writing files whole or not at all, the user's folders, and refusing files of a format that came later."""

import contextlib
import errno
import glob
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fast_style.errors import FastStyleError, FileError, InputError

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path beside the target that takes its name when the block ends well, else vanishes.

    A ``durable`` file is on the disk before it takes its name, so that a power cut leaves the old one or the new.

    Raises:
        FileError: The disk is full, the folder is missing or not writable, or the target is a folder.
    """
    partial, lock = None, None
    try:
        partial, lock = _new_partial(target)
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def cannot_write(target: Path, error: OSError) -> FileError:
    """Make the error that says why a file cannot be written."""
    known = {errno.ENOSPC: "the disk is full", errno.EISDIR: "it is a folder"}
    return FileError(f"cannot write {target}: {known.get(error.errno or 0, error.strerror or str(error))}")


def check_writable(target: Path) -> None:
    """Raise FileError, before any work is done, if no file can be made in the folder of the target, or above it.

    The folder need not be there yet; it is not made.
    """
    folder = next(path for path in target.absolute().parents if path.exists())
    try:
        partial, lock = _new_partial(folder / target.name)
        partial.unlink()
    except OSError as error:
        raise cannot_write(target, error) from error
    if lock is not None:
        os.close(lock)


def _new_partial(target: Path) -> tuple[Path, int | None]:
    """Make a temporary file, with a lock that ends with the process, so that :func:`sweep` knows what is in use."""
    while True:
        partial = target.parent / f"{_partial_prefix(target)}{secrets.token_hex(4)}{target.suffix}"
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if sys.platform == "win32":  # an open file could not take another name
            os.close(handle)
            return partial, None
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return partial, handle
        os.close(handle)  # swept away before it was locked


_PARTIAL = "-fast-style-"


def _partial_prefix(target: Path) -> str:
    # Names are at most 255 bytes, and no file of the user's begins like this.
    return f".{target.stem[:40]}{_PARTIAL}"


def make_parent(target: Path) -> None:
    """Make the folder of a file that will be written; raise FileError if it cannot be made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.filename}: {error.strerror}") from error


def user_folder(variable: str, default: str) -> Path:
    """Return fast-style's folder in the directory that a variable such as ``XDG_DATA_HOME`` names.

    If it names none, or a relative path, the directory is the ``default`` in the user's home, such as ``.local/share``
    (XDG Base Directory Specification, version 0.8, "Basics").

    Raises:
        FileError: The user has no home.
    """
    given = Path(os.environ.get(variable, ""))
    try:
        return (given if given.is_absolute() else Path.home() / default) / "fast-style"
    except RuntimeError as error:
        raise FileError(str(error), hint=f"Set HOME, or {variable}.") from error


def sweep(target: Path) -> None:
    """Remove what :func:`replacing` left beside a target in processes that were killed, not what is being written."""
    name = f"{glob.escape(_partial_prefix(target))}????????{glob.escape(target.suffix)}"
    for partial in target.parent.glob(name):
        with contextlib.suppress(OSError), partial.open("r+b") as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if another process writes it
            partial.unlink()


def has_partials(folder: Path) -> bool:
    """Whether there is anything in a folder that :func:`sweep` might remove."""
    try:
        return any(path.name.startswith(".") and _PARTIAL in path.name for path in folder.iterdir())
    except OSError:  # there is no such folder yet
        return False


def is_file(path: str | Path) -> bool:
    """Whether a text is the path of a file that can be looked at; one that is too long for a path is not."""
    return os.path.isfile(path)  # noqa: PTH113 -- pathlib's raises if it is too long


def is_folder(path: str | Path) -> bool:
    """Whether a text is the path of a folder that can be looked at; one that is too long for a path is not."""
    return os.path.isdir(path)  # noqa: PTH112 -- pathlib's raises if it is too long


def is_plain_name(name: object) -> bool:
    """Whether what a file from elsewhere has as a name can name a file in a folder of ours, and no other place."""
    if not isinstance(name, str) or not name.isprintable():
        return False
    return name != "" and not name.startswith(".") and not {"/", "\\"} & set(name)


def check_new(
    target: Path, *, force: bool, inputs: Iterable[Path] = (), hint: str = "Give --force to overwrite it."
) -> None:
    """Raise InputError if a file is one of the inputs; or, with the hint, if it exists and ``force`` was not given."""
    if not target.exists():
        return
    if any(is_file(path) and path.samefile(target) for path in inputs):
        raise InputError(f"{target} is an input and would be overwritten", hint="Give another place for the result.")
    if not force:
        raise InputError(f"{target} exists", hint=hint)


def check_format(found: object, newest: int, path: Path, error: type[FastStyleError]) -> None:
    """Raise that error if the format that a file states is not one from 1 to ``newest``, which is written today."""
    if found not in range(1, newest + 1):
        raise error(
            f"{path} has the format {found!r}; this version of fast-style reads up to {newest}",
            hint="Update fast-style.",
        )
