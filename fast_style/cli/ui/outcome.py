"""What verbs that stylize many files tell: a bar while they work, a summary, an exit status."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from fast_style.cli.app import DONE, FAILED, SOME_FAILED

Item = TypeVar("Item")


def with_bar(items: Iterable[Item], total: int | None = None) -> Iterator[Item]:
    """Pass items on, with a bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description="stylizing", total=total, console=console, disable=not console.is_terminal)


def summary(done: int, skipped: int, failed: int, seconds: float) -> str:
    """Say how many files were stylized."""
    before = f", {skipped} done before" if skipped else ""
    return f"{done} stylized{before}, {failed} failed in {seconds:.1f} s"


def left_out_line(counts: Mapping[str, int]) -> str:
    """Say what was not stylized, by the reason and the remedy."""
    told = ((*reason.partition(":"), count) for reason, count in counts.items())
    return "left out: " + "; ".join(f"{what} ({count}){colon}{remedy}" for what, colon, remedy, count in told)


def exit_status(done: int, failed: int) -> int:
    """Return the exit status for so many files that were done and that failed."""
    if not failed:
        return DONE
    return SOME_FAILED if done else FAILED
