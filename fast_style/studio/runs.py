"""Trainings: one at a time, each in a process of its own; what the disk holds says how far it is."""

import csv
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_style.errors import FileError, InputError, ModelError, StudioError
from fast_style.model.passes import check_strength
from fast_style.studio import supervisor
from fast_style.studio.library import FORMAT, Library, is_finished, read_run, write_json
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style, shipped_paths
from fast_style.stylize.stylizer import Stylizer

NETWORKS = ("fast", "fine", "tiny", "johnson")
PROGRAM = (sys.executable, "-P", "-m", "fast_style")  # with no module of the folder that the studio was started in
_LEAST_STEPS, _MOST_STEPS = 10, 100_000
_PREVIEWS = 24
_ESTIMATE = re.compile(r"([\d.]+) s before and after the steps, ([\d.]+) s for each")
# Between two previews and checkpoints: some minutes' work of fast.
_MOST_STEPS_UNSEEN = 200
_SHOWN_ROWS = 200
_APP_SIZE = 640  # long side of the pictures that a file for an app is made for, px
_TRIES = 5
_log = logging.getLogger(__name__)
_CAPTIONS = ("title", "artist", "year", "license")


@dataclass(frozen=True)
class Wish:
    """What is asked of a training.

    Attributes:
        title: Of the style.
        steps: How many steps it takes.
        network: One of :data:`NETWORKS`.
        strength: 0.25 to 4; 1 is the default look.
        start: ``nearest`` begins with the nearest shipped style, ``scratch`` with nothing; the name of a shipped style
            trains an adapter of it.
        keep_frame: Leave a frame around the painting.
        artist: For the card, as are ``year`` and ``license``.
    """

    title: str
    steps: int
    network: str = "fast"
    strength: float = 1.0
    start: str = "nearest"
    keep_frame: bool = False
    artist: str = ""
    year: str = ""
    license: str = ""

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        if self.network not in NETWORKS:
            raise InputError(f"network is {self.network!r}; expected {', '.join(NETWORKS)}")
        if not 1 <= self.steps <= _MOST_STEPS:
            raise InputError(f"steps are {self.steps}; expected 1 to {_MOST_STEPS}")
        check_strength(self.strength)
        if self.start not in {"nearest", "scratch", *shipped_paths()}:
            raise InputError(f"the start is {self.start!r}; expected nearest, scratch or a shipped style")
        for name in _CAPTIONS:
            if len(value := getattr(self, name)) > 120 or not value.isprintable():
                raise InputError(f"the {name} is one line of up to 120 letters")

    @property
    def trained(self) -> str:
        """The network that is trained: an adapter fits the one that its style was made of."""
        if self.start in {"nearest", "scratch"}:
            return self.network
        return str(find_style(self.start).card.get("network", self.network))


