"""``fast-style stylize``."""

from __future__ import annotations

import contextlib
import functools
import json as json_module
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fast_style.cli.app import INTERRUPTED, Flag, Out, print_error, report_error
from fast_style.cli.options import AUTOMATION, FileLook, Film, JsonFlag, ParallelEngine, StyleName
from fast_style.cli.ui.outcome import exit_status, left_out_line, summary, with_bar
from fast_style.errors import FastStyleError, InputError
from fast_style.files import check_new
from fast_style.model.session import core_count
from fast_style.photos.jobs import STREAM, Job, check_video, named_files, plan_jobs
from fast_style.photos.run import PhotoOptions, PhotoOutcome, stylize_photos
from fast_style.photos.shards import parse_shard
from fast_style.styles.mixture import mixture_name

if TYPE_CHECKING:
    from rich.progress import Progress

    from fast_style.films.video import VideoOptions
    from fast_style.stylize.options import StyleOptions

Record = dict[str, Any]


def stylize(
    *inputs: Path,
    style: StyleName,
    out: Out | None = None,
    look: FileLook = FileLook(),
    film: Film = Film(),
    engine: ParallelEngine = ParallelEngine(),
    shard: Annotated[str | None, Parameter(group=AUTOMATION)] = None,
    merge: Annotated[Flag, Parameter(group=AUTOMATION)] = False,
    force: Flag = False,
    json: JsonFlag = False,
) -> int:
    """Stylize photos and videos.

    Rerunning on a folder resumes it: photos that are done and have not changed are skipped.

    Args:
        inputs: Photos, videos, folders of photos at any depth, numbered pictures such as frames/%05d.png, or - for
            standard input.
        style: The name of a shipped style, an ONNX file, hf:OWNER/NAME on the Hugging Face hub,
            or a mixture such as starry-night:0.7,udnie:0.3.
        out: A file for one input, a folder for several, or - for standard output. By default results go beside
            the inputs as NAME-STYLE with their suffix, or into a folder NAME-STYLE.
        look: What results look like.
        film: Options of videos only.
        engine: What the network runs on.
        shard: Do only a share of a folder, such as 3/64; copies of the command with other numbers do the others.
        merge: Stylize nothing, but write the status of each photo of a folder, from all shards, to status.csv in OUT.
        force: Overwrite existing results, and redo those that are done.
        json: Print the results as JSON.
    """
    began = time.perf_counter()
    share = parse_shard(shard)
    plan = plan_jobs(inputs, out, mixture_name(style), look.format, shard=share)
    if sys.stdout.isatty() and any(job.target == STREAM for job in plan.jobs):
        raise InputError("a picture cannot be shown by a terminal", hint="Send it on, as in '-o - | display -'.")
    opening = engine.style(style, look)
    photo_options = look.photo_options()  # even if there are none, as it may fail
    if merge:
        if json:
            raise InputError("--merge writes its table as CSV", hint="Leave --json out.")
        return _merge(plan.jobs, opening, photo_options)
    photos = [job for job in plan.jobs if not _is_film(job, film)]
    videos = [job for job in plan.jobs if _is_film(job, film)]
    # One command may be meant for many folders, and for inputs that fail this time.
    if plan.jobs and all(job.folder is None and job.error is None for job in plan.jobs):
        if not videos:
            _refuse(film, vars(film), "videos")
        if not photos:
            _refuse(look, ("format", "max_megapixels"), "photos")
    masks = look.mask or []
    taken = {file.resolve() for mask in masks for file in named_files(mask)}
    for target in (file for job in plan.jobs if masks for file in named_files(job.target)):
        check_new(target, force=True, inputs=[target] if target.resolve() in taken else masks)
    # Before anything is done, as it may fail: options may be wrong, and the video libraries may not be installed.
    video_options = film.video_options(look) if videos else None
    records: list[Record] = []
    hints: set[str] = set()
    if photos:
        with _large_photo_bar() as move:
            outcomes = stylize_photos(
                photos,
                opening,
                photo_options,
                jobs_at_once=engine.jobs,
                threads=engine.threads,
                force=force,
                shard=share,
                progress=move,
            )
            try:
                for outcome in outcomes if len(photos) == 1 else with_bar(outcomes, len(photos)):
                    records.append(_photo(outcome, hints))
                    plan.left_out.update(outcome.left_out)
            except KeyboardInterrupt:
                if any(job.folder is not None for job in photos):
                    print(f"{len(records)} of {len(photos)} done; the same command does the rest", file=sys.stderr)
                raise
    if video_options is not None:
        records += _videos(videos, opening, video_options, engine, force=force, quiet=json)
    left_out = +plan.left_out
    if json:
        told = [*records, {"left_out": left_out}] if left_out else records
        print(json_module.dumps(told), file=sys.stderr if out == STREAM else sys.stdout)
    else:
        single = len(plan.jobs) == 1 and share.count == 1
        _report([*photos, *videos], records, time.perf_counter() - began, single=single)
        if left_out:
            print(left_out_line(left_out), file=sys.stderr)
    if any("interrupted" in record for record in records):
        return INTERRUPTED
    done = sum("error" not in record or bool(record.get("frames")) for record in records)
    return exit_status(done, sum("error" in record for record in records))


def _is_film(job: Job, film: Film) -> bool:
    """Whether a job is done as a film; a GIF whose result is one is an animation, unless options of films are given."""
    both_gif = {job.source.suffix.lower(), job.target.suffix.lower()} == {".gif"}
    return job.is_video or (both_gif and job.error is None and job.folder is None and film != Film())


