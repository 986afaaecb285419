"""Planning: from inputs to jobs, which are plain data, and which jobs are done already."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from fast_style.errors import DatasetError, FastStyleError, InputError, VideoError
from fast_style.extras import install_command
from fast_style.files import check_new, is_folder
from fast_style.images import HEIC_SUFFIXES, WRITABLE_SUFFIXES, Search, check_photos, format_of, search
from fast_style.photos.ledger import cannot_look, results_in
from fast_style.photos.shards import Shard

Format = Literal["png", "jpg", "webp", "tif"]

STREAM = Path("-")

_NUMBER = r"%0?\d*d"  # in a pattern of numbered pictures

# Told apart by name, so that photos do not wait for the video libraries to load. A GIF is a video if its result is one,
# and otherwise a photo or an animation.
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts"}
    | {".3g2", ".3gp", ".asf", ".dv", ".f4v", ".flv", ".m2v", ".mxf", ".nut", ".ogv", ".vob", ".wmv", ".y4m"}
)
# The result of a video keeps these suffixes; any other becomes .mp4.
_KEPT_VIDEO_SUFFIXES = frozenset({".mkv", ".mov", ".webm", ".gif"})
# Pictures that a user may expect to be read: of editors, of cameras before development, and of other programs.
_UNREAD_SUFFIXES = frozenset(
    {".ai", ".eps", ".kra", ".psb", ".psd", ".svg", ".svgz", ".xcf"}
    | {".3fr", ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".srw"}
    | {".dds", ".exr", ".hdr", ".heics", ".heifs", ".ico", ".j2k", ".jp2", ".jpx", ".jxl", ".jxr", ".tga"}
)


@dataclass(frozen=True)
class Job:
    """One photo or video and where its result goes."""

    source: Path  # a file, a pattern of numbered pictures, or `-` for standard input
    target: Path  # a file, a pattern of numbered pictures, or `-` for standard output
    folder: Path | None = None  # folder of all the results, if a folder of photos is stylized, else None
    error: FastStyleError | None = None  # why this cannot be done, found while planning; None if it can be tried

    @property
    def is_video(self) -> bool:
        """Whether the result is a video; False if it cannot be told."""
        if self.error is not None:
            return False
        if self.source.suffix.lower() == ".gif":
            return is_video(self.target) and self.target.suffix.lower() != ".gif"
        return is_video(self.source)

    @property
    def names(self) -> tuple[str, str]:
        """What the ledger of the folder calls the photo and its result."""
        return str(self.source.resolve()), self.target.relative_to(self.folder or "").as_posix()


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what is not."""

    jobs: list[Job]  # one for each photo and video
    left_out: Counter[str]  # how many files and folders in the inputs are not taken, by reason and remedy


