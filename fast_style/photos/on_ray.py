"""Stylizing the photos of a manifest with Ray Data: actors on one machine or on a cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fast_style.errors import FastStyleError, InputError
from fast_style.photos import places
from fast_style.photos.batch import ROWS_AT_ONCE, Batch, Worker, rows_at_once
from fast_style.photos.manifest import Row, Status, read_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# An actor that dies is started again, and its rows are tried again. A photo that kills whoever opens it must not keep
# a cluster busy for ever.
_DEATHS = 3
# Rows that an actor is handed at once, at least.
_ROWS = 4


class Actor:
    """A :class:`Worker` as Ray Data wants it: from columns to columns.

    Args:
        batch: What is to be done.
    """

    def __init__(self, batch: Batch) -> None:
        import ray

        # The one before has left a ledger.
        self._again = ray.get_runtime_context().was_current_actor_reconstructed
        self._worker = Worker(batch, read=self._again, deaths=_DEATHS)

    def __call__(self, columns: dict[str, NDArray[np.object_]]) -> dict[str, list[Any]]:
        """Stylize the photos of some rows; only what became of them goes back, never a picture."""
        if not self._again:
            for lines in columns["known"]:
                self._worker.ledger.learn(json.loads(lines))
        rows = [Row(*map(str, row)) for row in zip(columns["source"], columns["target"], columns["error"], strict=True)]
        # After a death one by one: only the row that is to blame may be begun again and again.
        groups = [[row] for row in rows] if self._again else [rows]
        statuses = [asdict(status) for group in groups for status in self._worker(group)]
        return {name: [status[name] for status in statuses] for name in Status.__dataclass_fields__}


def run_on_ray(batch: Batch, *, actors: int | None = None) -> Iterator[Status]:
    """Stylize the photos of a share in actors; yield the status of each, as they come.

    Ray is that of the environment (``RAY_ADDRESS``, or a job that was submitted), or starts on this machine and ends
    with the iterator. Each actor takes as many CPUs as the network has threads, and with ``device="cuda"`` one GPU.

    Args:
        batch: What is to be done. Every node needs fast-style, the style, and a way to the files.
        actors: How many; by default as many as there are CPUs for.

    Raises:
        FastStyleError: The style cannot be opened, the manifest cannot be read, there are too few CPUs, or actors die
            again and again.
    """
    batch = _from_any_folder(batch)
    ledger = batch.open_ledger(batch.style.open())  # errors of the style come before Ray starts
    rows = [
        {"source": row.source, "target": row.target, "error": row.error, "known": json.dumps(ledger.lines(row.target))}
        for row in read_rows(batch.manifest, batch.shard)
    ]
    if not rows:
        return
    # Read when Ray is imported: no usage reports; and actors that ask for no GPU see none, in later versions, too.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    import ray
    import ray.exceptions

    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    try:
        yield from _statuses(batch, rows, actors)
    except ray.exceptions.RayError as error:
        raise FastStyleError(
            f"Ray gave up: {str(error).strip().splitlines()[-1]}",
            hint="What is done is kept: --merge lists the rows that are left, and the same command resumes with them.",
        ) from error
    finally:
        if started:
            ray.shutdown()


def _from_any_folder(batch: Batch) -> Batch:
    """Make paths absolute, and threads a number: actors need not be in this folder."""
    style = batch.style
    if Path(style.style).is_file():
        style = replace(style, style=places.absolute(str(style.style)))
    return replace(
        batch,
        manifest=places.absolute(batch.manifest),
        home=places.absolute(batch.home),
        style=style,
        threads=batch.threads or 1,
    )


def _statuses(batch: Batch, rows: list[dict[str, str]], actors: int | None) -> Iterator[Status]:
    """Divide rows among actors; Ray runs."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    threads = batch.threads or 1
    most = int(ray.cluster_resources().get("CPU", 0)) // threads  # type: ignore[no-untyped-call]
    count = actors or max(1, most)
    if count > most:
        raise InputError(
            f"{count} actors of {threads} threads need {count * threads} CPUs; Ray has {most * threads}",
            hint="Give fewer --actors or --threads, or add nodes.",
        )
    # Small blocks: an actor that dies had begun little, and all actors end at nearly the same time.
    blocks = max(1, min(len(rows), max(4 * count, len(rows) // (4 * ROWS_AT_ONCE))))
    data = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        Actor,
        fn_constructor_args=(batch,),
        # A batch may hold several blocks together; a small one lets each actor have work.
        batch_size=max(_ROWS, rows_at_once(batch)),
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=threads,
        num_gpus=1 if batch.style.device == "cuda" else 0,
    )
    for row in data.iter_rows():
        yield Status(**row)
