"""Where files lie: on the disk, or at an address that fsspec opens, such as ``s3://bucket/photo.jpg``."""

from __future__ import annotations

import contextlib
import posixpath
import re
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from fast_style import files
from fast_style.errors import FileError, ImageError, InputError
from fast_style.extras import missing_extra

# Two letters at least: "C:" begins a path.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)")
# What stores call that which changes with a file's content, the most telling first.
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")


def is_remote(address: str) -> bool:
    """Whether fsspec opens it."""
    return _ADDRESS.match(address) is not None


def join(folder: str, name: str) -> str:
    """Put a name behind a folder, unless it is an address or a path from the root already."""
    if is_remote(name) or Path(name).is_absolute():
        return name
    if is_remote(folder):
        return f"{folder.rstrip('/')}/{posixpath.normpath(name)}"
    return str(Path(folder, name))


def absolute(address: str) -> str:
    """What leads there from any folder."""
    return address if is_remote(address) else str(Path(address).absolute())


def folder_of(address: str) -> str:
    """The folder that a file lies in."""
    return address.rpartition("/")[0] if is_remote(address) else str(Path(address).parent)


def state(address: str) -> str | None:
    """What changes if the file does: its size, and its time or checksum; None if there is no such file.

    Raises:
        InputError: The store cannot be asked.
    """
    if not is_remote(address):
        try:
            status = Path(address).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:  # no right to look, or a name that none can have
            raise InputError(f"cannot look at {address}: {getattr(error, 'strerror', None) or error}") from error
        return f"{status.st_size}-{status.st_mtime_ns}"
    with _explaining(address, "look at"):
        store, path = _open(address)
        try:
            found = store.info(path)
        except FileNotFoundError:
            return None
        mark = next((found[name] for name in _MARKS if found.get(name) is not None), "")
        return f"{found.get('size')}-{mark}"


@contextlib.contextmanager
def reading(address: str) -> Iterator[IO[bytes]]:
    """Open a file to read.

    Raises:
        InputError: It is missing or cannot be read.
    """
    if is_remote(address):
        with _explaining(address, "read"):
            store, path = _open(address)
            file: IO[bytes] = store.open(path, "rb")
    else:
        with _explaining(address, "read"):
            file = Path(address).open("rb")  # noqa: SIM115  # closed below; what happens there is not explained here
    with file:
        yield file


@contextlib.contextmanager
def fetched(address: str) -> Iterator[Path]:
    """Give a path at which the file can be read: itself, or a copy that vanishes after the block.

    Raises:
        ImageError: There is nothing at the address, or it cannot be read.
    """
    if not is_remote(address):
        yield Path(address)
        return
    with tempfile.TemporaryDirectory(prefix="fast-style-") as folder:
        copy = Path(folder, "photo" + Path(address).suffix[:10])
        with _explaining(address, "read", ImageError):
            store, path = _open(address)
            store.get_file(path, str(copy))
        yield copy


@contextlib.contextmanager
def delivered(address: str) -> Iterator[Path]:
    """Give a path to write to, whole: itself, or one from where the file is put at its address after the block.

    Stores show an object when all of it is there, so it is put in one piece. Nothing is put if nothing was written.

    Raises:
        FileError: The folder cannot be made, or the store does not take the file.
    """
    if not is_remote(address):
        files.make_parent(Path(address))
        yield Path(address)
        return
    with tempfile.TemporaryDirectory(prefix="fast-style-") as folder:
        made = Path(folder, "result" + Path(address).suffix[:10])
        yield made
        if made.exists():
            put(address, made.read_bytes())


def put(address: str, content: bytes) -> None:
    """Write a file whole.

    Raises:
        FileError: The store or the disk does not take it.
    """
    if not is_remote(address):
        with files.replacing(Path(address)) as partial:
            partial.write_bytes(content)
        return
    with _explaining(address, "write", FileError):
        store, path = _open(address)
        store.pipe_file(path, content)


def listed(folder: str, pattern: str) -> list[str]:
    """The files in a folder whose names fit a pattern, sorted; none if there is no folder."""
    if not is_remote(folder):
        return sorted(str(path) for path in Path(folder).glob(pattern))
    with _explaining(folder, "list"):
        store, path = _open(folder)
        store.invalidate_cache()  # others write there, too
        try:
            names = store.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return sorted(store.unstrip_protocol(name) for name in names if fnmatch(posixpath.basename(name), pattern))


def _open(address: str) -> tuple[Any, str]:
    """The store and the path in it."""
    import fsspec

    store, path = fsspec.core.url_to_fs(address)
    return store, path


@contextlib.contextmanager
def _explaining(address: str, verb: str, kind: type[InputError] = InputError) -> Iterator[None]:
    """Say in our words what a store says."""
    try:
        yield
    except FileNotFoundError as error:
        raise kind(f"{address} does not exist") from error
    except IsADirectoryError as error:
        raise kind(f"{address} is a folder; expected a file") from error
    except ImportError as error:
        if missing_extra(error) is not None:
            raise  # the command line says what to install
        raise kind(f"cannot {verb} {address}: {error}") from error
    except Exception as error:  # each store has kinds of its own
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise kind(f"cannot {verb} {address}: {reason}") from error
