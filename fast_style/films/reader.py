"""Reading videos and animated GIFs as upright RGB planes with exact times."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import VideoFrame
from av.error import FFmpegError
from av.stream import Disposition
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from fast_style.errors import VideoError
from fast_style.films.colors import BT709, colors_of
from fast_style.films.extras import Extras
from fast_style.films.filters import FrameFilter
from fast_style.films.frames import DEFAULT_RATE, Frame, Losses, OtherPacket, file_url, plane_views
from fast_style.images import MAX_PIXELS, Planes, fit_size
from fast_style.model.session import core_count

# Frames a second. A higher rate that FFmpeg guesses for a film whose rate varies is that of the clock.
_FASTEST_FILM = Fraction(60)
# Width of a pixel by its height, at most, or the other way round: more is a mistake. Films have up to 2.
_WIDEST_PIXEL = 4
# A timecode, and what stands before its frames: a semicolon or period if some numbers are left out, at these rates.
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d([:;.])\d\d")
_DROPPED_RATES = {Fraction(30_000, 1001), Fraction(60_000, 1001)}
# Seconds that are read beyond the end for sound that is stored after its pictures; MPEG-TS allows 1.
_LATEST = 2
_LEAST_FIELD = 4  # px that the filter against interlacing needs


class VideoReader:
    """An open video file.

    Iterating yields :class:`Frame` for each picture and packets of the other streams as they come. What cannot be
    decoded is skipped and counted in ``losses``; it does not raise. Interlaced pictures become progressive, and colors
    of BT.2020 and HDR those of BT.709; ``notes`` says so.

    Args:
        path: The file.
        size: Shrink the long side to this many px, or None.
        start: Skip everything before this time, seconds.
        end: Stop at this time, seconds, or None.
        copied: Kinds of other streams to copy: ``audio``, ``subtitle``.
        square: Widen or narrow the picture until its pixels are square.

    Raises:
        VideoError: The file does not exist or is not a video.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int | None = None,
        start: float = 0.0,
        end: float | None = None,
        copied: frozenset[str] = frozenset({"audio", "subtitle"}),
        square: bool = False,
    ) -> None:
        self.path, self.square = path, square
        self.start, self.end = start, end
        self.losses = Losses()
        self.notes: list[str] = []
        if not path.is_file():
            raise VideoError(f"{path} {'is a folder; expected a video' if path.is_dir() else 'does not exist'}")
        try:
            self.container = av.open(file_url(path), metadata_errors="replace")
        except FFmpegError as error:
            raise VideoError(
                f"{path} is not a video that can be read ({error.strerror})",
                hint="The file may be damaged or incomplete.",
            ) from error
        try:
            self._open(size, copied)
        except BaseException:
            self.container.close()
            raise

    def _open(self, size: int | None, copied: frozenset[str]) -> None:
        videos = [s for s in self.container.streams.video if not s.disposition & Disposition.attached_pic]
        if not videos or videos[0].codec_context is None:
            raise VideoError(f"{self.path} holds no video that can be decoded")
        self.stream = videos[0]
        self.copied = [s for s in self.container.streams if s.type in copied and s.codec_context is not None]
        self.extras = Extras.of(self.container)
        self._covers: dict[int, tuple[VideoStream, bytes]] = {}
        self._note_left_out(videos[1:])
        codec = self.stream.codec_context
        codec.thread_type = "AUTO"
        codec.thread_count = max(1, core_count() // 2)  # the network needs the other cores more
        codec.options = {"max_pixels": str(MAX_PIXELS)}
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 1000)
        average, guessed = self.stream.average_rate, self.stream.guessed_rate
        # FFmpeg takes the unit of time for the mean if it cannot tell the length, as of a raw .dv.
        unknown = average == 1 / self.time_base
        self.rate: Fraction = (guessed or average if unknown else average or guessed) or DEFAULT_RATE
        self.finest_rate = max(self.rate, min(guessed or self.rate, _FASTEST_FILM))
        self.metadata = self._metadata()
        self.loop = _loop(self.path) if self.container.format.name == "gif" else 0
        self._packets = self.container.demux()
        self._ordered = _Ordered() if self.container.format.name in {"avi", "asf"} else None
        self._promised = self._count_frames()
        self._until = Fraction(0)  # end of what was read of any stream, seconds
        self._reformatter = VideoReformatter()
        # Size, rotation and colors come from the first frame; the header may be wrong.
        self._pending: list[VideoFrame | OtherPacket] = []
        self._items = self._decoded()
        first = self._first_frame()
        self._turned, self._flips = _turn(first)
        self.colors = self._source_colors = colors_of(first)
        aspect = self.stream.sample_aspect_ratio
        stretch = aspect if self.square and aspect and 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL else 1
        self._decoded_size = fit_size((max(1, round(first.width * stretch)), first.height), size)
        width, height = self._decoded_size
        self.width, self.height = (height, width) if self._turned else (width, height)
        self._to_bt709: FrameFilter | None = None
        if wide := self.colors.wide:
            self._to_bt709 = _convert_colors(width, height, self.time_base)
            self.colors = BT709
            self.notes.append(f"colors of {wide} were converted to BT.709")
        self.aspect: Fraction | None = None
        if aspect and not self.square:
            self.aspect = 1 / aspect if self._turned else aspect
        start = self.container.start_time
        shown = None if first.pts is None else first.pts * self.time_base
        # The container may not know when its video starts.
        starts = [None if start is None else Fraction(start, av.time_base), shown]
        self._origin = min((time for time in starts if time is not None), default=Fraction(0))
        # Sound may begin before the pictures, with what its decoder drops, but pictures not before their own start.
        self._begin = self._origin if self._origin > 0 or (shown is not None and shown < 0) else Fraction(0)
        # An index that lists the frames starts late on purpose; other clocks start anywhere, as that of a broadcast.
        meant = self.start == 0 and self.stream.frames
        self._zero = Fraction(0) if meant else self._begin + Fraction(self.start)
        self._stop = None if self.end is None else self._begin + Fraction(self.end)
        # A film's covers come before everything else in it.
        self.extras = replace(self.extras.cut(self._zero, self._stop), covers=[*self._covers.values()])
        if self.start > 0:
            self._seek()

    def _note_left_out(self, videos: Sequence[VideoStream]) -> None:
        """Note the streams that no result has, so that none is lost in silence."""
        if videos:
            self.notes.append(f"only the first of {len(videos) + 1} video tracks was stylized, the others left out")
        if data := self.extras.data:
            self.notes.append(f"{data} stream{'s' * (data > 1)} of data, such as GPS, left out")

    def _metadata(self) -> dict[str, str]:
        """Title and the like, and the timecode of the first frame if it is one: else no MP4 could be written."""
        tags = dict(self.container.metadata)
        codes = {key: tags.pop(key) for key in [*tags] if key.lower() == "timecode"}
        code = self.stream.metadata.get("timecode") or next(iter(codes.values()), "")
        kind = _TIMECODE.fullmatch(code)
        dropped = self.rate in _DROPPED_RATES
        if kind and self.rate >= 1 and (dropped or kind[1] == ":") and self.start == 0:
            tags["timecode"] = code
        elif code:
            self._note(f"the timecode {code} left out")
        return tags

    def _first_frame(self) -> VideoFrame:
        for item in self._items:
            self._pending.append(item)
            if isinstance(item, VideoFrame):
                return item
        why = f": {self.losses.reasons[0]}" if self.losses else ""
        raise VideoError(f"{self.path} holds no frame that can be decoded{why}")

    def _seek(self) -> None:
        """Go to a frame before the start that can be decoded by itself; some formats land behind it at first."""
        for back in (0, 10, 100, self.start):
            goal = max(self._origin, self._zero - Fraction(back))
            try:
                self.container.seek(int(goal * av.time_base))
            except FFmpegError:
                return  # some formats cannot seek: then everything before the start is decoded and skipped
            self.losses = Losses()
            self._pending.clear()
            self.stream.codec_context.flush_buffers()
            self._packets = self.container.demux()
            self._items = self._decoded()
            with suppress(VideoError):
                first = self._first_frame()
                if first.pts is None or first.pts * self.time_base <= self._zero:
                    return

    def _count_frames(self) -> int:
        """How many frames the file promises, without those that an edit list hides and empty chunks; 0 if unknown."""
        kind, index = self.container.format.name, self.stream.index_entries
        if self.stream.frames and len(index) and ("mp4" in kind or (kind == "avi" and not self._is_cut_avi())):
            return sum(not entry.is_discard for entry in index)
        return self.stream.frames

    def _is_cut_avi(self) -> bool:
        """Whether an AVI is shorter than it says, in which case its index is not whole."""
        with self.path.open("rb") as file:
            return self.path.stat().st_size < int.from_bytes(file.read(8)[4:], "little") + 8

    @property
    def _length(self) -> float | None:
        """Length of the whole file, seconds, or None if unknown."""
        duration = self.container.duration
        if duration is None or duration < 0:
            return None
        # Matroska gives the time of the end.
        late = self._origin if "matroska" in self.container.format.name else 0
        return duration / av.time_base - float(late)

    @property
    def frames(self) -> int | None:
        """How many frames to expect, or None if unknown."""
        if self.start == 0 and self.end is None and self._promised:
            return self._promised
        ends = [end for end in (self.end, self._length) if end is not None]
        return max(1, round((min(ends) - self.start) * float(self.rate))) if ends else None

    def __iter__(self) -> Iterator[Frame | OtherPacket]:
        """Yield frames and packets from the requested start on."""
        first = round(self._zero / self.time_base)
        last = None if self._stop is None else round(self._stop / self.time_base)
        previous: int | None = None
        before: VideoFrame | None = None
        gone = first
        usual = max(1, round(1 / (self.rate * self.time_base)))
        read = 0
        for item in self._all():
            if isinstance(item, VideoFrame):
                pts = item.pts
                if pts is None or (previous is not None and pts <= previous):
                    # Raw streams have no times, and in damaged files they may go back: assume one frame later.
                    pts = first if previous is None else previous + usual
                previous = pts
                read += 1
                end = pts + (item.duration or usual)
                if self.start > 0 and pts < first:
                    before, gone = item, end
                    continue
                if before is not None:
                    yield from self._still_shown(before, first, pts, last)
                    before = None
                if last is not None and pts >= last:
                    yield from self._late_packets()
                    return
                if last is not None:
                    end = min(end, last)
                yield Frame(self._planes(item), pts - first, end - pts)
            elif (packet := self._cut(item)) is not None:
                yield packet
        if before is not None:
            yield from self._still_shown(before, first, gone, last)
        self._account(read, previous)

    def _still_shown(self, before: VideoFrame, first: int, until: int, last: int | None) -> Iterator[Frame]:
        """Yield the frame that is on the screen when the requested part begins, until the next one comes."""
        duration = (until if last is None else min(until, last)) - first
        if duration * self.time_base * max(self.rate, DEFAULT_RATE) >= Fraction(1, 2):
            yield Frame(self._planes(before), 0, duration)

    def _late_packets(self) -> Iterator[OtherPacket]:
        """Yield the packets of other streams before the end that are stored after the first picture beyond it."""
        assert self._stop is not None
        waiting = {*self.copied}
        while waiting:
            try:
                packet = next(self._packets)
            except StopIteration:
                return
            except FFmpegError as error:
                self.losses.add(f"reading stopped early: {error.strerror}")
                return
            if packet.dts is None:
                continue
            time = packet.dts * packet.time_base
            if time >= self._stop + _LATEST:
                return
            if time >= self._stop:
                waiting.discard(packet.stream)
            elif packet.stream in waiting and (cut := self._cut(packet)) is not None:
                yield cut

    def _cut(self, packet: OtherPacket) -> OtherPacket | None:
        """Move a packet of another stream to its new time; None if it is outside the requested part."""
        base, time = packet.time_base, packet.pts
        if time is None or base is None:
            return packet if self.start == 0 else None
        if self._stop is not None and time * base >= self._stop:
            return None
        if self._zero != 0:
            shift = round(self._zero / base)
            if time < shift:
                return None
            packet.pts = time - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        return packet

    def _all(self) -> Iterator[VideoFrame | OtherPacket]:
        yield from self._pending
        self._pending.clear()
        yield from self._items

    def _decoded(self) -> Iterator[VideoFrame | OtherPacket]:
        """Decoded frames and the packets of other streams, in the file's order; damage is counted, not raised."""
        deinterlaced: FrameFilter | None = None
        while True:
            try:
                packet = next(self._packets)
            except (StopIteration, FFmpegError) as error:
                if isinstance(error, FFmpegError):
                    self.losses.add(f"reading stopped early: {error.strerror}")
                if deinterlaced is not None:
                    yield from deinterlaced.flush()
                return
            if packet.pts is not None and packet.time_base is not None:
                self._until = max(self._until, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream is not self.stream:
                stream = packet.stream
                if isinstance(stream, VideoStream) and stream.disposition & Disposition.attached_pic and packet.size:
                    self._covers.setdefault(stream.index, (stream, bytes(packet)))
                elif stream in self.copied and packet.dts is not None:
                    yield packet
                continue
            if self._ordered is not None:
                self._ordered.start(packet.dts)
            try:
                frames = self.stream.decode(packet)
            except FFmpegError as error:
                self.losses.add(f"damaged frames: {error.strerror}", frames=1)
                continue
            for frame in frames:
                if self._ordered is not None:
                    self._ordered.set_time(frame)
                if frame.is_corrupt:
                    self.losses.add("damaged frames, patched by the decoder", frames=1)
                if frame.interlaced_frame and deinterlaced is None and min(frame.width, frame.height) >= _LEAST_FIELD:
                    deinterlaced = FrameFilter(("bwdif", "send_frame:deint=interlaced"), time_base=self.time_base)
                    self._note("interlaced frames were deinterlaced")
                if deinterlaced is None:
                    yield frame
                else:
                    yield from deinterlaced.push(frame)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _planes(self, frame: VideoFrame) -> Planes:
        """Convert one decoded frame to upright RGB planes, views of the conversion's own memory."""
        width, height = self._decoded_size
        source = self._source_colors
        if self._to_bt709 is not None:
            (rgb,) = self._to_bt709.push(frame)
        else:
            rgb = self._reformatter.reformat(
                frame,
                width=width,
                height=height,
                format="gbrp",
                src_colorspace=source.matrix,
                src_color_range=ColorRange.JPEG if source.full_range else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                interpolation="BICUBIC",
            )
        views = [view.T if self._turned else view for view in plane_views(rgb)]
        return [view[self._flips] for view in views]

    def _account(self, read: int, last: int | None) -> None:
        """At the end of the file, compare the frames read with those that its header promised."""
        promised = self._promised
        if self.start == 0 and promised and read < promised and not self.losses.frames:
            self.losses.add(f"the file ends early: {read} of {promised} frames", frames=promised - read)
            return
        if promised or last is None or not self._length or self.losses:
            return
        missing = self._length - float(self._until - self._origin)
        if missing > max(1.0, 3 / float(self.rate)):
            self.losses.add(f"the file ends {missing:.1f} s early", frames=round(missing * float(self.rate)))

    def close(self) -> None:
        """Close the file."""
        self.container.close()


class _Ordered:
    """Times of the frames of an AVI or WMV, which tell the order of decoding only.

    FFmpeg guesses when frames are shown, and wrongly if there are B-frames.
    By how much a decoder is late at the start of the file, it is late throughout.
    """

    def __init__(self) -> None:
        self._first: int | None = None  # time of the first packet
        self._delay: int | None = None

    def start(self, time: int | None) -> None:
        """Note when a packet is decoded."""
        if self._first is None:
            self._first = time

    def set_time(self, frame: VideoFrame) -> None:
        """Set when a frame is shown; unknown for those that the decoder gives at the end."""
        if self._delay is None:
            first = self._first or 0
            self._delay = 0 if frame.dts is None else frame.dts - first
            frame.pts = first
        else:
            frame.pts = None if frame.dts is None else frame.dts - self._delay


def _turn(frame: VideoFrame) -> tuple[bool, tuple[slice, slice]]:
    """How a frame is turned upright: whether rows and columns change places, then which of them are reversed.

    Reference:
        ISO/IEC 14496-12, section 8.3.2: a point (x, y) is shown at (a·x + c·y, b·x + d·y).
    """
    forth, back = slice(None), slice(None, None, -1)
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # its types say that there is none
    if matrix is None:
        return False, (forth, forth)
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
    turned = abs(b) > abs(a)
    across, down = (c, b) if turned else (a, d)
    return turned, (back if down < 0 else forth, back if across < 0 else forth)


def _convert_colors(width: int, height: int, time_base: Fraction) -> FrameFilter:
    """What makes frames of BT.2020 or HDR ones of BT.709 and that size; highlights keep their differences."""
    target = "out_primaries=bt709:out_transfer=bt709:intent=perceptual"
    return FrameFilter(("scale", f"{width}:{height}:flags=bicubic:{target}"), ("format", "gbrp"), time_base=time_base)


def _loop(gif: Path) -> int:
    """How often a GIF is repeated, which FFmpeg does not tell: 0 without end, -1 never."""
    with gif.open("rb") as file:
        head = file.read(4096)  # it stands before the pictures
    match = re.search(rb"NETSCAPE2\.0\x03\x01(..)", head, re.DOTALL)
    return int.from_bytes(match[1], "little") if match else -1
