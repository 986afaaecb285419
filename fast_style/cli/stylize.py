"""``fast-style stylize``."""

from __future__ import annotations

import json as json_module
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fast_style.cli.app import DONE, FAILED, INTERRUPTED, SOME_FAILED, print_error, report_error
from fast_style.errors import FastStyleError, InputError
from fast_style.files import make_parent
from fast_style.images import MAX_PIXELS
from fast_style.model import Device, core_count
from fast_style.photos.jobs import STREAM, Format, Job, check_video, plan_jobs
from fast_style.photos.run import PhotoOptions, PhotoOutcome, stylize_photos
from fast_style.photos.shards import parse_shard
from fast_style.styles.mixture import mixture_name
from fast_style.stylize.contract import Range

if TYPE_CHECKING:
    from rich.progress import Progress

    from fast_style.films.video import VideoOptions
    from fast_style.stylize.stylizer import Stylizer

Record = dict[str, Any]


@Parameter(name="*")
@dataclass(frozen=True)
class Look:
    """What results look like.

    Args:
        size: Shrink the long side to this many px first.
        blend: 0 is the photo, 1 the full style.
        keep_colors: Take only brightness from the style.
        strokes: How much larger the strokes of photos are, 1 to 16; by default 2 from 2048 px on, 4 from 4096 px on.
        format: Format of photos: png, jpg, webp or tif; by default that of OUT's name, or the input's. Files of 16 bits
            a channel stay so as png and tif, with the extra 'large'.
        quality: Quality of jpg, webp and videos, 1 to 100; by default 92 for photos and 64 for videos.
        strength: How strong the style is painted, 0.25 to 4, if it learned that; unlike blend, it does not fade.
        mask: A picture: the style is painted where it is white. Several, for as many styles: --style udnie,the-scream
            --mask sky.png ground.png. For a video it may be a video, too. For up to 12 megapixels.
        max_megapixels: Refuse larger photos, 89 by default: a small file can pretend to be huge.
    """

    size: int | None = None
    blend: float = 1.0
    keep_colors: Annotated[bool, Parameter(negative="")] = False
    strokes: float | None = None
    format: Format | None = None
    quality: int | None = None
    strength: float = 1.0
    mask: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None
    max_megapixels: int | None = None

    def photo_options(self) -> PhotoOptions:
        """What photos are stylized and saved with."""
        return PhotoOptions(
            size=self.size,
            blend=self.blend,
            keep_colors=self.keep_colors,
            quality=92 if self.quality is None else self.quality,
            format={"jpg": "JPEG", "webp": "WEBP", "tif": "TIFF"}.get(self.format or "png", "PNG"),
            strokes=self.strokes,
            masks=tuple(self.mask or ()),
            max_pixels=MAX_PIXELS if self.max_megapixels is None else self.max_megapixels * 1_000_000,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class Film:
    """What is said of videos only.

    Args:
        fps: Frames a second of a video, such as 30 or 30000/1001; without it, times are kept exactly.
        start: Leave out what is before in a video: seconds, or h:mm:ss.
        end: Stop there.
        codec: Codec of a video: h264, h265, vp9, av1, or an FFmpeg encoder's name.
        side_by_side: The original on the left of a video's result.
        steady: Hold still what does not move in a video.
        audio: Copy a video's sound.
        subtitle: Copy a video's subtitles.
    """

    fps: str | None = None
    start: str | None = None
    end: str | None = None
    codec: str | None = None
    side_by_side: Annotated[bool, Parameter(negative="")] = False
    steady: Annotated[bool, Parameter(negative="")] = False
    audio: bool = True
    subtitle: bool = True

    def video_options(self, look: Look) -> VideoOptions:
        """What videos are stylized and written with."""
        from fast_style.films.video import VideoOptions

        return VideoOptions(
            size=look.size,
            fps=_rate(self.fps),
            start=_seconds(self.start) or 0.0,
            end=_seconds(self.end),
            blend=look.blend,
            keep_colors=look.keep_colors,
            side_by_side=self.side_by_side,
            steady=self.steady,
            masks=tuple(look.mask or ()),
            audio=self.audio,
            subtitle=self.subtitle,
            codec=self.codec,
            quality=64 if look.quality is None else look.quality,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class Engine:
    """What the network runs on.

    Args:
        value_range: The values that a model from elsewhere takes and gives, 0-1 or 0-255.
        device: auto, cpu, cuda, …; an error if it is not the one that would run.
        jobs: Photos or frames at once; without it, one for each core.
        threads: CPU threads for one photo or frame; by default the cores are shared out.
    """

    value_range: Annotated[Range | None, Parameter(name="--range")] = None
    device: Device = "auto"
    jobs: Annotated[int | None, Parameter(name=["--jobs", "-j"])] = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        for name, value in (("jobs", self.jobs), ("threads", self.threads)):
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected at least 1")


def stylize(
    *inputs: Path,
    style: Annotated[str, Parameter(name=["--style", "-s"])],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    look: Look = Look(),
    film: Film = Film(),
    engine: Engine = Engine(),
    shard: str | None = None,
    merge: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Stylize photos and videos: one, several, a folder of photos with its tree, or - for standard input.

    A folder that was stylized before is gone on with: what is done and has not changed is skipped.

    Args:
        inputs: Photos, videos, folders of photos, numbered pictures as frames/%05d.png, or - .
        style: The name of a shipped style, an ONNX file, hf:OWNER/NAME on the Hugging Face hub,
            or a mixture such as starry-night:0.7,udnie:0.3.
        out: A file for one input, a folder for several, or - for standard output. Without it results stand beside
            the inputs as NAME-STYLE.png, or in a folder NAME-STYLE.
        look: What results look like.
        film: What concerns videos only.
        engine: What the network runs on.
        shard: Do a share of a folder only, such as 3/64: copies of the command with other numbers do the others.
        merge: Stylize nothing: write what became of each photo of a folder, whoever did it, to status.csv in OUT.
        force: Overwrite results that exist, and make those again that are done.
        json: Print what was done for machines.
    """
    began = time.perf_counter()
    # What is wrong with a picture comes in our own words, or does no harm.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    share = None if shard is None else parse_shard(shard)
    plan = plan_jobs(inputs, out, mixture_name(style), look.format, shard=share)
    if merge:
        return _merge(plan, style, look, engine)
    photos, videos = [job for job in plan if not job.is_video], [job for job in plan if job.is_video]
    # Before anything is done, as it may fail: options may be wrong, and the video libraries may not be installed.
    video_options = film.video_options(look) if videos else None
    records: list[Record] = []
    if photos:
        bar = _LargePhotoBar()
        outcomes = stylize_photos(
            photos,
            style,
            look.photo_options(),
            device=engine.device,
            value_range=engine.value_range,
            jobs_at_once=engine.jobs,
            threads=engine.threads,
            force=force,
            strength=look.strength,
            shard=share,
            progress=bar.move,
        )
        with bar:
            records += map(_photo, _with_bar(outcomes, len(photos)))
    if video_options is not None:
        records += _videos(videos, style, look.strength, video_options, engine, force=force, quiet=json)
    failed = sum("error" in record for record in records)
    if json:
        print(json_module.dumps(records), file=sys.stderr if out == STREAM else sys.stdout)
    elif len(plan) > 1 or share is not None:
        skipped = sum("skipped" in record for record in records)
        already = f", {skipped} done before" if skipped else ""
        seconds = time.perf_counter() - began
        done = len(records) - failed - skipped
        print(f"{done} stylized{already}, {failed} failed in {seconds:.1f} s", file=sys.stderr)
        if all(job.target != STREAM for job in plan):  # or standard output holds a picture
            written = [job for job, record in zip([*photos, *videos], records, strict=False) if "error" not in record]
            for place in dict.fromkeys(job.folder or job.target.parent for job in written):
                print(place)
    elif photos and photos[0].target != STREAM and not failed:
        print(f"{photos[0].target}")
    if any("interrupted" in record for record in records):
        return INTERRUPTED
    if failed and all("error" in record and not record.get("frames") for record in records):
        return FAILED
    return SOME_FAILED if failed else DONE


def _merge(plan: list[Job], style: str, look: Look, engine: Engine) -> int:
    """Write what the ledgers of each folder of results say."""
    from fast_style.photos.batch import told
    from fast_style.photos.ledger import Ledger
    from fast_style.photos.manifest import Status, write_status
    from fast_style.photos.run import explain, settings_key
    from fast_style.stylize.stylizer import Stylizer

    folders = list(dict.fromkeys(job.folder for job in plan if job.folder is not None))
    for job in plan:
        if job.error is not None and job.folder is None:
            raise job.error
    if not folders or any(job.folder is None for job in plan):
        raise InputError("only folders of photos have ledgers to merge", hint="Give the folder that was stylized.")
    stylizer = Stylizer(style, device=engine.device, value_range=engine.value_range, strength=look.strength)
    settings = settings_key(stylizer, look.photo_options(), engine.value_range)
    counts: Counter[str] = Counter()
    for folder in folders:
        ledger = Ledger(folder, settings)
        jobs = [job for job in plan if job.folder == folder]
        statuses = [
            told(ledger, job.names[1], str(job.source), str(job.target))
            if job.error is None
            else Status(str(job.source), str(job.target), "failed", explain(job.error))
            for job in jobs
        ]
        counts.update(status.status for status in statuses)
        write_status(str(folder / "status.csv"), statuses)
        print(folder / "status.csv")
    print(f"{counts['done']} done, {counts['failed']} failed, {counts['left']} left", file=sys.stderr)
    if counts.keys() <= {"done"}:
        return DONE
    return SOME_FAILED if counts["done"] else FAILED


def _photo(outcome: PhotoOutcome) -> Record:
    """Report what became of a photo; return its record."""
    record: Record = {"input": str(outcome.job.source), "output": str(outcome.job.target)}
    if outcome.error is not None:
        record["error"] = str(outcome.error)
        report_error(outcome.error, about=str(outcome.job.source))
    elif outcome.size is None:
        record["skipped"] = True
    else:
        record |= {"width": outcome.size[0], "height": outcome.size[1]}
    return record | {"seconds": round(outcome.seconds, 4)}


def _videos(
    jobs: list[Job], style: str, strength: float, options: VideoOptions, engine: Engine, *, force: bool, quiet: bool
) -> Iterator[Record]:
    """Stylize videos in turn, until the user stops it; yield their records."""
    from fast_style.stylize.stylizer import Stylizer

    workers = engine.jobs or max(1, core_count() // (engine.threads or 1))
    threads = engine.threads or max(1, core_count() // workers)
    stylizer = Stylizer(style, device=engine.device, threads=threads, value_range=engine.value_range, strength=strength)
    # A service manager stops with SIGTERM: that, too, leaves a video that plays.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for job in jobs:
        record = _video(job, stylizer, options, engine.jobs, force, quiet)
        yield record
        if "interrupted" in record:
            return


def _video(
    job: Job, stylizer: Stylizer, options: VideoOptions, workers: int | None, force: bool, quiet: bool
) -> Record:
    """Stylize one video with a bar; return its record."""
    from fast_style.cli.ui.progress import frame_progress
    from fast_style.films.video import stylize_video

    record: Record = {"input": str(job.source), "output": str(job.target)}
    start = time.perf_counter()
    try:
        check_video(job, force=force)
        make_parent(job.target)
        with frame_progress(job.source.name) as progress:
            report = stylize_video(job.source, job.target, stylizer, options, workers=workers, progress=progress)
        seconds = time.perf_counter() - start
        record |= {"width": report.width, "height": report.height, "frames": report.frames}
        record["fps"] = round(report.frames / seconds, 2)
        if report.interrupted:
            record["interrupted"] = True
            print_error(f"interrupted; {job.target} holds the {report.frames} frames so far", None)
        if report.losses:
            record |= {"lost": report.losses.frames, "error": "; ".join(report.losses.reasons)}
            about = f"{report.losses.frames} frames lost or damaged"
            print_error(f"{job.source}: {about}: {record['error']}", f"{job.target} holds what could be read.")
        if not quiet and not report.interrupted:
            print(f"{job.target}: {report.frames} frames, {record['fps']:.1f} a second", file=sys.stderr)
    except FastStyleError as error:
        record["error"] = str(error)
        report_error(error, about=str(job.source))
    record["seconds"] = round(time.perf_counter() - start, 4)
    return record


def _seconds(text: str | None) -> float | None:
    """Parse 83.5, 1:23.5 or 0:01:23.5."""
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(not 0 <= part < 1e7 for part in parts):
            raise ValueError
    except ValueError:
        raise InputError(f"{text!r} is not a time; expected seconds or h:mm:ss") from None
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


def _rate(text: str | None) -> Fraction | None:
    """Parse 30, 29.97 or 30000/1001."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is not a rate; expected frames a second, such as 30 or 30000/1001") from None
    if not 0 < rate <= 1000 or rate.denominator > 100_000:
        raise InputError(f"fps is {text}; expected more than 0 and at most 1000")
    return rate


def _with_bar(outcomes: Iterator[PhotoOutcome], total: int) -> Iterator[PhotoOutcome]:
    """Pass the outcomes on, with a bar on stderr if there are several."""
    if total < 2:
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, description="stylizing", total=total, console=Console(stderr=True))


class _LargePhotoBar:
    """A bar on stderr that appears if a photo is so large that it is drawn in parts."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def move(self, share: float) -> None:
        """Show the share that is done, 0.0 to 1.0."""
        if self._progress is None:
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True)
            self._progress = Progress(console=console, disable=not console.is_terminal)
            self._progress.add_task("stylizing", total=1.0)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=share)

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, *details: object) -> None:
        """Take the bar down."""
        if self._progress is not None:
            self._progress.stop()
