"""``fast-style batch``."""

from __future__ import annotations

import json as json_module
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from fast_style.cli.app import DONE, FAILED, SOME_FAILED, print_error
from fast_style.cli.stylize import Engine, Look
from fast_style.errors import InputError
from fast_style.photos import places
from fast_style.photos.batch import Batch, run_batch, write_report
from fast_style.photos.manifest import Status, check_manifest
from fast_style.photos.shards import parse_shard


def batch(
    manifest: str,
    *,
    style: Annotated[str, Parameter(name=["--style", "-s"])],
    shard: str | None = None,
    on: Literal["here", "ray"] = "here",
    actors: int | None = None,
    status: str | None = None,
    merge: Annotated[bool, Parameter(negative="")] = False,
    look: Look = Look(),  # noqa: B008  # frozen
    engine: Engine = Engine(),  # noqa: B008  # frozen
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Stylize the photos that a manifest lists, on one machine or on many.

    MANIFEST is a CSV or Parquet file with the columns in and out: paths, relative to its folder, or addresses such as
    s3://bucket/photo.jpg. What is done and has not changed is skipped, so the command can be killed and repeated.

    Args:
        manifest: The list, a file or an address.
        style: As for stylize.
        shard: Do a share only, such as 3/64: copies of the command with other numbers do the others.
        on: here, or ray: actors of Ray Data, on the cluster that RAY_ADDRESS names or on this machine.
        actors: How many, with --on ray; by default as many as there are CPUs for.
        status: Folder or address for the ledgers and the status; by default NAME-status beside the manifest.
        merge: Stylize nothing: write the status of all rows, whoever did them.
        look: What results look like; their format follows from out.
        engine: What the network runs on.
        force: Overwrite results that exist, and make those again that are done.
        json: Print what was done for machines.
    """
    began = time.perf_counter()
    # What is wrong with a picture comes in our own words, or does no harm.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    check_manifest(manifest)
    if look.format is not None:
        raise InputError("the format of a result follows from out in the manifest", hint="Leave --format out.")
    if on == "ray" and engine.jobs is not None:
        raise InputError("--jobs is for one process", hint="Give --actors with --on ray.")
    if on == "here" and actors is not None:
        raise InputError("--actors is for --on ray", hint="Give --jobs, or --on ray.")
    if actors is not None and actors < 1:
        raise InputError(f"actors is {actors}; expected at least 1")
    name = Path(manifest).stem
    plan = Batch(
        manifest=manifest,
        home=status or places.join(places.folder_of(manifest), f"{name}-status"),
        style=style,
        options=look.photo_options(),
        shard=parse_shard(shard),
        device=engine.device,
        value_range=engine.value_range,
        strength=look.strength,
        threads=engine.threads,
        force=force,
    )
    counts: Counter[str] = Counter()
    if not merge:
        for found in _with_bar(_run(plan, on, engine.jobs, actors)):
            counts["skipped" if found.skipped else found.status] += 1
            if found.error:
                about = "" if found.source in found.error else f"{found.source}: "
                print_error(f"{about}{found.error}", None)
    file, known = write_report(plan)
    counts = known if merge else counts
    seconds = round(time.perf_counter() - began, 1)
    done, skipped, failed, left = (counts[kind] for kind in ("done", "skipped", "failed", "left"))
    if json:
        told = {"stylized": done, "skipped": skipped, "failed": failed, "left": left, "seconds": seconds}
        print(json_module.dumps(told | {"status": file}))
    else:
        if merge:
            print(f"{done} done, {failed} failed, {left} left", file=sys.stderr)
        else:
            already = f", {skipped} done before" if skipped else ""
            print(f"{done} stylized{already}, {failed} failed in {seconds} s", file=sys.stderr)
        print(file)
    if failed + left == 0:
        return DONE
    return SOME_FAILED if done + skipped else FAILED


def _run(plan: Batch, on: str, jobs: int | None, actors: int | None) -> Iterator[Status]:
    if on == "here":
        return run_batch(plan, jobs_at_once=jobs)
    from fast_style.photos.on_ray import run_on_ray

    return run_on_ray(plan, actors=actors)


def _with_bar(statuses: Iterator[Status]) -> Iterator[Status]:
    """Pass the statuses on, with a bar on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(statuses, description="stylizing", console=console, disable=not console.is_terminal)
