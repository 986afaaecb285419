"""Doing several things at once, in order and in bounded memory."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlap(
    items: Iterable[Item], work: Callable[[Item], Result], *, workers: int, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Yield ``work(item)`` for each item, in order, while the next items are read and worked on.

    The items are drawn by a thread of their own, ``workers`` threads work on them, and whoever iterates over the
    results is a stage of its own: reading, working and writing overlap. At most ``workers + ahead + 1`` items are
    anywhere in between, so memory does not depend on how many there are. Closing the iterator early stops the rest.

    Args:
        items: What to work on; iterated in another thread.
        work: Called in worker threads.
        workers: How many calls run at once.
        ahead: How many more items may wait; as many as there are workers by default.

    Raises:
        BaseException: Whatever ``items`` or ``work`` raised, at that item's turn.
    """
    turns: queue.Queue[Future[Result] | None] = queue.Queue()
    room = threading.Semaphore(workers + (workers if ahead is None else ahead))
    stopped = threading.Event()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="work")

    def read() -> None:
        try:
            for item in items:
                room.acquire()
                if stopped.is_set():
                    return
                turns.put(pool.submit(work, item))
        except BaseException as error:  # carried to the thread that iterates, and raised there
            failed: Future[Result] = Future()
            failed.set_exception(error)
            turns.put(failed)
        finally:
            turns.put(None)

    reader = threading.Thread(target=read, name="read", daemon=True)
    reader.start()
    try:
        while (turn := turns.get()) is not None:
            yield turn.result()
            room.release()
    finally:
        stopped.set()
        room.release()
        reader.join()
        pool.shutdown(cancel_futures=True)


class Budget:
    """A bound, in any unit, on what is in memory: those who would exceed it wait; one alone may be of any size."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def spend(self, amount: int) -> Iterator[None]:
        """Hold ``amount`` of the budget while the block runs."""
        amount = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + amount <= self.total)
            self._taken += amount
        try:
            yield
        finally:
            with self._changed:
                self._taken -= amount
                self._changed.notify_all()
