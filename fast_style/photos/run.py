"""Stylizing photos, many at once in threads, in bounded memory."""

import contextlib
import hashlib
import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO

from fast_style.errors import FastStyleError, ImageError, InputError
from fast_style.extras import install_command
from fast_style.files import has_partials, make_parent, replacing, sweep
from fast_style.images import (
    ANIMATED,
    MAX_PIXELS,
    Header,
    Picture,
    format_of,
    load_frames,
    load_image,
    read_header,
    save_frames,
    save_image,
)
from fast_style.model.session import core_count
from fast_style.photos.jobs import STREAM, Job
from fast_style.photos.ledger import Ledger, file_state
from fast_style.photos.shards import Shard
from fast_style.pipeline import Budget, overlap
from fast_style.stylize.animation import stylize_frames
from fast_style.stylize.contract import Range
from fast_style.stylize.look import Look
from fast_style.stylize.masks import pair_masks
from fast_style.stylize.options import StyleOptions
from fast_style.stylize.stylizer import Stylizer
from fast_style.stylize.tiles import Progress, is_seen_whole, stylize_bands

# So many pixels are in memory at once, decoded, in the network or being encoded: about 2 GiB.
_PIXELS_AT_ONCE = 24_000_000
# So many painted pixels, which wait to be encoded, take as much memory as one in the network.
_PAINTED = 10
# So many decoded pixels, before they are shrunk, do.
_DECODED = 6
_ANIMATIONS = ANIMATED | {"AVIF"}
_DEEP = frozenset({"PNG", "TIFF"})  # formats in which 16 bits a channel are kept
# What a result may lack of its photo, and the remedy.
_LATER_FRAMES = "later frames of animations, or pages: only the first is painted"
_LOWER_BITS = "the lower 8 of 16 bits a channel"
# Options that decide whether there is a file, and of what kind, but not what the picture looks like.
_SAME_PICTURE = frozenset({"format", "max_pixels"})

# A photo's open file, or its path if it cannot be opened: loading that says why.
_Source = Path | IO[bytes]


