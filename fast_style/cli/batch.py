"""``fast-style batch``."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from fast_style.cli.app import Flag, report_error
from fast_style.cli.options import ParallelEngine, ResultLook, StyleName
from fast_style.cli.ui.outcome import exit_status, left_out_line, summary, with_bar
from fast_style.errors import FastStyleError, InputError, check_least
from fast_style.photos.batch import Batch, run_batch, write_report
from fast_style.photos.manifest import Status
from fast_style.photos.shards import parse_shard


def batch(
    manifest: Path,
    *,
    style: StyleName,
    shard: str | None = None,
    on: Literal["here", "ray"] = "here",
    actors: int | None = None,
    status: Path | None = None,
    merge: Flag = False,
    look: ResultLook = ResultLook(),
    engine: ParallelEngine = ParallelEngine(),
    force: Flag = False,
) -> int:
    """Stylize the photos that a manifest lists, on one machine or on many.

    MANIFEST is a CSV file with the columns in and out: paths, relative to its folder; the suffix of out is the format.
    Photos that are done and have
    not changed are skipped, so the command can be killed and rerun.

    Args:
        manifest: The list.
        style: As for stylize.
        shard: Do only a share, such as 3/64; copies of the command with other numbers do the others.
        on: here, or ray: actors of Ray Data, on the cluster that RAY_ADDRESS names or on this machine.
        actors: Number of actors with --on ray; by default as many as the CPUs allow.
        status: Folder for the ledgers and the status; by default NAME-status beside the manifest.
        merge: Stylize nothing, but write the status of all rows, from all workers.
        look: What results look like.
        engine: What the network runs on.
        force: Overwrite existing results, and redo those that are done.
    """
    began = time.perf_counter()
    _check_options(on, actors, engine, merge=merge, force=force)
    plan = Batch(
        manifest=manifest,
        home=status or manifest.parent / f"{manifest.stem}-status",
        style=engine.style(style, look),
        options=look.photo_options(),
        shard=parse_shard(shard),
        threads=engine.threads,
        force=force,
    )
    counts, left_out = (Counter(), Counter()) if merge else _run(plan, on, engine.jobs, actors)
    file, known = write_report(plan)
    counts = known if merge else counts
    seconds = time.perf_counter() - began
    done, skipped, failed, left = (counts[kind] for kind in ("done", "skipped", "failed", "left"))
    short = f"{done} done, {failed} failed, {left} left" if merge else summary(done, skipped, failed, seconds)
    print(short, file=sys.stderr)
    if left_out:
        print(left_out_line(left_out), file=sys.stderr)
    print(file)
    return exit_status(done + skipped, failed + left)


def _check_options(on: str, actors: int | None, engine: ParallelEngine, *, merge: bool, force: bool) -> None:
    if merge and (on != "here" or actors is not None or engine.jobs is not None or force):
        raise InputError("--merge stylizes nothing", hint="Leave --on, --actors, --jobs and --force out.")
    if on == "ray" and engine.jobs is not None:
        raise InputError("--jobs is for one process", hint="Give --actors with --on ray.")
    if on == "here" and actors is not None:
        raise InputError("--actors is for --on ray", hint="Give --jobs, or --on ray.")
    check_least(1, actors=actors)


def _run(plan: Batch, on: str, jobs: int | None, actors: int | None) -> tuple[Counter[str], Counter[str]]:
    """Stylize the photos and report those that failed; count them by status, and what was left out by reason."""
    statuses: Iterator[Status]
    if on == "here":
        statuses = run_batch(plan, jobs_at_once=jobs)
    else:
        from fast_style.photos.on_ray import run_on_ray

        statuses = run_on_ray(plan, actors=actors)
    counts, left_out = Counter[str](), Counter[str]()
    for row in with_bar(statuses):
        counts["skipped" if row.skipped else row.status] += 1
        left_out.update(row.left_out)
        if row.error:
            report_error(FastStyleError(row.error), about=row.source)
    return counts, left_out
