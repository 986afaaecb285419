"""Knowing which results in a folder are done, so that a run can be repeated for what is new."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

NAME = ".fast-style.jsonl"


class Ledger:
    """A file of lines in a folder of results, one for each result, added when it is whole.

    Safe to call from several threads. A line that cannot be read counts as none: that result is made again.

    Args:
        folder: Folder of the results.
        settings: Everything but the photo that tells what a result looks like.
    """

    def __init__(self, folder: Path, settings: object) -> None:
        self.folder = folder
        self._settings = repr(settings)
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, str]] = {}
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in (folder / NAME).read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    entry = json.loads(line)
                    self._known[entry["result"]] = entry

    def is_done(self, source: Path, result: Path) -> bool:
        """Whether the result was made from this photo with these settings, and both are as they were then."""
        return self.is_ours(result) and self._known[self._name(result)].get("from") == self._origin(source)

    def is_ours(self, result: Path) -> bool:
        """Whether the result is as an earlier run left it, so that making it again destroys nothing."""
        entry = self._known.get(self._name(result))
        return entry is not None and result.exists() and entry.get("state") == _state(result)

    def add(self, source: Path, result: Path) -> None:
        """Note that a result is done."""
        entry = {"result": self._name(result), "state": _state(result), "from": self._origin(source)}
        with self._lock, (self.folder / NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def _name(self, result: Path) -> str:
        return result.relative_to(self.folder).as_posix()

    def _origin(self, source: Path) -> str:
        import hashlib  # 3 ms that a single photo does not need

        state = f"{source.resolve()} {_state(source)} {self._settings}"
        return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"
