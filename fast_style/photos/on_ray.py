"""Stylizing the photos of a manifest with Ray Data: actors on one machine or on a cluster."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fast_style.errors import FastStyleError, InputError
from fast_style.photos.batch import Batch, Worker
from fast_style.photos.manifest import Row, Status, read_rows

# An actor that crashes is started again, and its rows are tried again. A photo that crashes every actor must not keep a
# cluster busy for ever.
_DEATHS = 3
# Rows in a block, at most: an actor that dies had begun little, and all actors end at nearly the same time.
_ROWS = 128


class Actor:
    """A :class:`Worker` as Ray Data wants it."""

    def __init__(self, batch: Batch, folder: str) -> None:
        with contextlib.suppress(OSError):  # a node need not have it if the style's path is absolute
            os.chdir(folder)
        self._worker = Worker(batch, deaths=_DEATHS)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Stylize the photo of a row; only what became of it goes back, never a picture."""
        status = self._worker(Row(**row))
        # As text: Ray makes one table of all rows, in which each would have every other's reasons.
        return asdict(status) | {"left_out": json.dumps(status.left_out)}


def run_on_ray(batch: Batch, *, actors: int | None = None) -> Iterator[Status]:
    """Stylize the photos of a share in actors; yield the status of each, as they come.

    Ray is that of the environment (``RAY_ADDRESS``, or a job that was submitted), or starts on this machine and ends
    with the iterator. Each actor takes as many CPUs as the network has threads, and with ``device="cuda"`` one GPU.

    Every node needs fast-style, the style, and access to the files. By default there are as many actors as the CPUs
    allow.

    Raises:
        FastStyleError: The style cannot be opened, the manifest cannot be read, there are too few CPUs, or actors die
            again and again.
    """
    # Written by actors, perhaps on other nodes: what is relative must not end up elsewhere.
    masks = tuple(mask.absolute() for mask in batch.options.masks)
    batch = replace(
        batch,
        manifest=batch.manifest.absolute(),
        home=batch.home.absolute(),
        options=replace(batch.options, masks=masks),
        threads=batch.threads or 1,
    )
    batch.style.open()  # errors of the style come before Ray starts
    rows = [asdict(row) for row in read_rows(batch.manifest, batch.shard)]
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
    data = ray.data.from_items(rows, override_num_blocks=min(len(rows), max(4 * count, len(rows) // _ROWS))).map(
        Actor,  # type: ignore[arg-type]  # Ray's annotations leave classes out
        fn_constructor_args=(batch, str(Path.cwd())),  # where the style is sought
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=threads,
        num_gpus=1 if batch.style.device == "cuda" else 0,
    )
    for row in data.iter_rows():
        yield Status(**row | {"left_out": json.loads(row["left_out"])})
