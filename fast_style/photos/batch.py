"""Stylizing the photos of a manifest: in this process, in many that share the manifest, or in actors of Ray."""

import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fast_style.model.session import core_count
from fast_style.photos.jobs import Job
from fast_style.photos.ledger import Ledger
from fast_style.photos.manifest import Row, Status, read_rows, write_status
from fast_style.photos.run import PhotoOptions, PhotoWorker, explain, settings_key
from fast_style.photos.shards import Shard
from fast_style.pipeline import overlap
from fast_style.stylize.options import StyleOptions
from fast_style.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class Batch:
    """What is to be done: plain data, the same for every worker."""

    manifest: Path  # See `read_rows`. Its paths are relative to its folder.
    home: Path  # folder where ledgers and status go
    style: StyleOptions  # which style, and on what it runs
    options: PhotoOptions  # how photos are stylized and saved
    shard: Shard = Shard()  # the share of this copy of the command
    threads: int | None = None  # of the network for one photo; None shares the cores out
    force: bool = False  # overwrite existing results, and redo those that are done

    def open_ledger(self, stylizer: Stylizer, *, own: str = "") -> Ledger:
        """Open the ledgers beside the manifest, to write to the one of that name."""
        settings = settings_key(stylizer, self.options, self.style.value_range)
        return Ledger(self.home, settings, base=self.manifest.parent, own=own, shard=self.shard)


class Worker:
    """Holds a session and turns rows into what became of them; one for each process or actor.

    So many threads call it ``at_once``. A row is given up after so many ``deaths``, workers that crashed while they
    processed it; with None it never is.

    Raises:
        FastStyleError: The style cannot be opened.
    """

    def __init__(self, batch: Batch, *, at_once: int = 1, deaths: int | None = None) -> None:
        self._batch, self._deaths = batch, deaths
        self._photos = PhotoWorker(batch.style, batch.options, workers=at_once, threads=batch.threads)
        self.ledger = batch.open_ledger(self._photos.stylizer, own=f"-{batch.shard}-{uuid.uuid4().hex[:12]}")

    def __call__(self, row: Row) -> Status:
        """Stylize the photo of a row; whatever is wrong with it is in the status that is returned."""
        if row.error:
            return Status(row.source, row.target, "failed", row.error)
        folder, names = self._batch.manifest.parent, (row.source, row.target)
        job = Job(folder / row.source, folder / row.target)
        outcome = self._photos.work(job, self.ledger, force=self._batch.force, names=names, deaths=self._deaths)
        if outcome.error is not None:
            return Status(*names, "failed", explain(outcome.error), round(outcome.seconds, 4))
        return Status(*names, "done", "", round(outcome.seconds, 4), outcome.skipped, dict(outcome.left_out))


def run_batch(batch: Batch, *, jobs_at_once: int | None = None) -> Iterator[Status]:
    """Stylize the photos of a share here, by default one for each core at once; yield the status of each, in order.

    Raises:
        FastStyleError: The style cannot be opened, or the manifest cannot be read.
    """
    workers = jobs_at_once or max(1, core_count() // (batch.threads or 1))
    worker = Worker(batch, at_once=workers)
    yield from overlap(read_rows(batch.manifest, batch.shard), worker, workers=workers)


def told(ledger: Ledger, result: str, source: str, target: str, error: str) -> Status:
    """What a ledger tells of a result, as the status of a photo that was not refused by such an error before."""
    if error:
        return Status(source, target, "failed", error)
    entry = ledger.latest(result)
    if entry is None:
        return Status(source, target, "left")
    if entry.kind == "begun":
        return Status(source, target, "left", "its worker ended before it was done")
    return Status(source, target, entry.kind, entry.error, entry.seconds)


def write_report(batch: Batch) -> tuple[Path, Counter[str]]:
    """Write what became of each row of a share, as the ledgers of all workers tell, beside these.

    Returns the file, and how many rows have each status.

    Raises:
        FastStyleError: The style cannot be opened, the manifest cannot be read, or the file cannot be written.
    """
    ledger = batch.open_ledger(batch.style.open())
    file = batch.home / ("status.csv" if batch.shard.count == 1 else f"status-{batch.shard}.csv")
    rows = read_rows(batch.manifest, batch.shard)
    return file, write_status(file, (told(ledger, row.target, row.source, row.target, row.error) for row in rows))
