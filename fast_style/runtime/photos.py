"""Stylizing many photos at once, in bounded memory."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fast_style.errors import FastStyleError, InputError
from fast_style.graph import Device, core_count
from fast_style.images import Picture, count_pixels, load_image, save_image
from fast_style.runtime.contract import Range
from fast_style.runtime.ledger import Ledger
from fast_style.runtime.pipeline import Budget, overlap
from fast_style.runtime.strokes import check_strokes
from fast_style.runtime.stylizer import Stylizer, check_blend, check_size

STREAM = Path("-")

# So many pixels are in memory at once, decoded, in the network or being encoded: about 1.5 GiB.
_PIXELS_AT_ONCE = 24_000_000


@dataclass(frozen=True)
class PhotoJob:
    """One photo and where its result goes.

    Attributes:
        source: A file, or ``-`` for standard input.
        target: Likewise, for standard output.
        folder: Of all the results of a folder of photos, else None.
    """

    source: Path
    target: Path
    folder: Path | None = None


@dataclass(frozen=True)
class PhotoOptions:
    """How photos are stylized and saved.

    Attributes:
        size: Shrink the long side to this many px, or None.
        blend: 0.0 is the photo, 1.0 the full style.
        keep_colors: Take only brightness from the style.
        quality: Of JPEG and WebP, 1 to 100.
        format: Of standard output: PNG, JPEG or WEBP.
        strokes: How much larger than trained the strokes are; None lets them grow with large photos.
    """

    size: int | None = None
    blend: float = 1.0
    keep_colors: bool = False
    quality: int = 92
    format: str = "PNG"
    strokes: float | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        check_blend(self.blend)
        check_strokes(self.strokes)
        if self.size is not None:
            check_size(self.size)
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality is {self.quality}; expected 1 to 100")


@dataclass(frozen=True)
class PhotoOutcome:
    """What became of one photo.

    Attributes:
        job: Which.
        seconds: How long it took, beside others.
        size: Width and height of the result, px, or None where there is none or it was there already.
        skipped: It was done already, and neither photo nor settings have changed.
        error: Why there is no result, or None.
    """

    job: PhotoJob
    seconds: float
    size: tuple[int, int] | None = None
    skipped: bool = False
    error: FastStyleError | None = None


def stylize_photos(
    jobs: Iterable[PhotoJob],
    style: str | Path,
    options: PhotoOptions,
    *,
    device: Device = "auto",
    value_range: Range | None = None,
    jobs_at_once: int | None = None,
    threads: int | None = None,
    force: bool = False,
) -> Iterator[PhotoOutcome]:
    """Stylize photos side by side; yield what became of each, in order.

    Args:
        jobs: What to do.
        style: A shipped name or an ONNX file.
        options: See :class:`PhotoOptions`.
        device: See :class:`Stylizer`.
        value_range: Likewise.
        jobs_at_once: Photos at once; by default as many as there are cores.
        threads: Of the network for one photo; by default the cores are shared out.
        force: Overwrite results that exist, and make those again that are done.

    Raises:
        StyleNotFoundError, ModelError, DeviceError: As :class:`Stylizer`. What is wrong with a photo is in its
            outcome.
    """
    jobs = list(jobs)
    workers = min(len(jobs), jobs_at_once or max(1, core_count() // (threads or 1))) or 1

    def open_style(threads: int) -> Stylizer:
        return Stylizer(style, device=device, threads=threads, value_range=value_range)

    return _Studio(open_style, options, value_range, workers, threads, force).run(jobs)


class _Studio:
    """What the workers share: the sessions, the bound on memory, the ledgers."""

    def __init__(
        self,
        open_style: Callable[[int], Stylizer],
        options: PhotoOptions,
        value_range: Range | None,
        workers: int,
        threads: int | None,
        force: bool,
    ) -> None:
        self.options, self.workers, self.force = options, workers, force
        self._open, self._value_range = open_style, value_range
        self._many = open_style(threads or max(1, core_count() // workers))
        self._large: Stylizer | None = None
        self._lock = threading.Lock()
        self._budget = Budget(_PIXELS_AT_ONCE)
        self._ledgers: dict[Path, Ledger] = {}

    def run(self, jobs: list[PhotoJob]) -> Iterator[PhotoOutcome]:
        if len(jobs) == 1:
            yield self._outcome(jobs[0])
            return
        yield from overlap(jobs, self._outcome, workers=self.workers)

    def _outcome(self, job: PhotoJob) -> PhotoOutcome:
        start = time.perf_counter()
        try:
            size = self._do(job)
        except FastStyleError as error:
            return PhotoOutcome(job, time.perf_counter() - start, error=error)
        return PhotoOutcome(job, time.perf_counter() - start, size, skipped=size is None)

    def _do(self, job: PhotoJob) -> tuple[int, int] | None:
        """Stylize one photo; return the size of the result, or None where it is done already."""
        ledger = None if job.folder is None else self._ledger(job.folder)
        if job.target != STREAM and job.target.exists() and not self.force:
            if ledger is None or not ledger.is_ours(job.target):
                raise InputError(f"{job.target} exists", hint="Give --force to overwrite it.")
            if job.source.exists() and ledger.is_done(job.source, job.target):
                return None
        source = io.BytesIO(sys.stdin.buffer.read()) if job.source == STREAM else job.source
        pixels = count_pixels(source, size=self.options.size)
        with self._budget.spend(pixels):
            options = self.options
            picture = self._stylizer(pixels).picture(
                load_image(source, size=options.size),
                amount=options.blend,
                colors=options.keep_colors,
                strokes=options.strokes,
            )
            self._save(picture, job.target)
        if ledger is not None:
            ledger.add(job.source, job.target)
        return picture.size

    def _save(self, picture: Picture, target: Path) -> None:
        if target == STREAM:
            save_image(picture, sys.stdout.buffer, quality=self.options.quality, format=self.options.format)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        save_image(picture, target, quality=self.options.quality)

    def _stylizer(self, pixels: int) -> Stylizer:
        """The session for a photo of that size: one thread each, but all for one so large that few fit in memory."""
        if self.workers == 1 or pixels <= _PIXELS_AT_ONCE // self.workers:
            return self._many
        with self._lock:
            self._large = self._large or self._open(core_count())
        return self._large

    def _ledger(self, folder: Path) -> Ledger:
        with self._lock:
            if folder not in self._ledgers:
                style = self._many.style.path
                made = (
                    style.resolve(),
                    style.stat().st_size,
                    style.stat().st_mtime_ns,
                    self.options,
                    self._value_range,
                )
                self._ledgers[folder] = Ledger(folder, made)
            return self._ledgers[folder]