def _refuse(options: Film | FileLook, names: Iterable[str], kind: str) -> None:
    """Refuse those of the options that are given, as there are no photos or videos that they are for."""
    default = type(options)()
    given = [
        f"--{'no-' * (getattr(default, name) is True)}{name.replace('_', '-')}"
        for name in names
        if getattr(options, name) != getattr(default, name)
    ]
    if given:
        raise InputError(f"{' and '.join(given)}: only for {kind}, and none are given", hint="Leave that out.")


def _report(jobs: Sequence[Job], records: Sequence[Record], seconds: float, *, single: bool) -> None:
    """Print a summary to stderr, and where results are to stdout unless that holds a picture."""
    written = [job for job, record in zip(jobs, records, strict=False) if "error" not in record]
    if single:
        places = [job.target for job in written if not job.is_video]
    else:
        skipped = sum("skipped" in record for record in records)
        print(summary(len(written) - skipped, skipped, len(records) - len(written), seconds), file=sys.stderr)
        places = [job.folder or job.target.parent for job in written]
    if all(job.target != STREAM for job in jobs):
        for place in dict.fromkeys(places):
            print(place)


def _merge(jobs: Sequence[Job], opening: StyleOptions, options: PhotoOptions) -> int:
    """Write what the ledgers of each folder of results say."""
    from fast_style.photos.batch import told
    from fast_style.photos.ledger import Ledger
    from fast_style.photos.manifest import write_status
    from fast_style.photos.run import explain, settings_key

    folders: dict[Path, list[Job]] = {}
    for job in jobs:
        if job.folder is None:
            hint = "Give the folder that was stylized."
            raise job.error or InputError("only folders of photos have ledgers to merge", hint=hint)
        folders.setdefault(job.folder, []).append(job)
    settings = settings_key(opening.open(), options, opening.value_range)
    counts: Counter[str] = Counter()
    for folder, content in folders.items():
        ledger = Ledger(folder, settings)
        statuses = (told(ledger, job.names[1], str(job.source), str(job.target), explain(job.error)) for job in content)
        counts += write_status(folder / "status.csv", statuses)
        print(folder / "status.csv")
    print(f"{counts['done']} done, {counts['failed']} failed, {counts['left']} left", file=sys.stderr)
    return exit_status(counts["done"], counts["failed"] + counts["left"])


def _photo(outcome: PhotoOutcome, hints: set[str]) -> Record:
    """Report what became of a photo, with each hint only once; return its record."""
    record: Record = {"input": str(outcome.job.source), "output": str(outcome.job.target)}
    if outcome.error is not None:
        record["error"] = str(outcome.error)
        hint = None if outcome.error.hint in hints else outcome.error.hint
        hints |= {hint} if hint else set()
        report_error(FastStyleError(str(outcome.error), hint=hint), about=str(outcome.job.source))
    elif outcome.size is None:
        record["skipped"] = True
    else:
        record |= {"width": outcome.size[0], "height": outcome.size[1]}
        if outcome.frames > 1:
            record["frames"] = outcome.frames
    return record | {"seconds": round(outcome.seconds, 4)}


def _videos(
    jobs: list[Job], opening: StyleOptions, options: VideoOptions, engine: ParallelEngine, *, force: bool, quiet: bool
) -> Iterator[Record]:
    """Stylize videos in turn, each with a bar, until the user stops it; yield their records."""
    from fast_style.cli.ui.progress import frame_progress
    from fast_style.films.video import stylize_video

    at_once = {"workers": engine.jobs, "threads": engine.threads}
    workers = engine.jobs or max(1, core_count() // (engine.threads or 1))
    stylizer = opening.open(engine.threads or max(1, core_count() // workers))
    # A service manager stops with SIGTERM: that, too, leaves a video that plays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for job in jobs:
        record: Record = {"input": str(job.source), "output": str(job.target)}
        start = time.perf_counter()
        try:
            check_video(job, force=force)
            with frame_progress(job.source.name) as progress:
                report = stylize_video(job.source, job.target, stylizer, options, **at_once, progress=progress)
            rate = report.frames / (time.perf_counter() - start)
            record |= {"width": report.width, "height": report.height, "frames": report.frames, "fps": round(rate, 2)}
            if report.interrupted:
                record["interrupted"] = True
                print_error(f"interrupted; {job.target} holds the {report.frames} frames so far")
            if report.notes:
                record["notes"] = report.notes
                print(f"{job.source}: {'; '.join(report.notes)}", file=sys.stderr)
            if report.losses:
                record |= {"lost": report.losses.frames, "error": "; ".join(report.losses.reasons)}
                about = f"frames lost or damaged: {report.losses.frames}"
                print_error(f"{job.source}: {about}: {record['error']}", f"{job.target} holds what could be read.")
            if not quiet and not report.interrupted:
                print(f"{job.target}: {report.frames} frames, {record['fps']:.1f} a second", file=sys.stderr)
        except FastStyleError as error:
            record["error"] = str(error)
            report_error(error, about=str(job.source))
        yield record | {"seconds": round(time.perf_counter() - start, 4)}
        if "interrupted" in record:
            return


@contextlib.contextmanager
def _large_photo_bar() -> Iterator[Callable[[float], None]]:
    """Yield what shows the share that is done of a large photo, 0.0 to 1.0; the bar appears at the first call."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def bar() -> Progress:
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True)
            shown = Progress(console=console, disable=not console.is_terminal)
            shown.add_task("stylizing", total=1.0)
            return stack.enter_context(shown)

        yield lambda share: bar().update(bar().task_ids[0], completed=share)
