"""Progress on stderr: of a video, and of what minimizes losses."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def frame_progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a video's frames done, frames per second and the time left, if stderr is a terminal.

    Yields:
        A function to call with the frames done and the frames expected, or None if unknown.
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


class LossProgress:
    """A bar with steps, losses and the time left; a line now and then if the output is not a terminal.

    Its ``progress`` is to be started and stopped. ``title`` is the activity, such as training, and ``unit`` what a step
    is called; of ``total`` steps so many were ``done`` before.
    """

    def __init__(self, console: Console, title: str, unit: str, total: int, *, done: int = 0) -> None:
        self.console, self.unit, self.total, self.done = console, unit, total, done
        self.progress = Progress(
            TextColumn(title),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=total, completed=done, losses="")

    def advance(self, losses: Mapping[str, float], *, steps: int = 1) -> None:
        """Show the losses after more steps."""
        line = max(1, self.total // 20)
        is_due = self.done // line != (self.done + steps) // line
        self.done += steps
        text = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
        self.progress.update(self.task, completed=self.done, losses=text)
        if is_due and not self.console.is_terminal:
            self.console.print(f"{self.unit} {self.done}/{self.total}  {text}", highlight=False)
