"""Stylizing videos: reading, the network and writing overlap, in memory that does not grow with the length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from av import VideoFrame

from fast_style.errors import InputError, VideoError
from fast_style.files import make_parent, replacing, sweep
from fast_style.films.frames import DEFAULT_RATE, Frame, Losses, OtherPacket, copy_planes, first_frame, nearest
from fast_style.films.reader import VideoReader
from fast_style.films.sequence import SequenceReader, SequenceWriter
from fast_style.films.writer import VideoFormat, VideoWriter, check_video_name, keeps_aspect
from fast_style.images import Picture, Pixels, Planes, load_image
from fast_style.model.session import core_count
from fast_style.photos.jobs import is_sequence, is_video, numbered_files
from fast_style.pipeline import overlap
from fast_style.stylize.look import Look
from fast_style.stylize.masks import Mask, as_mask, networks_for_masks, paint_masked, pair_masks
from fast_style.stylize.network import Network, StyleNetwork
from fast_style.stylize.scene import Scene
from fast_style.stylize.stylizer import Stylizer

if TYPE_CHECKING:
    from fast_style.films.motion import MotionTracker
    from fast_style.films.steady import Change, SteadyFilter

Reader: TypeAlias = VideoReader | SequenceReader
Writer: TypeAlias = VideoWriter | SequenceWriter

# Longest gap that --fps fills with repeated frames, seconds; a longer one is a still picture or a damaged time.
_LONGEST_FILLED_GAP = 10.0

# Most pixels stylized at once: networks need up to about 400 bytes for each, so these stay within 2 GiB.
_PIXELS_AT_ONCE = 5_000_000
# Most pixels that wait for a network: while one frame is measured, which takes as long as painting several, the others
# are painted.
_PIXELS_AHEAD = 10_000_000


@dataclass(frozen=True)
class VideoOptions(Look):
    """How a video is stylized.

    Attributes:
        fps: Frames a second of the result; frames are dropped or repeated. None keeps every time as it is.
        start: Leave out what is before, seconds.
        end: Stop there, seconds, or None.
        side_by_side: The original on the left of the result.
        steady: Hold still what does not move, and carry along what does.
        audio: Copy the sound.
        subtitle: Copy the subtitles.
        codec: See :class:`VideoFormat`.
    """

    quality: int = 64
    fps: Fraction | None = None
    start: float = 0.0
    end: float | None = None
    side_by_side: bool = False
    steady: bool = True
    audio: bool = True
    subtitle: bool = True
    codec: str | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        super().__post_init__()
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"fps is {self.fps}; expected more than 0 and at most 1000")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(f"start is {self.start:g} s and end {self.end} s; expected 0 ≤ start < end")


@dataclass(frozen=True)
class VideoReport:
    """Outcome of stylizing a video.

    Attributes:
        width: Width of the result, px.
        height: Height of the result, px.
        frames: How many were written.
        losses: What could not be read.
        notes: What the result has otherwise than the film, and what it has not.
        interrupted: Whether the user stopped it; the file holds the frames finished by then.
    """

    width: int
    height: int
    frames: int
    losses: Losses
    notes: list[str]
    interrupted: bool


def stylize_video(
    source: str | Path,
    target: str | Path,
    stylizer: Stylizer,
    options: VideoOptions | None = None,
    *,
    workers: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> VideoReport:
    """Stylize a video file, an animated GIF or numbered pictures.

    Args:
        source: The video, or a pattern such as ``frames/%05d.png``.
        target: A file, whose suffix selects the container, or such a pattern. A file appears when it is complete, or
            when Ctrl-C ends it early.
        stylizer: The style.
        options: See :class:`VideoOptions`.
        workers: Frames stylized at once; by default as many as there are cores, fewer for large frames.
        threads: CPU threads for each; by default the cores are shared out.
        progress: Called with the frames done and the frames expected, or None if unknown.

    Raises:
        VideoError: The video or a mask cannot be read at all, or the video cannot be written.
        ImageError: The frames are too small, or a mask is of another shape.
        InputError: The masks do not fit the styles, or a style cannot be given any.
        FileError: The file cannot be written.
    """
    source, target, options = Path(source), Path(target), options or VideoOptions()
    if not is_sequence(target):
        check_video_name(target)  # checked before anything is opened, so that the error names the target
    with ExitStack() as stack:
        square = is_sequence(target) or not keeps_aspect(target, options.codec)
        reader = _open_reader(source, options, square=square)
        stack.callback(reader.close)
        width = reader.width * (2 if options.side_by_side else 1)
        workers = workers or max(1, min(core_count(), _PIXELS_AT_ONCE // (reader.width * reader.height)))
        network = replace(stylizer.network, threads=threads or max(1, core_count() // workers))
        make_parent(target)
        if is_sequence(target):
            writer: Writer = SequenceWriter(target, width, reader.height, quality=options.quality)
        else:
            sweep(target)
            writer = _open_writer(stack.enter_context(replacing(target)), width, reader, options)
        frames, interrupted = _run(reader, writer, network, options, workers, progress)
        if is_sequence(target) and (older := len(numbered_files(target)) - frames) > 0:
            reader.notes.append(f"files left from an earlier, longer result: {older}")
        if not frames and not interrupted:
            raise VideoError(f"{source} has no frame in the requested part", hint="Check --start and --end.")
        if not frames:
            raise KeyboardInterrupt
        return VideoReport(reader.width, reader.height, frames, reader.losses, reader.notes, interrupted)


def _open_reader(source: Path, options: VideoOptions, *, square: bool) -> Reader:
    if is_sequence(source):
        rate = options.fps or DEFAULT_RATE
        return SequenceReader(source, size=options.size, rate=rate, start=options.start, end=options.end)
    kinds = {"audio": options.audio, "subtitle": options.subtitle}
    copied = frozenset(kind for kind, wanted in kinds.items() if wanted)
    return VideoReader(source, size=options.size, start=options.start, end=options.end, copied=copied, square=square)


def _open_writer(target: Path, width: int, reader: Reader, options: VideoOptions) -> VideoWriter:
    format = VideoFormat(
        width=width,
        height=reader.height,
        rate=options.fps or (reader.finest_rate if target.suffix.lower() == ".avi" else reader.rate),
        time_base=1 / options.fps if options.fps else reader.time_base,
        colors=reader.colors,
        aspect=reader.aspect,
        codec=options.codec,
        quality=options.quality,
        loop=reader.loop,
    )
    writer = VideoWriter(target, format, film=reader if isinstance(reader, VideoReader) else None)
    reader.notes += writer.left_out
    return writer


@dataclass
class FrameJob:
    """One frame of a film, from the reader to the writer; each stage sets what the next ones need.

    Attributes:
        pts: When it is shown, in units of the result's time base.
        duration: How long, in the same units.
        original: Red, green and blue as they were read, each (H, W) uint8.
        photo: What the networks see: the original, with its noise held still if steady.
        masks: Where each style is painted, (H, W) in [0, 1]; without any, the one style is painted everywhere.
        change: If steady, what changed since the previous frame.
        networks: The networks that paint it: a single one, or those whose masks are not black here.
        shown: These masks.
        origin: Row and column of the frame in the scene over which the camera moves, px.
        stylized: If steady, the network's picture, (3, H, W) uint8, before smoothing.
        packed: What the writer takes.
    """

    pts: int
    duration: int
    original: Planes
    photo: Planes
    masks: Sequence[Mask] = ()
    change: Change | None = None
    networks: Sequence[Network] = ()
    shown: Sequence[Mask] = ()
    origin: tuple[int, int] = (0, 0)
    stylized: Pixels | None = None
    packed: VideoFrame | None = None

    def paint(self, result: Planes, look: Look) -> None:
        """Let the network draw on three planes of the frame's size, each (H, W) uint8."""
        shown = self.shown if self.masks else None  # masks that are all black here leave the photo
        paint_masked(self.networks, shown, self.photo, result, look, origin=self.origin)