@dataclass(frozen=True)
class PhotoOptions(Look):
    """How photos are stylized and saved."""

    format: str = "PNG"  # format of standard output: PNG, JPEG or WEBP
    max_pixels: int = MAX_PIXELS  # photos with more pixels are refused, before they are decoded

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        super().__post_init__()
        if self.max_pixels < 1:
            raise InputError(f"at most {self.max_pixels} px would refuse every photo; expected at least 1 px")

    def key(self) -> dict[str, object]:
        """Return what changes the picture, as JSON can hold it.

        Defaults are left out, so that a new option with its default changes no key. Masks count by what is in them,
        and 2 and 2.0 are the same.

        Raises:
            ImageError: A mask cannot be read.
        """
        options = (each for each in fields(self) if each.name not in _SAME_PICTURE)
        key = {each.name: value for each in options if (value := getattr(self, each.name)) != each.default}
        if self.masks:
            key["masks"] = [_checksum(mask) for mask in self.masks]
        whole = {name: int(value) for name, value in key.items() if isinstance(value, float) and value.is_integer()}
        return key | whole


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of one photo."""

    job: Job  # what was to be done
    seconds: float  # how long it took, beside others
    # Width and height of the result, px; None if there is no result, or if it was there already.
    size: tuple[int, int] | None = None
    skipped: bool = False  # it was done already, and neither photo nor settings have changed
    error: FastStyleError | None = None  # why there is no result, or None
    frames: int = 1  # how many were stylized, of an animation
    left_out: Counter[str] = field(default_factory=Counter)  # how much of the photo the result lacks, by reason


class PhotoWorker:
    """What the threads share: the sessions and the bound on memory.

    So many ``workers`` call :meth:`work`; the network has so many ``threads`` for one photo, or a share of the cores.
    """

    def __init__(
        self,
        style: StyleOptions,
        options: PhotoOptions,
        *,
        workers: int,
        threads: int | None,
        progress: Progress | None = None,
    ) -> None:
        self._style, self._options, self._workers, self._progress = style, options, workers, progress
        self.stylizer = style.open(threads or max(1, core_count() // workers))
        self._large: Stylizer | None = None
        self._lock = threading.Lock()
        self._partials: dict[Path, bool] = {}
        self._budget = Budget(_PIXELS_AT_ONCE)

    def work(
        self,
        job: Job,
        ledger: Ledger | None,
        *,
        force: bool,
        names: tuple[str, str] | None = None,
        deaths: int | None = None,
    ) -> PhotoOutcome:
        """Do a job unless it is done, and note it in a ledger; without one, a result that exists is an error.

        The ledger calls the photo and its result by these names, or those of the job. With ``force`` everything is done
        again, and what exists is overwritten. A job is given up after so many ``deaths``, workers that crashed while
        they did it; with None it never is.
        """
        entry = None
        try:
            if job.error is not None:
                raise job.error
            if ledger is None:
                if not force and job.target != STREAM and file_state(job.target) is not None:
                    raise InputError(f"{job.target} exists", hint="Give --force to overwrite it.")
                if self._has_partials(job.target.parent):
                    sweep(job.target)
                return self._do(job)
            entry = ledger.look(*(names or job.names))  # as late as can be: someone else may write there, too
            if not force and ledger.skips(entry):
                return PhotoOutcome(job, 0.0, skipped=True)
            if not force and deaths is not None and ledger.deaths(entry) >= deaths:
                raise InputError(
                    f"{deaths} workers crashed while processing {names[0] if names else job.source}",
                    hint="Check whether memory ran out; --force tries again.",
                )
        except FastStyleError as error:
            if ledger is not None and entry is not None:
                ledger.end(entry, 0.0, explain(error))
            return PhotoOutcome(job, 0.0, error=error)
        if ledger.deaths(entry):
            sweep(job.target)
        ledger.begin(entry)
        outcome = self._do(job)
        ledger.end(entry, outcome.seconds, explain(outcome.error))
        return outcome

    def _has_partials(self, folder: Path) -> bool:
        """Whether a folder held what killed processes leave when it was first asked about: looking takes a listing."""
        if folder not in self._partials:
            self._partials[folder] = has_partials(folder)
        return self._partials[folder]

    def _do(self, job: Job) -> PhotoOutcome:
        """Stylize one photo and save it, as soon as there is memory for it; whatever is wrong is in the outcome."""
        try:
            with _opened(job.source) as (source, header):
                pixels = _PIXELS_AT_ONCE if header is None else header.pixels(self._options.size)
                waiting = decoded = 0
                if header is not None and header.format != "JPEG":  # which is decoded at a smaller size if it can be
                    decoded = header.width * header.height // _DECODED
                if header is not None and header.frames > 1 and header.format in _ANIMATIONS:
                    waiting = pixels * header.frames // _PAINTED
                with self._budget.spend(max(pixels, decoded) + waiting):
                    return self._stylize(job, source, header, self._stylizer_for(pixels))
        except MemoryError:
            error = ImageError(f"{job.source} does not fit in memory", hint="Give --jobs 1.")
            return PhotoOutcome(job, 0.0, error=error)
        except Exception as error:  # a bug of ours must not end the work on a million other photos
            if job.target == STREAM:  # whose reader may have gone
                raise
            mistake = FastStyleError(f"{type(error).__name__}: {error}", hint="This is a bug in fast-style.")
            return PhotoOutcome(job, 0.0, error=mistake)

    def _stylizer_for(self, pixels: int) -> Stylizer:
        """The session for a photo of that size: one thread each, but all for one so large that few fit in memory."""
        if self._workers == 1 or pixels <= _PIXELS_AT_ONCE // self._workers:
            return self.stylizer
        with self._lock:
            self._large = self._large or self._style.open(core_count())
        return self._large

    def _stylize(self, job: Job, source: _Source, header: Header | None, stylizer: Stylizer) -> PhotoOutcome:
        start = time.perf_counter()
        try:
            if header is not None and self._is_animated(job, header):
                size = self._animate(job, source, header, stylizer)
                return PhotoOutcome(job, time.perf_counter() - start, size, frames=header.frames)
            streamed = self._is_streamed(job, header, stylizer)
            size = self._stream(job, stylizer) if streamed else self._stylize_whole(job, source, stylizer)
        except FastStyleError as error:
            return PhotoOutcome(job, time.perf_counter() - start, error=error)
        left_out = Counter() if header is None else self._left_out(job, header, streamed=streamed)
        return PhotoOutcome(job, time.perf_counter() - start, size, left_out=left_out)

    def _stylize_whole(self, job: Job, source: _Source, stylizer: Stylizer) -> tuple[int, int]:
        """Stylize a photo in memory; return its size."""
        options = self._options
        picture = stylizer.picture(
            load_image(source, size=options.size, max_pixels=options.max_pixels),
            options,
            masks=pair_masks(stylizer.network, options.masks),
            progress=self._progress,
        )
        save_image(picture, _open_target(job), quality=options.quality, format=options.format)
        return picture.size

    def _is_animated(self, job: Job, header: Header) -> bool:
        """Whether a file is an animation, and its result can be one."""
        return header.frames > 1 and header.format in _ANIMATIONS and self._format(job) in ANIMATED

    def _format(self, job: Job) -> str | None:
        """Pillow's name of the result's format."""
        return self._options.format if job.target == STREAM else format_of(job.target)

    def _left_out(self, job: Job, header: Header, *, streamed: bool) -> Counter[str]:
        """Count what the result lacks of the photo, by reason and remedy."""
        left_out = Counter({_LATER_FRAMES: header.frames - 1})
        if header.deep and not streamed and self._format(job) in _DEEP:
            from fast_style.stylize.streaming import streams

            missing = not streams() and not self._options.masks and STREAM not in {job.source, job.target}
            left_out[f"{_LOWER_BITS}: {install_command('large')}" if missing else _LOWER_BITS] = 1
        return +left_out

    def _animate(self, job: Job, source: _Source, header: Header, stylizer: Stylizer) -> tuple[int, int]:
        """Stylize an animation; return the size of its frames."""
        options, size = self._options, (0, 0)

        def painted() -> Iterator[tuple[Picture, float]]:
            nonlocal size
            frames = load_frames(source, size=options.size, max_pixels=options.max_pixels)
            for number, frame in enumerate(stylize_frames(stylizer.network, frames, options), 1):
                size = frame[0].size
                yield frame
                if self._progress is not None:
                    self._progress(number / header.frames)

        target, plays, poster = _open_target(job), header.plays, header.poster
        save_frames(painted(), target, plays=plays, poster=poster, quality=options.quality, format=options.format)
        return size

    def _is_streamed(self, job: Job, header: Header | None, stylizer: Stylizer) -> bool:
        """Whether a photo is read and written in parts: a large one, or one whose 16 bits a channel can be kept."""
        options = self._options
        if options.masks or STREAM in {job.source, job.target} or header is None:
            return False
        deep = header.deep and format_of(job.target) in _DEEP
        if not deep and is_seen_whole(stylizer.network, header.pixels(options.size)):
            return False
        from fast_style.stylize.streaming import READABLE, streams

        return (
            header.width * header.height <= options.max_pixels
            and header.format in READABLE
            and header.plain
            and streams()
        )

    def _stream(self, job: Job, stylizer: Stylizer) -> tuple[int, int]:
        """Stylize a photo that is never in memory as a whole; return its size."""
        from fast_style.stylize.streaming import open_raster, write_bands

        options = self._options
        photo = open_raster(job.source, size=options.size)
        bands = stylize_bands(stylizer.network, photo, options, progress=self._progress)
        make_parent(job.target)
        with replacing(job.target) as partial:
            write_bands(bands, photo, partial, format=format_of(job.target), quality=options.quality)
        return photo.size


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[_Source, Header | None]]:
    """Open a photo once: its header is read before there is memory for its pixels."""
    with contextlib.ExitStack() as stack:
        source: _Source = path
        if path == STREAM:
            source = io.BytesIO(sys.stdin.buffer.read())
        else:
            with contextlib.suppress(OSError):
                source = stack.enter_context(path.open("rb"))
        yield source, read_header(source)


def _open_target(job: Job) -> Path | IO[bytes]:
    """Standard output, or the place of the result, whose folder is made."""
    if job.target == STREAM:
        return sys.stdout.buffer
    make_parent(job.target)
    return job.target


def stylize_photos(
    jobs: Iterable[Job],
    style: StyleOptions,
    options: PhotoOptions,
    *,
    jobs_at_once: int | None = None,
    threads: int | None = None,
    force: bool = False,
    shard: Shard = Shard(),
    progress: Progress | None = None,
) -> Iterator[PhotoOutcome]:
    """Stylize photos side by side; yield the outcome of each, in order.

    Args:
        jobs: What to do.
        style: Which style, and on what it runs.
        options: See :class:`PhotoOptions`.
        jobs_at_once: Photos at once; by default as many as there are cores.
        threads: Threads of the network for one photo; by default the cores are shared out.
        force: Overwrite existing results, and redo those that are done.
        shard: The share that the jobs are, which has its own ledger.
        progress: Called with the share that is done of a large photo, if it is the only one.

    Raises:
        StyleNotFoundError, ModelError, DeviceError: As :class:`Stylizer`. What is wrong with a photo is in its
            outcome.
    """
    jobs = list(jobs)
    workers = min(len(jobs), jobs_at_once or max(1, core_count() // (threads or 1))) or 1
    progress = progress if len(jobs) == 1 else None
    worker = PhotoWorker(style, options, workers=workers, threads=threads, progress=progress)
    folders = {job.folder for job in jobs if job.folder is not None}
    settings = settings_key(worker.stylizer, options, style.value_range) if folders else {}
    suffix = "" if shard.count == 1 else f"-{shard}"
    ledgers = {folder: Ledger(folder, settings, own=suffix, shard=shard) for folder in folders}

    def work(job: Job) -> PhotoOutcome:
        return worker.work(job, None if job.folder is None else ledgers[job.folder], force=force)

    return map(work, jobs) if len(jobs) == 1 else overlap(jobs, work, workers=workers)


def settings_key(stylizer: Stylizer, options: PhotoOptions, value_range: Range | None) -> dict[str, object]:
    """Return everything but the photo that changes a result, the same on every machine: for a ledger.

    Raises:
        ImageError: A mask cannot be read.
    """
    network = stylizer.network
    key = {"style": network.checksum, **options.key()}
    if value_range is not None:
        key["value_range"] = value_range
    if network.weights:
        key["weights"] = list(network.weights.items())  # in their order, which masks follow
    if network.strength != 1:
        key["strength"] = network.strength
    if network.other_ground is not None:
        key["ground"] = network.other_ground
    return key


def _checksum(mask: Path) -> str:
    try:
        return hashlib.sha256(Path(mask).read_bytes()).hexdigest()
    except OSError as error:
        raise ImageError(f"cannot read the mask {mask}: {error.strerror or error}") from error


def explain(error: FastStyleError | None) -> str:
    """An error and its remedy in one line; empty for None."""
    return "" if error is None else f"{error}. {error.hint}" if error.hint else str(error)
