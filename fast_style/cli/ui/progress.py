"""The progress bar of a video."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def frame_progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show frames done, frames a second and the time left, on stderr if that is a terminal.

    Args:
        name: Name of the video.

    Yields:
        What moves the bar: it takes the frames done and the frames expected, or None if that is not known.
    """
    console = Console(stderr=True)
    progress = Progress(
        TextColumn(escape(name)),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} frames/s"),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = progress.add_task("", total=None, rate="–")
    start = time.perf_counter()

    def move(done: int, expected: int | None) -> None:
        rate = done / max(time.perf_counter() - start, 1e-6)
        total = None if expected is None else max(done, expected)
        progress.update(task, completed=done, total=total, rate=f"{rate:.1f}")

    with progress:
        yield move
