"""What the studio keeps on the disk: styles, uploads, the token, the lock of the one training."""

import contextlib
import itertools
import json
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_style.errors import FileError, InputError, ModelError, StyleNotFoundError
from fast_style.files import replacing
from fast_style.styles.adapter import SUFFIX as ADAPTER_SUFFIX
from fast_style.styles.card import read_card
from fast_style.styles.catalog import shipped_styles

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43,}")
_LONGEST_NAME = 40
_LONGEST_TITLE = 120
# What was uploaded and not used is thrown away after so long.
_KEPT_SECONDS = 24 * 3600
FORMAT = 1
# What each of them says.
_RUN = {"title": str, "network": str, "steps": int, "asked": list, "painting": str, "photos": str}


@dataclass(frozen=True)
class Entry:
    """A finished style in the library."""

    name: str  # what addresses and files call it
    title: str  # what it is called on the page
    path: Path  # its ONNX file
    own: bool  # whether it was made here
    card: dict[str, Any]  # what its training recorded

    def as_dict(self, own_paths: Collection[Path]) -> dict[str, Any]:
        """Return what the page shows; the own styles of these paths are called by name on the command line."""
        paintings = [*self.card.get("paintings", {}).values()]
        painting = paintings[0] if len(paintings) == 1 else {}
        training = self.card.get("training", {})
        return {
            "name": self.name,
            "title": self.title,
            "own": self.own,
            "artist": painting.get("artist", ""),
            "year": painting.get("year", ""),
            "network": self.card.get("network", ""),
            "steps": training.get("steps"),
            "skipped": training.get("skipped", 0),
            "cut": "box" in painting,
            "date": self.card.get("date", ""),
            "styles": self.card.get("styles", []),
            # What the command line calls it.
            "call": self.name if not self.own or self.path in own_paths else str(self.path),
            "adapter": self.own and self.path.with_suffix(ADAPTER_SUFFIX).is_file(),
        }


class Library:
    """The studio's folder.

    Args:
        folder: Made if it is missing, for its owner's eyes only.

    Raises:
        FileError: It cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("styles", "paintings", "tries"):
                (self.folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot write {folder}: {error.strerror}", hint="Give another --folder.") from error
        self._shipped = [
            Entry(style.name, _shipped_title(style.name, style.card), style.path, False, style.card)
            for style in shipped_styles()
        ]
        self.forget_uploads()

    def place(self, kind: str) -> Path:
        """The folder of ``styles``, ``paintings`` or ``tries``."""
        return self.folder / kind

    def token(self) -> str:
        """Return the secret that the page shows; it outlives the server, so that an open page goes on working.

        Raises:
            FileError: There is none yet that could be one, and it cannot be written.
        """
        path = self.folder / "token"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if _TOKEN.fullmatch(token := path.read_text(encoding="ascii").strip()):
                return token
        token = secrets.token_urlsafe(32)
        try:
            path.unlink(missing_ok=True)
            path.touch(mode=0o600, exist_ok=False)  # at no moment can others read it
            path.write_text(token, encoding="ascii")
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}", hint="Give another --folder.") from error
        return token

    def styles(self) -> list[Entry]:
        """List the finished styles: own ones first, the newest in front."""
        own: list[tuple[float, Entry]] = []
        for folder in filter(is_finished, self.runs()):
            path = folder / f"{folder.name}.onnx"
            # A damaged one is among the trainings, which say what is wrong; another may be deleted meanwhile.
            with contextlib.suppress(ModelError, FileNotFoundError):
                entry = Entry(folder.name, read_run(folder)["title"], path, True, read_card(path))
                own.append((path.stat().st_mtime, entry))
        own.sort(key=lambda made: made[0], reverse=True)
        return [entry for _, entry in own] + self._shipped

    def style(self, name: str) -> Entry:
        """Find a finished style, or raise StyleNotFoundError if there is none of that name."""
        for entry in self.styles():
            if entry.name == name:
                return entry
        raise StyleNotFoundError(f"there is no style {name!r}", hint="Reload the page: it may have been deleted.")

    def runs(self) -> list[Path]:
        """List the folders of own styles, finished or not."""
        return sorted(folder for folder in self.place("styles").iterdir() if _is_run(folder))

    def run(self, name: str) -> Path:
        """Find the folder of an own style, or raise StyleNotFoundError if there is none, or the name is none."""
        folder = self.place("styles") / name
        if not _NAME.fullmatch(name) or not _is_run(folder):
            raise StyleNotFoundError(f"you have no style {name!r}", hint="Reload the page: it may have been deleted.")
        return folder

    def new_run(self, title: str) -> Path:
        """Make the folder of a new style, named after its title."""
        taken = {entry.name for entry in self._shipped}
        stem = name = file_name(title)
        for number in itertools.count(2):
            folder = self.place("styles") / name
            if name not in taken:
                with contextlib.suppress(FileExistsError):
                    folder.mkdir()
                    break
            name = f"{stem}-{number}"
        return folder

    def rename(self, name: str, title: object) -> None:
        """Give an own style another title; errors as of :meth:`run` and :func:`check_title`."""
        folder = self.run(name)
        write_json(folder / "run.json", {**read_run(folder), "title": check_title(title)})

    def upload(self, kind: str, identity: str) -> Path:
        """Find what was uploaded, or raise InputError if there is nothing of that name."""
        if re.fullmatch(r"[0-9a-f]{32}(\.[a-z0-9]{2,4})?", identity) and (path := self.place(kind) / identity).exists():
            return path
        raise InputError("what was uploaded is no longer there", hint="Choose the file again.")

    def forget_uploads(self) -> None:
        """Delete what nobody uses any more: a training has a copy of its painting."""
        for kind in ("paintings", "tries"):
            for path in self.place(kind).iterdir():
                if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def file_name(title: str) -> str:
    """Make the name of files of a title: small Latin letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:_LONGEST_NAME].strip("-") or "style"


def check_title(title: object) -> str:
    """Return a title without spaces around it; raise InputError if it is empty, too long, or not one line of text."""
    if not isinstance(title, str) or not title.strip() or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise InputError(f"a title is one line of 1 to {_LONGEST_TITLE} letters", hint="Give another title.")
    return title.strip()


def read_run(folder: Path) -> dict[str, Any]:
    """Read what a training was asked for."""
    run: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return run


def is_finished(folder: Path) -> bool:
    """Whether a training has left its style, and beside it the card, which is written last."""
    return all((folder / f"{folder.name}{suffix}").is_file() for suffix in (".onnx", ".json"))


def _is_run(folder: Path) -> bool:
    """Whether it is a style's folder of ours; one that cannot be read must not hide the others."""
    if not _NAME.fullmatch(folder.name) or folder.is_symlink():
        return False
    try:
        run = read_run(folder)
        return run["format"] == FORMAT and all(isinstance(run[name], kind) for name, kind in _RUN.items())
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write plain values, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def _shipped_title(name: str, card: dict[str, Any]) -> str:
    """The painting's title; of several networks that ship with one painting, with the network's name."""
    paintings = [*card.get("paintings", {}).values()]
    if len(paintings) > 1:
        return f"{len(paintings)} styles, to be mixed"
    title = (paintings[0].get("title") if paintings else "") or name.replace("-", " ")
    return f"{title} · {card['network']}" if name.endswith(("-tiny", "-fine")) else str(title)
