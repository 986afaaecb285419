"""Knowing which results are done, so that a run can be repeated, shared and killed at any moment."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fast_style.errors import InputError
from fast_style.photos import places
from fast_style.photos.shards import Shard

NAME = ".fast-style{own}.jsonl"
# A store's objects cannot be appended to: they are put again as they grow, up to this size, bytes.
_PART_BYTES = 2**20

Kind = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one line says of a result.

    Attributes:
        kind: The last that happened.
        origin: Tells the photo, its state and the settings.
        state: Of the result when it was done, or of what was in its place when it was begun; None for nothing.
        settings: Tells the settings.
        at: When, seconds since 1970.
        seconds: How long it took.
        error: Why it failed.
    """

    kind: Kind
    origin: str
    state: str | None
    settings: str
    at: float
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A result that may have to be made, as it was found.

    Attributes:
        result: Its name.
        origin: Tells the photo, its state and the settings.
        there: State of what is in its place; None if nothing is.
    """

    result: str
    origin: str
    there: str | None


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
        read: Whether to read what the ledgers say now; otherwise :meth:`learn` is told.
    """

    def __init__(
        self,
        home: str | Path,
        settings: Mapping[str, object],
        *,
        base: str | None = None,
        own: str = "",
        shard: Shard = Shard(),
        read: bool = True,
    ) -> None:
        self.home = str(home)
        self._base = self.home if base is None else base
        self._settings = json.dumps(settings, sort_keys=True)
        self._digest = _digest(self._settings)[:16]
        self._own, self._shard = own, shard
        self._lock = threading.Lock()
        self._known: dict[str, list[Entry]] = {}
        self._read: dict[str, int] = {}
        self._text, self._part, self._torn = "", 0, False
        if read:
            self.refresh()

    def refresh(self) -> None:
        """Read what others have added to the ledgers."""
        for file in places.listed(self.home, NAME.format(own="*")):
            is_own = PurePosixPath(file).name == PurePosixPath(self._file()).name
            if is_own and file in self._read:
                continue
            with contextlib.suppress(InputError), places.reading(file) as stream:
                before = self._read.get(file, 0)
                stream.seek(before)
                content = stream.read()
                whole = content.rfind(b"\n") + 1
                self._read[file] = before + whole
                self._torn |= is_own and whole < len(content)
                self.learn(content.decode("utf-8", "replace").splitlines())

    def learn(self, lines: Iterable[str]) -> None:
        """Take in the lines of one ledger, in their order."""
        last: dict[tuple[str, str], Entry] = {}
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                name, entry = _parse(line)
                if self._shard.holds(name):
                    last[name, entry.kind] = entry
                    if entry.kind != "begun":
                        last.pop((name, "begun"), None)
        with self._lock:
            for (name, _), entry in last.items():
                self._known.setdefault(name, []).append(entry)

    def lines(self, result: str) -> list[str]:
        """What is known of a result, for the ledger of another worker to learn."""
        return [_line(result, entry) for entry in self._known.get(result, [])]

    def look(self, source: str, result: str) -> Work:
        """See how a photo and the place of its result are now."""
        there = places.state(places.join(self._base, source))
        origin = _digest(f"{source} {there} {self._settings}")
        return Work(result, origin, places.state(places.join(self._base, result)))

    def is_done(self, work: Work) -> bool:
        """Whether the result was made from this photo with these settings, and both are as they were then."""
        return work.there is not None and any(
            entry.origin == work.origin
            and (
                entry.state == work.there
                if entry.kind == "done"
                else entry.kind == "begun" and entry.state != work.there
            )
            for entry in self._known.get(work.result, [])
        )

    def is_ours(self, work: Work) -> bool:
        """Whether the result is as an earlier run left it, so that making it again destroys nothing."""
        for entry in self._known.get(work.result, []):
            if work.there is not None and entry.kind == "done" and entry.state == work.there:
                return True
        return self.is_done(work)

    def skips(self, work: Work) -> bool:
        """Whether there is nothing to do, as it is done.

        Raises:
            InputError: What is in the place of the result is not ours to overwrite.
        """
        if work.there is None:
            return False
        if not self.is_ours(work):
            self.refresh()  # perhaps another worker has just made it
            if not self.is_ours(work):
                target = places.join(self._base, work.result)
                raise InputError(f"{target} exists", hint="Give --force to overwrite it.")
        if not self.is_done(work):
            return False
        if not any(entry.kind == "done" and entry.state == work.there for entry in self._known.get(work.result, [])):
            self.end([(work, 0.0, "")])  # its worker was killed between the result and this line
        return True

    def begin(self, works: Iterable[Work]) -> None:
        """Note, before anything is done, what is to be made."""
        now = time.time()
        self._write((work.result, Entry("begun", work.origin, work.there, self._digest, now)) for work in works)

    def end(self, works: Iterable[tuple[Work, float, str]]) -> None:
        """Note what became of works, each with seconds and an error; one that is empty means that it is done."""
        now = time.time()
        entries = []
        for work, seconds, error in works:
            kind: Kind = "failed" if error else "done"
            there = None if error else places.state(places.join(self._base, work.result))
            entries.append((work.result, Entry(kind, work.origin, there, self._digest, now, seconds, error)))
        self._write(entries)

    def deaths(self, work: Work) -> int:
        """How many workers have begun this and not come to its end."""
        return sum(entry.kind == "begun" and entry.origin == work.origin for entry in self._known.get(work.result, []))

    def latest(self, result: str) -> Entry | None:
        """What happened last to a result with these settings; None if nothing did."""
        entries = (entry for entry in self._known.get(result, []) if entry.settings == self._digest)
        return max(entries, key=lambda entry: (entry.at, entry.kind != "begun"), default=None)

    def _write(self, entries: Iterable[tuple[str, Entry]]) -> None:
        noted = list(entries)
        text = "".join(f"{_line(name, entry)}\n" for name, entry in noted)
        if not text:
            return
        with self._lock:
            if places.is_remote(self.home):
                if len(self._text) > _PART_BYTES:
                    self._text, self._part = "", self._part + 1
                self._text += text
                places.put(self._file(), self._text.encode())
            else:
                path = Path(self._file())
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a", encoding="utf-8") as file:
                    # A line of which a killed worker wrote half must not spoil this one.
                    file.write("\n" + text if self._torn else text)
                self._torn = False

    def _file(self) -> str:
        part = f"-{self._part}" if self._part else ""
        return places.join(self.home, NAME.format(own=self._own + part))


def _digest(text: str) -> str:
    import hashlib  # 3 ms that a single photo does not need

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _line(name: str, entry: Entry) -> str:
    said: dict[str, Any] = {"result": name, "from": entry.origin, "as": entry.settings, "at": round(entry.at, 3)}
    match entry.kind:
        case "begun":
            said |= {"was": entry.state}
        case "done":
            said |= {"state": entry.state, "seconds": round(entry.seconds, 4)}
        case "failed":
            said |= {"error": entry.error, "seconds": round(entry.seconds, 4)}
    return json.dumps(said)


def _parse(line: str) -> tuple[str, Entry]:
    """The name of a result and what is said of it; raises if it is not a line of ours."""
    said = json.loads(line)
    kind: Kind = "failed" if "error" in said else "done" if "state" in said else "begun"
    state = said["state"] if kind == "done" else said["was"] if kind == "begun" else None
    if not isinstance(said["result"], str) or not isinstance(said["from"], str):
        raise TypeError("names and origins are text")
    return said["result"], Entry(
        kind,
        said["from"],
        state,
        str(said["as"]),
        float(said["at"]),
        float(said.get("seconds", 0)),
        str(said.get("error", "")),
    )