class _Stages:
    """Stages of each frame: prepared in order, painted in parallel, written in order.

    Packets of other streams pass through.
    """

    def __init__(self, reader: Reader, writer: Writer, network: StyleNetwork, options: VideoOptions) -> None:
        self._reader, self._writer, self._options = reader, writer, options
        self._masks = pair_masks(network, options.masks)
        networks = networks_for_masks(network, self._masks, (reader.width, reader.height)) if self._masks else [network]
        rate = float(options.fps or reader.rate)
        self._scenes = [Scene(style, passes=options.passes, rate=rate) for style in networks]
        self._tracker: MotionTracker | None = None
        self._filter: SteadyFilter | None = None
        # These need OpenCV, which takes 0.1 s to import, and the flow takes time at each frame.
        if options.steady or any(scene.uses_origin for scene in self._scenes):
            from fast_style.films.motion import MotionTracker

            self._tracker = MotionTracker()
        if options.steady:
            from fast_style.films.steady import SteadyFilter

            self._filter = SteadyFilter()

    def prepare(self) -> Iterator[FrameJob | OtherPacket]:
        """Yield frames with what depends on earlier frames: motion, noise, and the style of the scene."""
        fps = self._options.fps
        items = self._jobs()
        # Numbered pictures are already read at that rate.
        if fps is not None and not isinstance(self._reader, SequenceReader):
            items = _at_rate(items, self._reader.time_base, fps)
        for item in items:
            if isinstance(item, FrameJob):
                self._follow(item)
                self._choose_networks(item)
            yield item

    def paint(self, item: FrameJob | OtherPacket) -> FrameJob | OtherPacket:
        """Paint one frame, and pack it unless it must be smoothed first; for any thread."""
        if isinstance(item, FrameJob):
            if item.change is not None:
                item.stylized = np.empty((3, *item.photo[0].shape), np.uint8)
                item.paint(item.stylized, self._options)
            else:
                picture, planes = self._blank(item)
                item.paint(planes, self._options)
                item.packed = self._writer.pack(picture)
                item.original = ()
            item.photo = ()  # free memory that is no longer needed, as the frame may wait for its turn
        return item

    def write(self, item: FrameJob | OtherPacket) -> int:
        """Write the next item; return the number of frames written, 0 or 1."""
        if not isinstance(item, FrameJob):
            self._writer.copy(item)
            return 0
        if self._filter is not None and item.change is not None and item.stylized is not None:
            picture, planes = self._blank(item)
            copy_planes(self._filter.smooth(item.stylized, item.change), planes)
            item.packed = self._writer.pack(picture)
        assert item.packed is not None
        self._writer.write(item.packed, item.pts, item.duration)
        return 1

    def _jobs(self) -> Iterator[FrameJob | OtherPacket]:
        """Give each frame its masks."""
        masks = [_masks(path, self._reader, self._options.start) for path in self._masks.values()]
        following = 0
        for item in self._reader:
            if isinstance(item, Frame):
                # Pictures that were lost had masks, too.
                lost = item.pts - following if isinstance(self._reader, SequenceReader) else 0
                following = item.pts + 1
                shown = [next(islice(mask, lost, None)) for mask in masks]
                yield FrameJob(item.pts, item.duration, item.planes, item.planes, shown)
            else:
                yield item

    def _follow(self, job: FrameJob) -> None:
        if self._tracker is None:
            return
        motion = self._tracker.follow(job.original)
        job.origin = motion.origin
        if self._filter is not None:
            job.photo, job.change = self._filter.hold(job.original, motion.flow, job.masks, origin=motion.origin)
            if not self._options.side_by_side:
                job.original = ()

    def _choose_networks(self, job: FrameJob) -> None:
        """A style whose mask is black here neither measures nor paints the frame."""
        if not job.masks:
            job.networks = [self._scenes[0].style(job.photo)]
            return
        pairs = [(scene, mask) for scene, mask in zip(self._scenes, job.masks, strict=True) if mask.any()]
        job.networks = [scene.style(job.photo, mask) for scene, mask in pairs]
        job.shown = [mask for _, mask in pairs]

    def _blank(self, job: FrameJob) -> tuple[VideoFrame, Planes]:
        """A picture for the writer, and where on it the result goes; with side_by_side the original is on its left."""
        picture = self._writer.blank()
        planes = self._writer.planes(picture)
        if not self._options.side_by_side:
            return picture, planes
        copy_planes(job.original, [plane[:, : self._reader.width] for plane in planes])
        return picture, [plane[:, self._reader.width :] for plane in planes]