def plan_jobs(
    inputs: Sequence[Path], out: Path | None, style: str, format: Format | None, *, shard: Shard = Shard()
) -> Plan:
    """Decide where the result of each input goes.

    An input that cannot be looked at, a folder without photos, and a result that another photo has already claimed or
    that would be written over an input give a job with an error: the other jobs can be done.

    What ledgers in a folder call results is not taken as a photo, except where the folder of an earlier run's results
    is itself the input.

    Args:
        inputs: Photos, videos, folders of photos, patterns of numbered pictures, or ``-`` for standard input.
        out: A file for one input, a folder for several, ``-`` for standard output, or None to write beside the inputs.
        style: The name that results beside the inputs bear.
        format: Format of photos; None takes that of ``out``, or the input's.
        shard: Only the share of the folders' photos that it holds.

    Raises:
        InputError: There is nothing to do, or the options do not fit the inputs.
    """
    if not inputs:
        raise InputError("nothing to stylize", hint="Give a photo, a video, a folder, or - for standard input.")
    single = len(inputs) == 1 and not is_folder(inputs[0])
    is_name = out is not None and out.suffix.lower() in WRITABLE_SUFFIXES | VIDEO_SUFFIXES and not out.is_dir()
    if not single and out is not None and (out == STREAM or out.is_file() or is_name):
        raise InputError(f"several results cannot all go to {out}", hint="Give a folder with -o.")
    if shard.count > 1 and not all(map(is_folder, inputs)):
        raise InputError(
            "only folders of photos can be divided into shards",
            hint="Leave --shard out, or list files for 'fast-style batch'.",
        )
    left_out: Counter[str] = Counter()
    jobs: list[Job] = []
    for path in inputs:
        try:
            if path.is_dir():
                folder = _beside(path, style) if out is None else out
                content, results = _look_into(path, folder)
                left_out += _left_out(content, len(results))
                check_photos(path, content)
                for photo in content.photos:
                    if photo not in results:
                        target = folder / photo.relative_to(path).with_suffix(_suffix(photo, format))
                        jobs.append(Job(photo, target, folder))
            else:
                jobs.append(_job_of(path, out, style, format, single=single))
        except (DatasetError, OSError) as error:
            why = error if isinstance(error, DatasetError) else cannot_look(path, error)
            jobs.append(Job(path, path, error=why))
    if format == "tif" and any(job.target == STREAM for job in jobs):
        raise InputError(
            "a TIFF cannot go to standard output, as it is not written in order",
            hint="Give a file with -o, or another --format.",
        )
    checked = _with_clashes(jobs)
    held = [job for job in checked if shard.count == 1 or job.folder is None or shard.holds(job.names[1])]
    return Plan(held, left_out)


def check_video(job: Job, *, force: bool) -> None:
    """Refuse a video whose result may not be written.

    Raises:
        InputError: It would go to standard output, over the video itself, or over an existing file; or its place cannot
            be looked at.
    """
    if job.target == STREAM:
        raise InputError("a video cannot go to standard output", hint="Give a file with -o.")
    try:
        inputs = {path.resolve(): path for path in named_files(job.source)}
        for target in named_files(job.target):
            check_new(target, force=force, inputs=[inputs.get(target.resolve(), job.source)])
    except OSError as error:
        raise cannot_look(job.target, error) from error


def is_sequence(path: Path) -> bool:
    """Whether a path is a pattern of numbered pictures, such as ``frames/%05d.png``, and not the name of a file."""
    return bool(re.search(_NUMBER, path.name)) and path.suffix.lower() not in VIDEO_SUFFIXES and not path.exists()


def numbered_name(pattern: Path, number: int) -> Path:
    """The file of that number."""
    return pattern.with_name(re.sub(_NUMBER, lambda match: match[0] % number, pattern.name))


def numbered_files(pattern: Path) -> list[Path]:
    """The files that a pattern such as ``frames/%05d.png`` names, by number; gaps do not matter.

    Raises:
        VideoError: The pattern has more than one number.
    """
    parts = re.split(_NUMBER, pattern.name)
    if len(parts) != 2:
        raise VideoError(f"{pattern} is not a pattern with one number, such as %05d.png")
    name = re.compile(rf"{re.escape(parts[0])}(\d+){re.escape(parts[1])}")
    matches = ((name.fullmatch(path.name), path) for path in pattern.parent.glob("*"))
    return [path for _, path in sorted((int(match[1]), path) for match, path in matches if match)]


def named_files(path: Path) -> list[Path]:
    """The file of that name, or those that a pattern of numbered pictures names."""
    return numbered_files(path) if is_sequence(path) else [path]


def _look_into(path: Path, folder: Path) -> tuple[Search, set[Path]]:
    """Search a folder whose results go to another; return those of its photos, too, that are results themselves.

    Raises OSError if it cannot be looked at.
    """
    next(path.iterdir(), None)  # raises without permission, where a search finds nothing
    content = search(path)
    # After the search, as a copy of the command may be at work: it notes a result before it appears.
    ledgers = (inside for inside in content.folders if inside != path or (folder.exists() and folder.samefile(path)))
    return content, {result for inside in ledgers for result in results_in(inside)}.intersection(content.photos)


