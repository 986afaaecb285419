"""Watches one training, in a session of its own, so that neither a closed tab nor a killed server ends it.

Run as a script with the standard library alone, as it sits in memory for as long as the training. Its arguments are the
training's folder and the number of the open lock, which this process and its child hold until both have ended.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.2
# A pause that a training has not heeded for so long is asked for again, which ends it at its last checkpoint.
PATIENCE_SECONDS = 60.0
# The page's pictures come before the training's steps.
NICENESS = 5
_TAIL = 4096


def watch(folder: Path, lock: int) -> None:
    """Run what ``process.json`` says, pass the wish to pause on, and note the first step and the exit status there."""
    facts = json.loads((folder / "process.json").read_text(encoding="utf-8"))
    exit_status = _run(folder, lock, facts["command"], facts)
    if exit_status and (folder / "stop").exists() and list(folder.glob("*.ckpt")):
        exit_status = _run(folder, lock, facts["finish"], facts)
    _note(folder, facts, exit=exit_status)


def _run(folder: Path, lock: int, command: list[str], facts: dict[str, Any]) -> int:
    csv = folder / f"{folder.name}.csv"
    before, asked = last_step(csv), -PATIENCE_SECONDS
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,))
    while child.poll() is None:
        time.sleep(LOOK_SECONDS)
        wished = (folder / "pause").exists() or (folder / "stop").exists()
        if wished and command is facts["command"] and time.monotonic() - asked >= PATIENCE_SECONDS:
            asked = time.monotonic()
            child.send_signal(signal.SIGINT)
        step = last_step(csv)
        # The rows of an earlier part of the run are not this one's pace.
        if "first" not in facts and step not in {None, before}:
            _note(folder, facts, first=[step, csv.stat().st_mtime])
    return child.returncode


def last_step(csv: Path) -> int | None:
    """Return the step of the last whole row of a run's figures, or None if there is none."""
    try:
        with csv.open("rb") as file:
            file.seek(max(0, csv.stat().st_size - _TAIL))
            rows = file.read().split(b"\n")[:-1]
    except OSError:
        return None
    first = rows[-1].split(b",")[0] if rows else b""
    return int(first) if first.isdigit() else None


def _note(folder: Path, facts: dict[str, Any], **news: Any) -> None:
    """Write the facts, whole or not at all; on a full disk the training is more than its diary."""
    facts |= news
    partial = folder / ".process.json"
    try:
        partial.write_text(json.dumps(facts), encoding="utf-8")
        partial.replace(folder / "process.json")
    except OSError:
        partial.unlink(missing_ok=True)


def main() -> None:
    """Let go of whoever started this, then watch."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    os.setsid()
    if os.fork():
        os._exit(0)
    os.nice(NICENESS)
    # A server that was started deaf to it would hand that on, and the training could not be paused.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch(folder, lock)


if __name__ == "__main__":
    main()
