"""``fast-style stylize``."""

from __future__ import annotations

import json as json_module
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from fast_style.cli.app import DONE, FAILED, INTERRUPTED, SOME_FAILED, print_error, report_error
from fast_style.errors import FastStyleError, InputError
from fast_style.graph import Device, core_count
from fast_style.images import WRITABLE_SUFFIXES, find_images
from fast_style.runtime.contract import Range
from fast_style.runtime.photos import STREAM, PhotoJob, PhotoOptions, stylize_photos

if TYPE_CHECKING:
    from fast_style.runtime.stylizer import Stylizer
    from fast_style.runtime.video import VideoOptions

Format = Literal["png", "jpg", "webp"]

# Told apart here by name, so that photos do not wait for the video libraries to load. A GIF is a video unless its
# result is a photo.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".y4m"}
)


def stylize(
    *inputs: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    style: Annotated[str, Parameter(name=["--style", "-s"])],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"], allow_leading_hyphen=True)] = None,
    size: int | None = None,
    blend: float = 1.0,
    keep_colors: Annotated[bool, Parameter(negative="")] = False,
    strokes: float | None = None,
    format: Format | None = None,
    quality: int | None = None,
    fps: str | None = None,
    start: str | None = None,
    end: str | None = None,
    codec: str | None = None,
    side_by_side: Annotated[bool, Parameter(negative="")] = False,
    steady: Annotated[bool, Parameter(negative="")] = False,
    audio: bool = True,
    subtitle: bool = True,
    value_range: Annotated[Range | None, Parameter(name="--range")] = None,
    device: Device = "auto",
    jobs: Annotated[int | None, Parameter(name=["--jobs", "-j"])] = None,
    threads: int | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Stylize photos and videos: one, several, a folder of photos with its tree, or - for standard input.

    A folder that was stylized before is gone on with: what is done and has not changed is skipped.

    Args:
        inputs: Photos, videos, folders of photos, numbered pictures as frames/%05d.png, or - .
        style: The name of a shipped style, or an ONNX file.
        out: A file for one input, a folder for several, or - for standard output. Without it results stand beside
            the inputs as NAME-STYLE.png, or in a folder NAME-STYLE.
        size: Shrink the long side to this many px first.
        blend: 0 is the photo, 1 the full style.
        keep_colors: Take only brightness from the style.
        strokes: Of photos: how much larger than trained, 1 to 16; by default 2 from 2048 px on, 4 from 4096 px on.
        format: Of photos: png, jpg or webp; without it, as the name of OUT says, or as the input.
        quality: 1 to 100, of jpg, webp and videos; 92 for photos and 64 for videos by default.
        fps: Frames a second of a video, such as 30 or 30000/1001; without it, times are kept exactly.
        start: Leave out what is before in a video: seconds, or h:mm:ss.
        end: Stop there.
        codec: Of a video: h264, h265, vp9, av1, or an FFmpeg encoder's name.
        side_by_side: The original on the left of a video's result.
        steady: Hold still what does not move in a video.
        audio: Copy a video's sound.
        subtitle: Copy a video's subtitles.
        value_range: Of a model from elsewhere: the values it takes and gives, 0-1 or 0-255.
        device: auto, cpu, cuda, …; an error where it is not the one that would run.
        jobs: Photos or frames at once; without it, one for each core.
        threads: Of the CPU for one photo or frame; without it, the cores are shared out.
        force: Overwrite results that exist, and make those again that are done.
        json: Print what was done for machines.
    """
    if not inputs:
        raise InputError("nothing to stylize", hint="Give a photo, a video, a folder, or - for standard input.")
    for name, value in (("jobs", jobs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1")
    began = time.perf_counter()
    # What is wrong with a picture comes in our own words, or does no harm.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    plan = list(_plan(inputs, out, Path(style).stem, format))
    videos = [job for job in plan if _is_video(job.source, job.target)]
    photos = [job for job in plan if job not in videos] if videos else plan
    records: list[dict[str, Any]] = []
    interrupted = False
    if photos:
        options = PhotoOptions(
            size, blend, keep_colors, 92 if quality is None else quality,
            {"jpg": "JPEG", "webp": "WEBP"}.get(format or "png", "PNG"), strokes,
        )  # fmt: skip
        outcomes = stylize_photos(
            photos, style, options, device=device, value_range=value_range, jobs_at_once=jobs, threads=threads,
            force=force,
        )  # fmt: skip
        for outcome in _with_bar(outcomes, len(photos)):
            record: dict[str, Any] = {"input": str(outcome.job.source), "output": str(outcome.job.target)}
            if outcome.error is not None:
                record["error"] = str(outcome.error)
                report_error(outcome.error, about=str(outcome.job.source))
            elif outcome.size is None:
                record["skipped"] = True
            else:
                record |= {"width": outcome.size[0], "height": outcome.size[1]}
            records.append(record | {"seconds": round(outcome.seconds, 4)})
    if videos:
        from fast_style.runtime.stylizer import Stylizer
        from fast_style.runtime.video import VideoOptions

        video_options = VideoOptions(
            size=size, fps=_rate(fps), start=_seconds(start) or 0.0, end=_seconds(end), blend=blend,
            keep_colors=keep_colors, side_by_side=side_by_side, steady=steady, audio=audio, subtitle=subtitle,
            codec=codec, quality=64 if quality is None else quality,
        )  # fmt: skip
        workers = jobs or max(1, core_count() // (threads or 1))
        share = threads or max(1, core_count() // workers)
        stylizer = Stylizer(style, device=device, threads=share, value_range=value_range)
        # A service manager stops with SIGTERM: that, too, leaves a video that plays.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for job in videos:
            record = _video(job, stylizer, video_options, jobs, force, json)
            records.append(record)
            if interrupted := bool(record.get("interrupted")):
                break
    failed = sum("error" in record for record in records)
    if json:
        print(json_module.dumps(records), file=sys.stderr if out == STREAM else sys.stdout)
    elif len(plan) > 1:
        skipped = sum("skipped" in record for record in records)
        done = len(records) - failed - skipped
        already = f", {skipped} done before" if skipped else ""
        seconds = time.perf_counter() - began
        print(f"{done} stylized{already}, {failed} failed in {seconds:.1f} s", file=sys.stderr)
        if all(job.target != STREAM for job in plan):  # or standard output holds a picture
            written = [job for job, record in zip([*photos, *videos], records, strict=False) if "error" not in record]
            for place in dict.fromkeys(job.folder or job.target.parent for job in written):
                print(place)
    elif photos and photos[0].target != STREAM and not failed:
        print(f"{photos[0].target}")
    if interrupted:
        return INTERRUPTED
    if failed and all("error" in record and not record.get("frames") for record in records):
        return FAILED
    return SOME_FAILED if failed else DONE


def _video(
    job: PhotoJob, stylizer: Stylizer, options: VideoOptions, workers: int | None, force: bool, json: bool
) -> dict[str, Any]:
    """Stylize one video with a bar; return its record."""
    from fast_style.cli.progress import FrameProgress
    from fast_style.runtime.video import stylize_video
    from fast_style.runtime.writing import existing_outputs

    record: dict[str, Any] = {"input": str(job.source), "output": str(job.target)}
    start = time.perf_counter()
    try:
        if job.target == STREAM:
            raise InputError("a video cannot go to standard output", hint="Give a file with -o.")
        if job.target.exists() and job.source.exists() and job.target.samefile(job.source):
            raise InputError(f"{job.source} would be written over itself")
        if (there := existing_outputs(job.target)) and not force:
            raise InputError(f"{there[0]} exists", hint="Give --force to overwrite it.")
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with FrameProgress(job.source.name) as progress:
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
        if not json and not report.interrupted:
            print(f"{job.target}: {report.frames} frames, {record['fps']:.1f} a second", file=sys.stderr)
    except FastStyleError as error:
        record["error"] = str(error)
        report_error(error, about=str(job.source))
    record["seconds"] = round(time.perf_counter() - start, 4)
    return record


def _plan(inputs: tuple[Path, ...], out: Path | None, style: str, format: Format | None) -> Iterator[PhotoJob]:
    """Decide where each result goes.

    Raises:
        InputError: A folder holds no pictures, or several results would go to one file.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if not single and out is not None and (out == STREAM or out.is_file() or _is_file_name(out)):
        raise InputError(f"several results cannot all go to {out}", hint="Give a folder with -o.")
    seen: dict[Path, Path] = {}
    for given in inputs:
        folder = None
        pairs = [(given, Path(given.name))]
        if given.is_dir():
            folder = given.resolve().with_name(f"{given.resolve().name}-{style}") if out is None else out
            pairs = [(path, path.relative_to(given)) for path in find_images(given)]
            if not pairs:
                raise InputError(f"{given} holds no pictures", hint="JPEG, PNG, WebP, BMP and TIFF are looked for.")
        for source, relative in pairs:
            if single and out is not None and (out == STREAM or (not out.is_dir() and out.suffix)):
                target = out
            elif given == STREAM:
                target = STREAM if out is None else out / f"stdin.{format or 'png'}"
            elif "%" in source.name and _is_video(source, source):
                target = (
                    out or source.parent.resolve().with_name(f"{source.parent.resolve().name}-{style}")
                ) / relative
            else:
                suffix = f".{format}" if format else source.suffix
                if source.suffix.lower() in VIDEO_SUFFIXES and not format:
                    suffix = source.suffix if source.suffix.lower() in {".mkv", ".mov", ".webm", ".gif"} else ".mp4"
                elif suffix.lower() not in WRITABLE_SUFFIXES:
                    suffix = ".png"
                if folder is not None or out is not None:
                    target = (folder or out or Path()) / relative.with_suffix(suffix)
                else:
                    target = source.with_name(f"{source.stem}-{style}{suffix}")
            if target in seen:
                raise InputError(f"{seen[target]} and {source} would both be written to {target}")
            seen[target] = source
            yield PhotoJob(source, target, folder)


def _is_video(source: Path, target: Path) -> bool:
    if source.suffix.lower() == ".gif":
        return target.suffix.lower() in VIDEO_SUFFIXES or "%" in target.name
    return source.suffix.lower() in VIDEO_SUFFIXES or ("%" in source.name and not source.exists())


def _is_file_name(path: Path) -> bool:
    return path.suffix.lower() in WRITABLE_SUFFIXES | VIDEO_SUFFIXES and not path.is_dir()


def _seconds(text: str | None) -> float | None:
    """Parse 83.5, 1:23.5 or 0:01:23.5."""
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(not 0 <= part < 1e7 for part in parts):
            raise ValueError
    except ValueError:
        raise InputError(f"{text!r} is no time; expected seconds or h:mm:ss") from None
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


def _rate(text: str | None) -> Fraction | None:
    """Parse 30, 29.97 or 30000/1001."""
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is no number of frames a second; expected such as 30 or 30000/1001") from None
    if not 0 < rate <= 1000 or rate.denominator > 100_000:
        raise InputError(f"fps is {text}; expected more than 0 and at most 1000")
    return rate


def _with_bar(outcomes: Iterator[Any], total: int) -> Iterator[Any]:
    """Pass the outcomes on, with a bar on stderr where there are several."""
    if total < 2:
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, description="stylizing", total=total, console=Console(stderr=True))