class Trainings:
    """Starts, pauses and watches trainings.

    Args:
        library: Where they are.
        program: What runs a verb of fast-style.
        config: A TOML file with a recipe for all of them.
    """

    def __init__(self, library: Library, *, program: Sequence[str] = PROGRAM, config: Path | None = None) -> None:
        self.library, self._program, self._config = library, program, config
        self._lock, self._turn = library.folder / "training.lock", threading.Lock()
        self._paces: dict[tuple[str, str], dict[str, float]] = {}
        self._measuring = threading.Lock()

    def start(self, wish: Wish, painting: Path, photos: Path) -> str:
        """Start a training and return the name of its style.

        Raises:
            StudioError: Another one is running.
            FileError: The disk is full.
        """
        run: dict[str, Any] = {"format": FORMAT, "title": wish.title, "network": wish.trained, "steps": wish.steps}
        run |= {"asked": [*self._asked(wish), "--steps", str(wish.steps)]}
        run |= {"painting": f"painting{painting.suffix}", "photos": str(photos)}
        with self._locked() as lock:
            folder = self.library.new_run(wish.title)
            try:
                try:
                    shutil.copyfile(painting, folder / run["painting"])
                except OSError as error:
                    raise FileError(f"cannot write {folder}: {error.strerror}") from error
                write_json(folder / "run.json", run)
                self._spawn(folder, run, lock)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return folder.name

    def wish(self, name: str, wish: str) -> None:
        """Ask a training to ``pause``, ``resume`` or ``stop``, which makes a style of what it has learned so far.

        One that is paused, was cut off or failed can be resumed and stopped.

        Raises:
            StudioError: It is not running, does that already, is finished, has nothing yet to make a style of, or
                another one is running.
        """
        folder = self.library.run(name)
        state = self.describe(folder)["state"]
        if wish != "resume" and state in {"preparing", "training"}:
            (folder / wish).touch()
            return
        if state in {"preparing", "training", "pausing", "finishing"}:
            raise StudioError(f"{name} is {state} already", hint="Wait until that is done.")
        if state == "done":
            raise StudioError(f"{name} is finished", hint="Start a new style.")
        if wish == "pause":
            raise StudioError(f"{name} is not being trained", hint="Reload the page.")
        if wish == "stop" and not self._checkpoint(folder).is_file():
            raise StudioError("nothing is learned yet that a style could be made of", hint="Go on, or delete it.")
        with self._locked() as lock:
            self._spawn(folder, read_run(folder), lock, finish=wish == "stop")

    def delete(self, name: str) -> None:
        """Delete an own style and all that its training left; raise StudioError if it is being trained."""
        with self._turn:
            if self._running() == name:
                raise StudioError(f"{name} is being trained", hint="Pause it first.")
            gone = self.library.run(name).rename(self.library.place("tries") / secrets.token_hex(16))
        shutil.rmtree(gone, ignore_errors=True)

    def unfinished(self) -> list[dict[str, Any]]:
        """Describe the trainings that are not done, the one that runs in front."""
        found = []
        for folder in self.library.runs():
            with suppress(FileNotFoundError):  # deleted meanwhile
                if (run := self.describe(folder))["state"] != "done":
                    found.append(run)
        return sorted(found, key=lambda run: (not run["running"], run["state"] != "paused", run["name"]))

    def describe(self, folder: Path) -> dict[str, Any]:
        """Say how far a training is.

        Its ``state`` is preparing, training, pausing, finishing (the style is being written), paused, failed or done.
        """
        run, process = read_run(folder), _read(folder / "process.json")
        running = self._running() == folder.name
        figures = folder / f"{folder.name}.csv"
        step, steps = supervisor.last_step(figures) or 0, run["steps"]
        error = hint = None
        if running:
            started = "first" in process
            written = process.get("command") == process.get("finish") or (started and step >= steps)
            if written or (folder / "stop").exists():
                state = "finishing"
            elif (folder / "pause").exists():
                state = "pausing"
            else:
                state = "training" if started else "preparing"
        elif is_finished(folder):
            state = "done"
            try:
                read_card(folder / f"{folder.name}.onnx")
            except ModelError as unreadable:
                state, error, hint = "failed", str(unreadable), unreadable.hint
        elif process.get("exit") in {None, 0, 130, -signal.SIGINT}:
            state = "paused"
            if process.get("exit") is None:
                error, hint = "The training was cut off.", "Go on: it begins at the last checkpoint."
        else:
            state = "failed"
            log, said = folder / "log.txt", ""
            with suppress(FileNotFoundError):
                said = log.read_text(encoding="utf-8", errors="replace")
            error, hint = _last_error(said)
            hint = hint or ("Mend that, then go on." if error else f"Go on to try again. See {log}.")
            error = error or "The training ended unexpectedly."
        return {
            "name": folder.name,
            "title": run["title"],
            "network": run["network"],
            "state": state,
            "running": running,
            "step": step,
            "steps": steps,
            "seconds_left": _seconds_left(process["first"], figures, step, steps) if state == "training" else None,
            "kept": self._checkpoint(folder).is_file(),
            "error": error,
            "hint": hint,
            "previews": sorted(path.name for path in folder.glob("previews/step-*.png")),
        }

    def curves(self, name: str) -> dict[str, list[tuple[int, float]]]:
        """Return the figures of a training by column, with their steps, thinned out to what a small curve can show."""
        path = self.library.run(name) / f"{name}.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if row["step"].isdigit()]
            curves = {
                name: [(int(row["step"]), float(row[name])) for row in rows if row[name]]  # not all have a value
                for name in rows[0].keys() - {"step", "learning_rate"}
            }
            return {name: curve[:: -max(1, len(curve) // _SHOWN_ROWS)][::-1] for name, curve in curves.items()}
        except (OSError, LookupError, TypeError, ValueError):  # no row yet
            return {}

    def pace(self, network: str, start: str) -> dict[str, float]:
        """Measure how fast this machine trains, once for each network and start.

        Returns:
            The time ``around``, before the first step and after the last one, and that of a ``step``, s.

        Raises:
            InputError: There is no such network or start.
            StudioError: It cannot train, or is training.
        """
        wish = Wish("", _LEAST_STEPS, network=network, start=start)
        with self._measuring:
            if (network, start) not in self._paces:
                if self._running() is not None:
                    raise StudioError("another training is running", hint="Pause or stop it first.")
                # Nothing is read of the painting and the photos, and nothing is written.
                said = self._run("train", "painting", "photos", "-o", "out", "--estimate", *self._asked(wish))
                ((around, step),) = _ESTIMATE.findall(said)
                self._paces[network, start] = {"around": float(around), "step": float(step)}
            return self._paces[network, start]

    def export_for_app(self, style: Path, target: Path) -> int:
        """Write a style file that takes and gives pixels and paints in passes by itself; return their number.

        It is that of the style for pictures of 640 px. A style that cannot be exported raises StudioError.
        """
        passes = Stylizer(style, threads=1).network.count_passes(_APP_SIZE, _APP_SIZE)
        self._run("export", str(style), "--io", "uint8", "--passes", str(passes), "-o", str(target))
        return passes

    def _run(self, *arguments: str) -> str:
        """Run a verb that takes seconds; return what it prints."""
        done = subprocess.run([*self._program, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            error, hint = _last_error(done.stderr)
            if error is None:
                _log.error("%s failed: %s", done.args, done.stderr)
            raise StudioError(error or "something went wrong", hint=hint or "Try again. The terminal has the details.")
        return done.stdout

    def _asked(self, wish: Wish) -> list[str]:
        """The options of ``fast-style train`` but for the number of steps."""
        asked = ["--network", wish.trained, "--strength", f"{wish.strength:g}"]
        if wish.start == "scratch":
            asked += ["--init", "scratch"]
        elif wish.start != "nearest":
            asked += ["--adapter-of", wish.start]
        if wish.keep_frame:
            asked.append("--keep-frame")
        if self._config is not None:
            asked += ["--config", str(self._config)]
        # A value may begin with a hyphen.
        return asked + [f"--{name}={value}" for name in _CAPTIONS if (value := getattr(wish, name))]

    def _spawn(self, folder: Path, run: dict[str, Any], lock: int, *, finish: bool = False) -> None:
        """Start the process that watches the training; it holds the lock from here on."""
        checkpoint = self._checkpoint(folder)
        # A checkpoint holds the whole recipe. Without one, the last process may still have left figures.
        asked = ["--resume", str(checkpoint)] if checkpoint.is_file() else ["--force", *run["asked"]]
        every = min(max(_LEAST_STEPS, run["steps"] // _PREVIEWS), _MOST_STEPS_UNSEEN)
        command = [*self._program, "train", str(folder / run["painting"]), run["photos"], "-o", str(folder)]
        command += ["--name", folder.name, "--preview-every", str(every), *asked]
        export = [*self._program, "export", str(checkpoint), "--force"]
        for name in ("pause", "stop"):
            (folder / name).unlink(missing_ok=True)
        facts = {"command": export if finish else command, "finish": export}
        os.pwrite(lock, folder.name.encode(), 0)
        write_json(folder / "process.json", facts)
        # Not before: until then, the log says why the last process failed.
        (folder / "log.txt").unlink(missing_ok=True)
        script = [sys.executable, "-I", supervisor.__file__, str(folder), str(lock)]
        nowhere = subprocess.DEVNULL
        subprocess.run(script, pass_fds=(lock,), stdin=nowhere, stdout=nowhere, stderr=nowhere, check=True)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Take the lock that a training holds as long as it lives."""
        with self._turn:
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                for _ in range(_TRIES):
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:  # perhaps another request only looks whether it is held
                        time.sleep(0.02)
                else:
                    raise StudioError("another training is running", hint="Pause or stop it first.")
                os.truncate(lock, 0)
                yield lock
            finally:
                os.close(lock)

    def _running(self) -> str | None:
        """Name what is being trained, on the word of the kernel."""
        with suppress(FileNotFoundError), self._lock.open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read()
        return None

    @staticmethod
    def _checkpoint(folder: Path) -> Path:
        return folder / f"{folder.name}.ckpt"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _seconds_left(first: tuple[int, float], figures: Path, step: int, steps: int) -> float | None:
    """The time left at the pace since the first step and when it was done; None until there is another."""
    if step <= first[0]:
        return None
    when = figures.stat().st_mtime
    pace = (when - first[1]) / (step - first[0])
    return max(0.0, (steps - step) * pace - (time.time() - when))


def _last_error(said: str) -> tuple[str | None, str | None]:
    """What a command said in our own words when it failed, and the hint; a traceback is not for the page."""
    error = hint = None
    for line in said.splitlines():
        if line.startswith("error: "):
            error, hint = line.removeprefix("error: "), None
        elif line.startswith("hint: "):
            hint = line.removeprefix("hint: ")
    return error, hint
