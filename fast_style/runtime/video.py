"""Stylizing videos: reading, the network and writing overlap, in memory that does not grow with the length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Generic

import numpy as np

from fast_style.errors import InputError, VideoError
from fast_style.files import replacing
from fast_style.graph import core_count
from fast_style.images import Picture, Pixels, Planes, load_image
from fast_style.runtime.frames import (
    DEFAULT_RATE,
    Canvas,
    Frame,
    Losses,
    Memory,
    OtherPacket,
    Reader,
    Writer,
    copy_planes,
)
from fast_style.runtime.masks import Mask, as_mask, paint_masked, pair_masks, styles_for_masks
from fast_style.runtime.pipeline import overlap
from fast_style.runtime.plan import is_sequence, is_video, numbered_files
from fast_style.runtime.reading import VideoReader
from fast_style.runtime.scene import Scene
from fast_style.runtime.sequence import SequenceReader, SequenceWriter
from fast_style.runtime.stylizer import Stylizer, check_blend, check_quality, check_size
from fast_style.runtime.writing import VideoFormat, VideoWriter, check_video_name

if TYPE_CHECKING:
    from fast_style.runtime.steady import Held

# A gap this long is a still picture or a damaged time; --fps does not fill it with repeated frames.
_LONGEST_FILLED_GAP = 10.0

# Networks hold up to about 400 bytes for each pixel; so many pixels at once stay within 2 GiB.
_PIXELS_AT_ONCE = 5_000_000


@dataclass(frozen=True)
class VideoOptions:
    """How a video is stylized.

    Attributes:
        size: Shrink the long side to this many px, or None.
        fps: Frames a second of the result; frames are dropped or repeated. None keeps every time as it is.
        start: Leave out what is before, seconds.
        end: Stop there, seconds, or None.
        blend: 0.0 is the original, 1.0 the full style.
        keep_colors: Take only brightness from the style.
        side_by_side: The original on the left of the result.
        steady: Hold still what does not move.
        masks: Where the styles are painted: pictures or videos, see :func:`fast_style.runtime.masks.pair_masks`.
            Where a video ends, its last frame stays.
        audio: Copy the sound.
        subtitle: Copy the subtitles.
        codec: See :class:`VideoFormat`.
        quality: 1 to 100.
    """

    size: int | None = None
    fps: Fraction | None = None
    start: float = 0.0
    end: float | None = None
    blend: float = 1.0
    keep_colors: bool = False
    side_by_side: bool = False
    steady: bool = False
    masks: tuple[Path, ...] = ()
    audio: bool = True
    subtitle: bool = True
    codec: str | None = None
    quality: int = 64

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        check_blend(self.blend)
        check_size(self.size)
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"fps is {self.fps}; expected more than 0 and at most 1000")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(f"start is {self.start:g} s and end {self.end} s; expected 0 ≤ start < end")
        check_quality(self.quality)


@dataclass(frozen=True)
class VideoReport:
    """What became of a video.

    Attributes:
        width: Width of the result, px.
        height: Height of the result, px.
        frames: How many were written.
        losses: What could not be read.
        interrupted: Whether the user stopped it; what was done until then is in the file.
    """

    width: int
    height: int
    frames: int
    losses: Losses
    interrupted: bool


def stylize_video(
    source: str | Path,
    target: str | Path,
    stylizer: Stylizer,
    options: VideoOptions | None = None,
    *,
    workers: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> VideoReport:
    """Stylize a video file, an animated GIF or numbered pictures.

    Args:
        source: The video, or a pattern such as ``frames/%05d.png``.
        target: A file, whose suffix tells the container, or such a pattern. A file appears when it is whole, or when
            Ctrl-C ends it early.
        stylizer: With ``threads=1`` for the highest rate, as frames are stylized side by side.
        options: See :class:`VideoOptions`.
        workers: Frames that are stylized at once; by default as many as there are cores, fewer for large frames.
        progress: Called with the frames done and the frames expected, or None if that is not known.

    Raises:
        VideoError: The video or a mask cannot be read at all, or the video cannot be written.
        ImageError: The frames are too small, or a mask is of another shape.
        InputError: The masks do not fit the styles, or a style cannot be given any.
        FileError: The file cannot be written.
    """
    source, target, options = Path(source), Path(target), options or VideoOptions()
    if not is_sequence(target):
        check_video_name(target)  # said of the target's own name, before anything is opened
    with ExitStack() as stack:
        reader = _open_reader(source, options)
        stack.callback(reader.close)
        width = reader.width * (2 if options.side_by_side else 1)
        workers = workers or max(1, min(core_count(), _PIXELS_AT_ONCE // (reader.width * reader.height)))
        if is_sequence(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            pictures = SequenceWriter(target, width, reader.height, quality=options.quality)
            frames, interrupted = _run(reader, pictures, stylizer, options, workers, progress)
        else:
            film = _open_writer(stack.enter_context(replacing(target)), width, reader, options)
            frames, interrupted = _run(reader, film, stylizer, options, workers, progress)
        if not frames and not interrupted:
            raise VideoError(f"{source} has no frame in what was asked for", hint="Check --start and --end.")
        if not frames:
            raise KeyboardInterrupt
        return VideoReport(reader.width, reader.height, frames, reader.losses, interrupted)


def _open_reader(source: Path, options: VideoOptions) -> VideoReader | SequenceReader:
    if is_sequence(source):
        rate = options.fps or DEFAULT_RATE
        return SequenceReader(source, size=options.size, rate=rate, start=options.start, end=options.end)
    kinds = {"audio": options.audio, "subtitle": options.subtitle}
    copied = frozenset(kind for kind, wanted in kinds.items() if wanted)
    return VideoReader(source, size=options.size, start=options.start, end=options.end, copied=copied)


def _open_writer(target: Path, width: int, reader: VideoReader | SequenceReader, options: VideoOptions) -> VideoWriter:
    format = VideoFormat(
        width=width,
        height=reader.height,
        rate=options.fps or reader.rate,
        time_base=1 / options.fps if options.fps else reader.time_base,
        colors=reader.colors,
        aspect=reader.aspect,
        codec=options.codec,
        quality=options.quality,
    )
    return VideoWriter(target, format, copied=reader.copied, metadata=reader.metadata)


# From red, green and blue to others, each (H, W) uint8.
Paint = Callable[[Planes, Planes], None]


@dataclass(frozen=True)
class _Photo:
    """A frame before the network, and what paints it as the styles are at it; of a steady video with its noise held."""

    frame: Frame
    paint: Paint
    held: Held | None


@dataclass(frozen=True)
class _Unsteady:
    """A frame of a steady video behind the network; it is smoothed in its turn."""

    frame: Frame
    held: Held
    stylized: Pixels


@dataclass(frozen=True)
class _Packed(Generic[Memory]):
    """A frame that is ready to be written."""

    pts: int
    memory: Memory


class _Stages(Generic[Memory]):
    """What is done to each item of a video: to prepare it in order, to work on several, to write it in order."""

    def __init__(self, reader: Reader, writer: Writer[Memory], stylizer: Stylizer, options: VideoOptions) -> None:
        self._reader, self._writer, self._options = reader, writer, options
        self._masks = pair_masks(stylizer, options.masks) if options.masks else {}
        styles = styles_for_masks(stylizer, self._masks, (reader.width, reader.height)) if self._masks else [stylizer]
        self._scenes = [Scene(style) for style in styles]
        from fast_style.runtime.motion import Motion  # OpenCV takes 0.1 s to import
        from fast_style.runtime.steady import Steady

        self._motion = Motion()
        self._steady = Steady() if options.steady else None

    def prepare(self) -> Iterator[_Photo | OtherPacket]:
        fps = self._options.fps
        items = _with_masks(self._reader, self._masks.values(), self._options.start)
        # Numbered pictures are read at the rate that is asked for.
        if fps is not None and not isinstance(self._reader, SequenceReader):
            items = _at_rate(items, self._reader.time_base, fps)
        for item in items:
            if isinstance(item, Frame):
                step = self._motion.follow(item.planes)
                held = None
                if self._steady is not None:
                    flow = step.pixels(*item.planes[0].shape)
                    held = self._steady.hold(item.planes, flow, item.masks)
                photo = item.planes if held is None else held.held
                yield _Photo(item, self._painter(photo, item.masks, step.origin), held)
            else:
                yield item

    def work(self, item: _Photo | OtherPacket) -> _Unsteady | _Packed[Memory] | OtherPacket:
        if not isinstance(item, _Photo):
            return item
        if item.held is not None:
            stylized = np.empty_like(item.held.held)
            item.paint(item.held.held, stylized)
            return _Unsteady(item.frame, item.held, stylized)
        canvas, planes = self._canvas(item.frame)
        item.paint(item.frame.planes, planes)
        return _Packed(item.frame.pts, self._writer.pack(canvas))

    def write(self, item: _Unsteady | _Packed[Memory] | OtherPacket) -> int:
        """Write what is next; return the number of frames that this was."""
        if isinstance(item, _Unsteady):
            assert self._steady is not None
            canvas, planes = self._canvas(item.frame)
            copy_planes(self._steady.smooth(item.stylized, item.held), planes)
            item = _Packed(item.frame.pts, self._writer.pack(canvas))
        if isinstance(item, _Packed):
            self._writer.write(item.memory, item.pts)
            return 1
        self._writer.copy(item)
        return 0

    def _canvas(self, frame: Frame) -> tuple[Canvas[Memory], Planes]:
        """A picture to draw on, and where on it the result goes; the original is on its left if it is asked for."""
        canvas = self._writer.canvas()
        if not self._options.side_by_side:
            return canvas, canvas.planes
        copy_planes(frame.planes, [plane[:, : self._reader.width] for plane in canvas.planes])
        return canvas, [plane[:, self._reader.width :] for plane in canvas.planes]

    def _painter(self, photo: Planes, masks: Sequence[Mask], origin: tuple[int, int]) -> Paint:
        """What paints the next frame; a style whose mask is black there neither measures nor paints it."""
        paint: Callable[..., None]
        if masks:
            shown = [
                (scene.style(photo, mask), mask) for scene, mask in zip(self._scenes, masks, strict=True) if mask.any()
            ]
            paint = partial(paint_masked, [style for style, _ in shown], [mask for _, mask in shown])
        else:
            paint = self._scenes[0].style(photo).planes
        return partial(paint, blend=self._options.blend, keep_colors=self._options.keep_colors, origin=origin)


def _run(
    reader: Reader,
    writer: Writer[Memory],
    stylizer: Stylizer,
    options: VideoOptions,
    workers: int,
    progress: Callable[[int, int | None], None] | None,
) -> tuple[int, bool]:
    """Run the three stages; return how many frames were written and whether Ctrl-C stopped them."""
    done, interrupted = 0, False
    try:
        stages = _Stages(reader, writer, stylizer, options)
        items = overlap(stages.prepare(), stages.work, workers=workers)
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


def _with_masks(reader: Reader, paths: Iterable[Path], start: float) -> Iterator[Frame | OtherPacket]:
    """Give each frame its masks."""
    masks = [_masks(path, reader, start) for path in paths]
    for item in reader:
        yield replace(item, masks=[next(mask) for mask in masks]) if isinstance(item, Frame) else item


def _masks(path: Path, film: Reader, start: float) -> Iterator[Mask]:
    """Yield a mask for each frame of a film; a moving one's last stays."""
    mask: Mask | None = None
    for picture in _pictures(path, film, start):
        mask = as_mask(picture, path, (film.width, film.height))
        yield mask
    if mask is None:
        raise VideoError(
            f"the mask {path} holds no picture from {start:g} s on", hint="A mask begins at --start, as the film does."
        )
    yield from repeat(mask)


