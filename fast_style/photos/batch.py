"""Stylizing the photos of a manifest: in this process, in many that share the manifest, or in actors of Ray."""

from __future__ import annotations

import itertools
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fast_style.errors import FastStyleError, InputError
from fast_style.files import sweep
from fast_style.model import core_count
from fast_style.photos import places
from fast_style.photos.jobs import Job
from fast_style.photos.ledger import Ledger
from fast_style.photos.manifest import Row, Status, read_rows, write_status
from fast_style.photos.run import PhotoOptions, PhotoWorker, explain, settings_key
from fast_style.photos.shards import Shard
from fast_style.pipeline import overlap
from fast_style.stylize.options import StyleOptions
from fast_style.stylize.stylizer import Stylizer

# Rows between two notes in a ledger that lies in a store, where a note is a request; on a disk each row is noted.
ROWS_AT_ONCE = 32


@dataclass(frozen=True)
class Batch:
    """What is to be done: plain data, the same for every worker.

    Attributes:
        manifest: A path or an address, see :func:`fast_style.photos.manifest.read_rows`. Its paths are relative to its
            folder.
        home: Folder, or address of one, where ledgers and status go.
        style: Which style, and on what it runs.
        options: How photos are stylized and saved.
        shard: The share of this copy of the command.
        threads: Of the network for one photo; None shares the cores out.
        force: Overwrite existing results, and redo those that are done.
    """

    manifest: str
    home: str
    style: StyleOptions
    options: PhotoOptions
    shard: Shard = Shard()
    threads: int | None = None
    force: bool = False

    def open_ledger(self, stylizer: Stylizer, *, own: str = "", read: bool = True) -> Ledger:
        """Open the ledgers beside the manifest, to write to the one of that name."""
        settings = settings_key(stylizer, self.options, self.style.value_range)
        base = places.folder_of(self.manifest)
        return Ledger(self.home, settings, base=base, own=own, shard=self.shard, read=read)


class Worker:
    """Holds a session and turns rows into what became of them; one for each process or actor.

    What is wrong with a photo is in its status, whatever it is: one bad file must not end the work on a million others.

    Args:
        batch: What is to be done.
        at_once: Threads that call it.
        read: Whether to read the ledgers now; otherwise ``ledger.learn`` is told what they say of each row.
        deaths: Give a row up once so many workers have ended while they were at it; None never does.

    Raises:
        FastStyleError: The style cannot be opened.
    """

    def __init__(self, batch: Batch, *, at_once: int = 1, read: bool = True, deaths: int | None = None) -> None:
        self._batch, self._deaths = batch, deaths
        self._photos = PhotoWorker(batch.style.open, batch.options, at_once, batch.threads, None)
        own = f"-{batch.shard}-{uuid.uuid4().hex[:12]}"
        self.ledger = batch.open_ledger(self._photos.stylizer, own=own, read=read)

    def __call__(self, rows: Iterable[Row]) -> list[Status]:
        """Stylize the photos of some rows, one after the other; return what became of each."""
        statuses: list[Status] = []
        found = []
        for row in rows:
            if row.error:
                statuses.append(Status(row.source, row.target, "failed", row.error))
                continue
            work = None
            try:
                work = self.ledger.look(row.source, row.target)
                if not self._batch.force and self.ledger.skips(work):
                    statuses.append(Status(row.source, row.target, "done", skipped=True))
                elif not self._batch.force and self.ledger.deaths(work) >= (self._deaths or sys.maxsize):
                    raise InputError(
                        f"{self._deaths} workers ended while they were at {row.source}",
                        hint="Look whether memory ran out; --force tries again.",
                    )
                else:
                    if self.ledger.deaths(work):
                        self._sweep(row)
                    found.append((row, work))
            except FastStyleError as error:
                statuses.append(Status(row.source, row.target, "failed", explain(error)))
                if work is not None:
                    self.ledger.end([(work, 0.0, explain(error))])
        self.ledger.begin(work for _, work in found)
        made = [(work, self._do(row)) for row, work in found]
        self.ledger.end((work, status.seconds, status.error) for work, status in made)
        return statuses + [status for _, status in made]

    def _sweep(self, row: Row) -> None:
        target = places.join(places.folder_of(self._batch.manifest), row.target)
        if not places.is_remote(target):
            sweep(Path(target))

    def _do(self, row: Row) -> Status:
        base = places.folder_of(self._batch.manifest)
        source, target = places.join(base, row.source), places.join(base, row.target)
        start = time.perf_counter()
        try:
            with places.fetched(source) as photo, places.delivered(target) as result:
                error = explain(self._photos.do(Job(photo, result)).error)
                # A copy has a name that nobody knows.
                error = error.replace(str(photo), source).replace(str(result), target)
        except FastStyleError as own:
            error = explain(own)
        except Exception as other:  # a mistake of ours, which the others need not suffer from
            error = f"{type(other).__name__}: {other}. This is a mistake of fast-style."
        seconds = round(time.perf_counter() - start, 4)
        return Status(row.source, row.target, "failed" if error else "done", error, seconds)


def run_batch(batch: Batch, *, jobs_at_once: int | None = None) -> Iterator[Status]:
    """Stylize the photos of a share in this process; yield what became of each.

    Args:
        batch: What is to be done.
        jobs_at_once: Photos at once; by default as many as there are cores.

    Raises:
        FastStyleError: The style cannot be opened, or the manifest cannot be read.
    """
    workers = jobs_at_once or max(1, core_count() // (batch.threads or 1))
    worker = Worker(batch, at_once=workers)
    rows = read_rows(batch.manifest, batch.shard)
    for statuses in overlap(_groups(rows, rows_at_once(batch)), worker, workers=workers):
        yield from statuses


def report(batch: Batch) -> Iterator[Status]:
    """Tell what became of each row of a share, from the ledgers of all workers, living or dead.

    Raises:
        FastStyleError: The style cannot be opened, or the manifest cannot be read.
    """
    ledger = batch.open_ledger(batch.style.open())
    for row in read_rows(batch.manifest, batch.shard):
        if row.error:
            yield Status(row.source, row.target, "failed", row.error)
        else:
            yield told(ledger, row.target, row.source, row.target)


def told(ledger: Ledger, result: str, source: str, target: str) -> Status:
    """What a ledger tells of a result, as the status of a photo and the place of its result."""
    entry = ledger.latest(result)
    if entry is None:
        return Status(source, target, "left")
    if entry.kind == "begun":
        return Status(source, target, "left", "its worker ended before it was done")
    return Status(source, target, entry.kind, entry.error, entry.seconds)


def status_file(batch: Batch) -> str:
    """Where the status of a share is written: in the manifest's own format."""
    share = "" if batch.shard.count == 1 else f"-{batch.shard}"
    return places.join(batch.home, f"status{share}{Path(batch.manifest).suffix.lower()}")


def write_report(batch: Batch) -> tuple[str, Counter[str]]:
    """Write what became of each row of a share beside the ledgers; return where, and how many have each status."""
    counts: Counter[str] = Counter()

    def counted() -> Iterator[Status]:
        for status in report(batch):
            counts[status.status] += 1
            yield status

    file = status_file(batch)
    write_status(file, counted())
    return file, counts


def rows_at_once(batch: Batch) -> int:
    """How many rows a worker is given at once."""
    return ROWS_AT_ONCE if places.is_remote(batch.home) else 1


def _groups(rows: Iterator[Row], size: int) -> Iterator[Sequence[Row]]:
    while group := list(itertools.islice(rows, size)):
        yield group