def _left_out(content: Search, results: int) -> Counter[str]:
    """Count what a folder holds beside the photos that are taken, by reason and remedy."""
    counts: Counter[str] = Counter()
    unread = sorted(_UNREAD_SUFFIXES & content.others.keys())
    for reason, suffixes in (
        (f"HEIC: {install_command('heic')}", HEIC_SUFFIXES),
        ("films: give each by its name", VIDEO_SUFFIXES),
        (f"{', '.join(unread)}: not a format that is read; convert to PNG or TIFF", unread),
    ):
        counts[reason] = sum(content.others[suffix] for suffix in suffixes)
    counts["unreadable: look at the permissions"] = content.unreadable
    counts["results of earlier runs"] = results
    return +counts


def _with_clashes(jobs: Sequence[Job]) -> Iterator[Job]:
    """Yield jobs, with an error for each whose result another has claimed, or would be written over an input."""

    @cache
    def identity(folder: Path) -> tuple[int, int] | Path:
        try:
            status = folder.stat()
        except OSError:  # not there, or not to be looked at
            return folder
        return status.st_dev, status.st_ino

    def place(path: Path) -> tuple[tuple[int, int] | Path, str]:
        return identity(path.parent), path.name

    originals = {place(job.source): job.source for job in jobs if STREAM not in {job.source, job.target}}
    claimed: dict[Path, Path] = {}
    for job in jobs:
        other = job.source if job.error else claimed.setdefault(job.target, job.source)
        error = job.error
        if other is not job.source:
            error = InputError(f"{other} and {job.source} would both be written to {job.target}")
        elif error is None and (original := originals.get(place(job.target))):
            what = "itself" if original == job.source else f"the input {original}"
            error = InputError(f"{job.source} would be written over {what}", hint="Give another place with -o.")
        yield replace(job, error=error)


def _job_of(path: Path, out: Path | None, style: str, format: Format | None, *, single: bool) -> Job:
    if str(path).startswith("-") and path != STREAM and not path.exists():
        raise InputError(f"{path} is neither an option nor a file")
    if single and out is not None and (out == STREAM or (not out.is_dir() and out.suffix)):
        target = out
        wanted = out if format is None else out.with_suffix(f".{format}")
        if out.suffix.lower() in WRITABLE_SUFFIXES and format_of(out) != format_of(wanted):
            raise InputError(f"--format {format} contradicts the name {out}", hint="Leave --format out.")
    elif path == STREAM:
        target = STREAM if out is None else out / f"stdin.{format or 'png'}"
    elif is_sequence(path):
        target = (out or _beside(path.parent, style)) / path.name
    elif out is not None:
        target = out / Path(path.name).with_suffix(_suffix(path, format))
    else:
        target = path.with_name(f"{path.stem}-{style}{_suffix(path, format)}")
    return Job(path, target)


def _beside(folder: Path, style: str) -> Path:
    folder = folder.resolve()
    if not folder.name:
        raise InputError(f"there is nothing beside {folder}", hint="Give a folder with -o.")
    return folder.with_name(f"{folder.name}-{style}")


def _suffix(source: Path, format: Format | None) -> str:
    """Of the result of a photo or video that gets a name of its own."""
    suffix = source.suffix.lower()
    if format is not None and suffix not in VIDEO_SUFFIXES - {".gif"}:
        return f".{format}"
    if suffix in VIDEO_SUFFIXES:
        return source.suffix if suffix in _KEPT_VIDEO_SUFFIXES else ".mp4"
    # The result of a TIFF is one only if that is asked for: few places show them.
    return source.suffix if suffix in WRITABLE_SUFFIXES - {".tif", ".tiff"} else ".png"


def is_video(source: Path) -> bool:
    """Whether a file is a video by its name, or a pattern of numbered pictures."""
    return source.suffix.lower() in VIDEO_SUFFIXES or is_sequence(source)