def _pictures(path: Path, film: Reader, start: float) -> Iterator[Picture]:
    """Read the pictures of a mask, whose losses are the film's."""
    if not is_video(path):
        yield load_image(path)
        return
    if is_sequence(path):
        yield from map(load_image, numbered_files(path)[round(start * film.rate) :])
        return
    try:
        reader = VideoReader(path, start=start, copied=frozenset())
    except VideoError as error:
        raise VideoError(f"the mask {error}", hint=error.hint or "A mask is a picture or a video.") from error
    with reader:
        for item in reader:
            if isinstance(item, Frame):
                yield Picture(np.stack([*item.planes], axis=-1))
        for reason in reader.losses.reasons:
            film.losses.add(f"the mask {path}: {reason}")


def _at_rate(items: Iterable[Frame | OtherPacket], time_base: Fraction, fps: Fraction) -> Iterator[Frame | OtherPacket]:
    """Drop or repeat frames so that each comes at a multiple of 1 / fps; times are then counted in that unit."""
    waiting: Frame | None = None
    turn: int | None = None
    longest = max(1, round(_LONGEST_FILLED_GAP * fps))
    for item in items:
        if not isinstance(item, Frame):
            yield item
            continue
        due = round(item.pts * time_base * fps)
        if waiting is not None and turn is not None:
            if due - turn > longest:
                yield replace(waiting, pts=turn)
            else:
                for number in range(turn, due):
                    yield replace(waiting, pts=number)
        turn = due
        waiting = item
    if waiting is not None and turn is not None:
        yield replace(waiting, pts=turn)
