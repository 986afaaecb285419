"""The progress bar of a video."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class FrameProgress:
    """Frames done, frames a second and the time left, on stderr if that is a terminal.

    Args:
        name: Of the video.
    """

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(escape(name)),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} frames/s"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, rate="–")
        self._start = time.perf_counter()

    def __call__(self, done: int, expected: int | None) -> None:
        """Move the bar."""
        rate = done / max(time.perf_counter() - self._start, 1e-6)
        total = None if expected is None else max(done, expected)
        self._progress.update(self._task, completed=done, total=total, rate=f"{rate:.1f}")

    def __enter__(self) -> FrameProgress:
        """Enter the block."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close at the end of the block."""
        self._progress.stop()
