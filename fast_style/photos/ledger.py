"""Knowing which results are done, so that a run can be repeated, shared and killed at any moment."""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal, get_args

from fast_style.errors import InputError
from fast_style.files import cannot_write, make_parent
from fast_style.photos.shards import Shard

NAME = ".fast-style{own}.jsonl"
# By how much the clocks of machines that share a folder may differ, s.
_CLOCKS = 60.0

Kind = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line says of a result: a JSON list of its name and these."""

    kind: Kind  # the last that happened
    origin: str  # tells the photo, its state and the settings
    state: str | None  # of the result when it was done, or of what was in its place when it was begun; None for nothing
    settings: str  # tells the settings
    at: float  # when, seconds since 1970
    seconds: float = 0.0  # how long it took
    error: str = ""  # why it failed


@dataclass(frozen=True, slots=True)
class Work:
    """A result that may have to be made, as it was found."""

    result: str  # its name
    origin: str  # tells the photo, its state and the settings
    there: str | None  # state of what is in its place; None if nothing is


class Ledger:
    """Files of lines in a folder: every worker reads all of them and writes one of its own.

    A line is written before a result is begun, and one when it is done or has failed. So a worker may be killed at any
    moment: a result that was begun, and is no longer what was there before, was made by us. Results appear whole.

    Safe to call from several threads. A line that cannot be read counts as none: that result is made again.

    Args:
        home: Folder of the ledgers.
        settings: Everything but the photo that changes a result, as JSON can hold it, with defaults left out: another
            version's new option must not make a million results again.
        base: What names of photos and results are relative to; by default the folder.
        own: Ends the name of the file that is written: another for each worker.
        shard: Only names that it holds are kept in memory.
    """

    def __init__(
        self,
        home: Path,
        settings: Mapping[str, object],
        *,
        base: Path | None = None,
        own: str = "",
        shard: Shard = Shard(),
    ) -> None:
        self.home, self._base = home, home if base is None else base
        self._settings = json.dumps(settings, sort_keys=True)
        self._digest = _digest(self._settings)[:16]
        self._file, self._shard = home / NAME.format(own=own), shard
        self._lock = threading.Lock()
        self._known: dict[str, list[Entry]] = {}
        self._read: dict[Path, int] = {}
        self._torn = False
        self._refreshed = 0.0
        self.refresh()

    def refresh(self) -> None:
        """Read what others have added to the ledgers."""
        self._refreshed = time.time()
        for file in sorted(self.home.glob(NAME.format(own="*"))):
            if file == self._file and file in self._read:
                continue
            with contextlib.suppress(OSError), file.open("rb") as stream:
                before = self._read.get(file, 0)
                stream.seek(before)
                content = stream.read()
                whole = content.rfind(b"\n") + 1
                self._read[file] = before + whole
                self._torn |= file == self._file and whole < len(content)
                self._learn(content.decode("utf-8", "replace"))

    def _learn(self, text: str) -> None:
        """Take in the lines of one ledger, in their order."""
        last: dict[tuple[str, str], Entry] = {}
        for name, entry in _parse(text):
            if self._shard.holds(name):
                last[name, entry.kind] = entry
                if entry.kind != "begun":
                    last.pop((name, "begun"), None)
        with self._lock:
            for (name, _), entry in last.items():
                self._known.setdefault(name, []).append(entry)

    def look(self, source: str, result: str) -> Work:
        """See how a photo and the place of its result are now.

        Raises:
            InputError: They cannot be looked at.
        """
        origin = _digest(f"{source} {file_state(self._base / source)} {self._settings}")
        return Work(result, origin, file_state(self._base / result))

    def is_done(self, work: Work) -> bool:
        """Whether the result was made from this photo with these settings, and both are as they were then."""
        return work.there is not None and any(
            entry.origin == work.origin
            and (entry.kind, entry.state == work.there) in {("done", True), ("begun", False)}
            for entry in self._known.get(work.result, [])
        )

    def _left(self, work: Work) -> list[Entry]:
        """What is said of the result as an earlier run left it; nothing if it has changed since."""
        entries = self._known.get(work.result, [])
        return [entry for entry in entries if entry.kind == "done" and entry.state == work.there]

    def skips(self, work: Work) -> bool:
        """Whether there is nothing to do, as it is done.

        Raises:
            InputError: What is in the place of the result is not ours to overwrite.
        """
        if work.there is None:
            return False
        if not (self._left(work) or self.is_done(work)):
            # Perhaps another worker has just made it. Of an older file all was read, and reading takes a listing.
            if int(work.there.rpartition("-")[2]) > (self._refreshed - _CLOCKS) * 1e9:
                self.refresh()
            if not (self._left(work) or self.is_done(work)):
                raise InputError(f"{self._base / work.result} exists", hint="Give --force to overwrite it.")
        if not self.is_done(work):
            if all(entry.settings != self._digest for entry in self._left(work)):
                raise InputError(
                    f"{self._base / work.result} was painted in another style or with other settings",
                    hint="Give another -o to keep it, or --force to overwrite it.",
                )
            return False  # another photo, or the same one changed
        if not self._left(work):
            self.end(work, 0.0, "")  # its worker was killed between the result and this line
        return True

    def begin(self, work: Work) -> None:
        """Note, before anything is done, what is to be made."""
        self._write(work, "begun", work.there)

    def end(self, work: Work, seconds: float, error: str) -> None:
        """Note what became of a work; an empty error means that it is done."""
        if error:
            self._write(work, "failed", None, seconds, error)
        else:
            self._write(work, "done", file_state(self._base / work.result), seconds)

    def deaths(self, work: Work) -> int:
        """How many workers have begun this and not come to its end."""
        return sum(entry.kind == "begun" and entry.origin == work.origin for entry in self._known.get(work.result, []))

    def latest(self, result: str) -> Entry | None:
        """What happened last to a result with these settings; None if nothing did."""
        entries = (entry for entry in self._known.get(result, []) if entry.settings == self._digest)
        return max(entries, key=lambda entry: (entry.at, entry.kind != "begun"), default=None)

    def _write(self, work: Work, kind: Kind, state: str | None, seconds: float = 0.0, error: str = "") -> None:
        entry = Entry(kind, work.origin, state, self._digest, round(time.time(), 3), round(seconds, 4), error)
        text = f"{json.dumps([work.result, *astuple(entry)])}\n"
        with self._lock:
            make_parent(self._file)
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    # A line of which a killed worker wrote half must not spoil this one.
                    file.write("\n" + text if self._torn else text)
            except OSError as error:
                self._torn = True
                raise cannot_write(self._file, error) from error
            self._torn = False


def results_in(folder: Path) -> set[Path]:
    """The results in a folder, and in those in it, that its ledgers name; failed ones are not there."""
    names: set[str] = set()
    for file in folder.glob(NAME.format(own="*")):
        with contextlib.suppress(OSError):
            names |= {name for name, entry in _parse(file.read_text("utf-8", "replace")) if entry.kind != "failed"}
    return {folder / name for name in names}


def file_state(path: Path) -> str | None:
    """Return what changes if a file does, its size and time; None if there is no such file.

    Raises:
        InputError: It cannot be looked at.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # no right to look, or a name that none can have
        raise cannot_look(path, error) from error
    return f"{status.st_size}-{status.st_mtime_ns}"


def cannot_look(path: Path, error: Exception) -> InputError:
    """Make the error of a place that the system does not let us look at."""
    return InputError(f"cannot look at {path}: {getattr(error, 'strerror', None) or error}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _parse(text: str) -> Iterator[tuple[str, Entry]]:
    """Yield the name of a result and what is said of it, from each line that is one of ours."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            name, kind, origin, state, settings, at, *rest = json.loads(line)
            if kind in get_args(Kind) and isinstance(name, str) and isinstance(origin, str):
                yield name, Entry(kind, origin, state, settings, float(at), *rest)