def _run(
    reader: Reader,
    writer: Writer,
    network: StyleNetwork,
    options: VideoOptions,
    workers: int,
    progress: Callable[[int, int | None], None] | None,
) -> tuple[int, bool]:
    """Run the three stages; return how many frames were written and whether Ctrl-C stopped them."""
    done, interrupted = 0, False
    try:
        stages = _Stages(reader, writer, network, options)
        ahead = max(workers, min(8 * workers, _PIXELS_AHEAD // (reader.width * reader.height)))
        items = overlap(stages.prepare(), stages.paint, workers=workers, ahead=ahead)
        try:
            for item in items:
                if stages.write(item):
                    done += 1
                    if progress:
                        progress(done, reader.frames if options.fps is None else None)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            items.close()
    finally:
        writer.close()
    return done, interrupted


def _masks(path: Path, film: Reader, start: float) -> Iterator[Mask]:
    """Yield a mask for each frame of a film; the last picture of a mask is repeated."""
    mask: Mask | None = None
    for picture in _pictures(path, film, start):
        mask = as_mask(picture, path, (film.width, film.height))
        yield mask
    if mask is None:
        raise VideoError(
            f"the mask {path} has no picture from {start:g} s on", hint="A mask begins at --start, as the film does."
        )
    yield from repeat(mask)


def _pictures(path: Path, film: Reader, start: float) -> Iterator[Picture]:
    """Read the pictures of a mask; its losses are added to the film's."""
    if not is_video(path):
        yield load_image(path)
        return
    if is_sequence(path):
        yield from map(load_image, numbered_files(path)[first_frame(start, film.rate) :])
        return
    try:
        reader = VideoReader(path, start=start, copied=frozenset(), square=film.square)
    except VideoError as error:
        raise VideoError(f"the mask {error}", hint=error.hint or "A mask is a picture or a video.") from error
    with closing(reader):
        for item in reader:
            if isinstance(item, Frame):
                yield Picture(np.stack([*item.planes], axis=-1))
        for reason in reader.losses.reasons:
            film.losses.add(f"the mask {path}: {reason}")


def _at_rate(
    items: Iterable[FrameJob | OtherPacket], time_base: Fraction, fps: Fraction
) -> Iterator[FrameJob | OtherPacket]:
    """Drop or repeat frames so that each comes at a multiple of 1 / fps; times are then counted in that unit."""
    waiting: FrameJob | None = None
    for item in items:
        if not isinstance(item, FrameJob):
            yield item
            continue
        due = nearest(item.pts * time_base * fps)
        if waiting is not None:
            yield from _repeated(waiting, due, fps)
        end = nearest((item.pts + item.duration) * time_base * fps)
        waiting = replace(item, pts=due, duration=max(1, end - due))
    if waiting is not None:
        yield from _repeated(waiting, waiting.pts + waiting.duration, fps)


def _repeated(job: FrameJob, end: int, fps: Fraction) -> Iterator[FrameJob]:
    """Yield a frame at each multiple of 1 / fps until ``end``."""
    if end - job.pts > max(1, round(_LONGEST_FILLED_GAP * fps)):
        yield replace(job, duration=end - job.pts)
        return
    for number in range(job.pts, end):
        yield replace(job, pts=number, duration=1)
