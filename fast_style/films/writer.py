"""Writing videos and animated GIFs."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from fast_style.errors import VideoError
from fast_style.films.colors import Colors
from fast_style.films.frames import OtherPacket, copy_planes, file_url, nearest, plane_views
from fast_style.films.reader import VideoReader
from fast_style.images import Planes
from fast_style.model.session import core_count

# Short names for --codec; any other encoder of the FFmpeg libraries may be given by its full name.
CODECS = {"h264": "libx264", "h265": "libx265", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_BY_SUFFIX = {".webm": "libvpx-vp9", ".gif": "gif", ".avi": "mpeg4"}
WRITABLE_VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"})

# These tell the shape of a pixel themselves; other codecs leave that to the file, and PyAV sets it in MP4 and MOV only.
_TELLS_ASPECT = frozenset({"libx264", "libx265", "mpeg4", "mjpeg"})

# Suggested for sound and subtitles that a file cannot hold, with FFmpeg's names of the formats; most capable first.
_HOLDERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov", ".avi": "avi"}

# What AVI files say of channels, and layouts, which MP4 files need.
_LAYOUTS = {"1 channels": "mono", "2 channels": "stereo"}

# Fastest settings of good quality: the encoder must not take time that the network needs.
_SPEED = {
    "libx264": {"preset": "ultrafast"},
    # An MP4 stores a frame's length by the order of decoding: with B-frames that of the last frame shown is lost.
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "b": "0"},
    "libsvtav1": {"preset": "10"},
}
_GIF_TIME_BASE = Fraction(1, 100)
_GIF_CONTROL = b"\x21\xf9\x04"  # begins an extension of a byte of flags and the pause, which precedes each picture
_LONGEST_PAUSE = 65535  # in a GIF
_FINEST_MPEG4 = 65535  # units of time in a second, at most


@dataclass(frozen=True)
class VideoFormat:
    """Format of a video to write.

    Attributes:
        width: Width of the picture, px.
        height: Height of the picture, px.
        rate: Nominal frames per second.
        time_base: Unit of the times, seconds.
        colors: How its YCbCr means RGB.
        aspect: Width of a pixel by its height, or None for square ones.
        codec: A short name, an encoder's name, or None for the default of the file's suffix.
        quality: 1 to 100.
        loop: How often a GIF is repeated: 0 without end, -1 never.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    colors: Colors = field(default_factory=Colors)
    aspect: Fraction | None = None
    codec: str | None = None
    quality: int = 64
    loop: int = 0


class VideoWriter:
    """A video file being written.

    :meth:`blank` and :meth:`pack` may be called from several threads, the other methods from one.

    Args:
        path: Where to write; its suffix selects the container.
        format: Size, times, colors and codec.
        film: The film that is stylized. The result has its title and the like, chapters, cover and attached files, and
            the streams whose packets :meth:`copy` will pass on.

    Attributes:
        left_out: What the file cannot hold of these, in words for the user.

    Raises:
        VideoError: The container or the codec is unknown, or the container cannot hold the codec.
    """

    def __init__(self, path: Path, format: VideoFormat, *, film: VideoReader | None = None) -> None:
        self.path = path
        self._drawn = format.height, format.width
        self._gif = path.suffix.lower() == ".gif"
        check_video_name(path)
        # Codecs with half the color resolution take even sides only: the last row or column is repeated.
        self.format = (
            format
            if self._gif
            else replace(format, width=format.width + format.width % 2, height=format.height + format.height % 2)
        )
        try:
            # FFmpeg's own "faststart" would write the file twice.
            options = {"loop": str(format.loop)} if self._gif else {}
            if path.suffix.lower() == ".avi":
                options = {"avoid_negative_ts": "disabled"}  # sound that starts early would put off the pictures
            self.container = av.open(file_url(path), "w", options=options)
        except FFmpegError as error:
            raise VideoError(f"cannot write {path}: {error.strerror}") from error
        try:
            self._add_streams([] if film is None else film.copied)
            self._first: list[OtherPacket] = []
            self.left_out: list[str] = []
            if film is not None:
                told = film.stream.metadata
                self.stream.disposition = film.stream.disposition
                self.stream.metadata.update({key: told[key] for key in ("language", "title") if key in told})
                self.container.metadata.update(film.metadata)
                self._first, self.left_out = film.extras.add_to(self.container, path.suffix.lower())
        except BaseException:
            self.container.close()
            raise
        self._thread = threading.local()
        self._palette: av.filter.Graph | None = None
        self._last: int | None = None
        self._durations: dict[int, int] = {}  # of frames that the encoder holds, by their time
        self._end = 0  # of the last frame
        self._heard: dict[int, int] = {}  # times of the latest packets of sound, by the number of their stream
        self._latest: dict[int, int] = {}  # and when those of any copied stream are decoded
        self._last_picture = b""  # of a GIF, as it stands in the file

    def _add_streams(self, copied: Sequence[Stream]) -> None:
        format, suffix = self.format, self.path.suffix.lower()
        codec = _encoder(suffix, format.codec)
        try:
            encoder = av.Codec(codec, "w")
            if encoder.type != "video":
                raise VideoError(f"{format.codec} is not a video codec", hint=f"Give one of {', '.join(CODECS)}.")
            stream = self.container.add_stream(codec, rate=format.rate)
        except (ValueError, FFmpegError) as error:
            raise VideoError(
                f"{suffix} cannot be written with codec {codec!r}",
                hint=f"Omit --codec for {_encoder(suffix, None)}, or give another of {', '.join(CODECS)}.",
            ) from error
        assert isinstance(stream, VideoStream)  # the encoder's type was checked
        self.stream = stream
        context = self.stream.codec_context
        context.width, context.height = format.width, format.height
        if codec == "libx265" and suffix in {".mp4", ".m4v", ".mov"}:
            context.codec_tag = "hvc1"  # the only one that Apple's players take
        self._time_base = _GIF_TIME_BASE if self._gif else format.time_base
        if suffix == ".avi":  # has a chunk for each unit of time, with or without a frame
            rate = format.rate.limit_denominator(max(1, min(1001, int(_FINEST_MPEG4 / format.rate))))
            self._time_base = 1 / rate
        context.time_base = self.stream.time_base = self._time_base
        self._pixel_format = "pal8" if self._gif else _pixel_format(encoder)
        context.pix_fmt = self._pixel_format
        if format.aspect:
            context.sample_aspect_ratio = format.aspect
        if not self._gif:
            # JPEG has the full range, and its encoder takes no other.
            self._full_range = format.colors.full_range or codec == "mjpeg" or self._pixel_format.startswith("yuvj")
            # The matrix from RGB to YUV, of which a stream of RGB has none.
            context.colorspace = 0 if av.VideoFormat(self._pixel_format).is_rgb else format.colors.code
            context.color_range = ColorRange.JPEG if self._full_range else ColorRange.MPEG
            context.color_primaries = format.colors.primaries
            context.color_trc = format.colors.transfer
            context.options = _SPEED.get(codec, {}) | _quality(codec, format.quality)
            context.thread_count = max(1, core_count() // 2)  # the network needs the other cores more
        try:
            context.open()
        except (ValueError, FFmpegError) as error:
            raise VideoError(
                f"codec {codec!r} cannot write {format.width}×{format.height} px to {suffix}: {error}",
                hint="Give another --codec or --size.",
            ) from error
        self._copies = {} if self._gif else {stream.index: self._add_copy(stream) for stream in copied}

    def _add_copy(self, stream: Stream) -> Stream:
        if not _can_hold(self.container.format.name, stream):
            name = stream.codec_context.codec.canonical_name
            other = next((suffix for suffix, format in _HOLDERS.items() if _can_hold(format, stream)), None)
            instead = f"Write {other} instead, or leave" if other else "Leave"
            raise VideoError(
                f"{self.path.suffix} cannot hold the {name} {stream.type} of the input",
                hint=f"{instead} it out with --no-{stream.type}.",
            )
        copy = self.container.add_stream_from_template(stream)
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        if isinstance(copy, AudioStream) and isinstance(stream, AudioStream):
            layout = stream.codec_context.layout
            copy.codec_context.layout = _LAYOUTS.get(layout.name or "", layout)
        return copy

    def blank(self) -> VideoFrame:
        """Get a picture to draw on."""
        # Kept for each thread: fresh memory takes as long as the conversion.
        spare: VideoFrame | None = getattr(self._thread, "frame", None)
        frame = spare or VideoFrame(self.format.width, self.format.height, "gbrp")
        self._thread.frame = None
        return frame

    def planes(self, picture: VideoFrame) -> Planes:
        """Where to draw red, green and blue, each (H, W) uint8, of the requested size, without padding."""
        height, width = self._drawn
        return [view[:height, :width] for view in plane_views(picture)]

    def pack(self, picture: VideoFrame) -> VideoFrame:
        """Convert a drawn picture to a frame for the encoder; the slow part of writing, callable from any thread."""
        if not hasattr(self._thread, "reformatter"):  # cached: setting it up takes as long as a conversion
            self._thread.reformatter = VideoReformatter()
        reformatter: VideoReformatter = self._thread.reformatter
        height, width = self._drawn
        for view in plane_views(picture):
            view[height:, :width] = view[height - 1 : height, :width]
            view[:, width:] = view[:, width - 1 : width]
        if self._gif:
            packed = reformatter.reformat(picture, format="rgba")
        else:
            packed = reformatter.reformat(
                picture,
                format=self._pixel_format,
                src_color_range=ColorRange.JPEG,
                dst_colorspace=self.format.colors.matrix,
                dst_color_range=ColorRange.JPEG if self._full_range else ColorRange.MPEG,
                interpolation="AREA",  # halves the color resolution: faster and more accurate than bicubic
            )
        assert packed is not picture  # no encoder is given gbrp
        self._thread.frame = picture
        return packed

    def add(self, planes: Planes, pts: int) -> None:
        """Write red, green and blue, each (H, W) uint8: draw, pack and write in one."""
        picture = self.blank()
        copy_planes(planes, self.planes(picture))
        self.write(self.pack(picture), pts)

    def write(self, frame: VideoFrame, pts: int, duration: int | None = None) -> None:
        """Encode a packed frame.

        Args:
            frame: What :meth:`pack` returned.
            pts: When it is shown, in units of the format's time base.
            duration: How long, in the same units; by default 1 / rate.

        Raises:
            VideoError: The file cannot be written, as on a full disk.
        """
        unit = self.format.time_base / self._time_base
        time = nearest(pts * unit)
        length = duration * unit if duration else 1 / (self.format.rate * self._time_base)
        self._end = max(time + 1, round(pts * unit + length))
        if self._last is not None and time <= self._last:
            return  # a GIF shows at most 100 frames a second, an AVI those of its rate
        if self._gif:
            frame = self._with_palette(frame)
        self._last = time
        self._durations[time] = self._end - time
        frame.pts, frame.time_base = time, self._time_base
        self._encode(frame)

    def _with_palette(self, frame: VideoFrame) -> VideoFrame:
        """Reduce a frame to the 256 colors that suit it best."""
        if self._palette is None:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=av.VideoFormat("rgba"), time_base=_GIF_TIME_BASE
            )
            split, make = graph.add("split"), graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
            use, sink = graph.add("paletteuse", "new=1:dither=sierra2_4a"), graph.add("buffersink")
            source.link_to(split)
            split.link_to(use, 0, 0)
            split.link_to(make, 1, 0)
            make.link_to(use, 0, 1)
            use.link_to(sink)
            graph.configure()
            self._palette = graph
        frame.pts = None
        self._palette.push(frame)
        reduced = self._palette.pull()
        assert isinstance(reduced, VideoFrame)
        return reduced

    def copy(self, packet: OtherPacket) -> None:
        """Copy a packet of another stream."""
        if packet.stream.index in self._copies:
            source = packet.stream
            if isinstance(source, AudioStream) and packet.pts is not None:
                # Matroska does not tell that of ALAC, and an MP4 would then end before the last packet.
                packet.duration = packet.duration or max(0, packet.pts - self._heard.get(source.index, packet.pts))
                self._heard[source.index] = packet.pts
            packet.stream = self._copies[source.index]
            self._move_on(packet, source.index)
            with self._muxing():
                self._mux(packet)

    def _move_on(self, packet: OtherPacket, number: int) -> None:
        """Let times that go back, as in damaged recordings, go on by the least that the file can tell."""
        if packet.dts is None or packet.pts is None:
            return
        latest = self._latest.get(number)
        if latest is not None and packet.dts <= latest:
            unit = packet.stream.time_base or packet.time_base  # known once the file's head is written
            packet.dts = latest + max(1, math.ceil(unit / packet.time_base))
            packet.pts = max(packet.pts, packet.dts)
        self._latest[number] = packet.dts

    def _encode(self, frame: VideoFrame | None) -> None:
        """Write a frame, or with None those that the encoder still holds."""
        with self._muxing():
            for packet in self.stream.encode(frame):
                # Few encoders pass it on. Files need that of the last frame, which no other follows.
                packet.duration = self._durations.pop(packet.pts or 0, 0)
                if self._gif:
                    self._last_picture = bytes(packet)
                self._mux(packet)

    def _mux(self, packet: OtherPacket) -> None:
        while self._first:
            self.container.mux(self._first.pop())
        self.container.mux(packet)

    @contextmanager
    def _muxing(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # such as a full disk: replacing() says it with the name that the file was to have
            raise
        except (FFmpegError, ValueError) as error:
            raise VideoError(f"cannot write {self.path.name}: {error}") from error

    def close(self) -> None:
        """Write what the encoder still holds, and the file's index."""
        try:
            if self._last is not None:
                self._encode(None)
        finally:
            try:
                self.container.close()
            except OSError:
                raise
            except FFmpegError as error:
                raise VideoError(f"cannot write {self.path.name}: {error.strerror}") from error
        if self._last_picture and self._last is not None:
            # FFmpeg gives the last picture the pause of the one before. The file ends with that picture and a byte.
            pause = min(self._end - self._last, _LONGEST_PAUSE).to_bytes(2, "little")
            at = self._last_picture.index(_GIF_CONTROL) + len(_GIF_CONTROL) + 1
            with self.path.open("r+b") as file:
                file.seek(at - len(self._last_picture) - 1, io.SEEK_END)
                file.write(pause)


def check_video_name(path: Path) -> None:
    """Raise VideoError unless the suffix is that of a video that can be written."""
    if path.suffix.lower() not in WRITABLE_VIDEO_SUFFIXES:
        raise VideoError(
            f"cannot write {path.name}: unsupported suffix {path.suffix or '(none)'}",
            hint=f"Give one of {', '.join(sorted(WRITABLE_VIDEO_SUFFIXES))}, or numbered pictures as %05d.png.",
        )


def keeps_aspect(path: Path, codec: str | None) -> bool:
    """Whether a video of that name and codec, see :class:`VideoFormat`, can have pixels that are not square."""
    suffix = path.suffix.lower()
    return suffix in {".mp4", ".m4v", ".mov"} or (
        suffix in {".mkv", ".avi"} and _encoder(suffix, codec) in _TELLS_ASPECT
    )


def _encoder(suffix: str, codec: str | None) -> str:
    """Name of the encoder for a file's suffix and what was asked for."""
    return CODECS.get(codec or "", codec or _BY_SUFFIX.get(suffix, "libx264"))


def _can_hold(format: str, stream: Stream) -> bool:
    """Whether files of a format can hold a copy of a stream, asked of a file that holds nothing else."""
    if format == "avi" and stream.codec_context.name == "eac3":
        return False  # FFmpeg writes it with wrong times
    try:
        with av.open(io.BytesIO(), "w", format=format) as container:
            container.add_stream_from_template(stream)
            container.start_encoding()
    except (ValueError, FFmpegError):
        return False
    return True


def _pixel_format(encoder: av.Codec) -> str:
    """The pixel format that every player supports, if the encoder has it."""
    names = [format.name for format in encoder.video_formats or ()]
    return next((name for name in ("yuv420p", "yuv422p10le", "yuvj420p") if name in names), (names or ["yuv420p"])[0])


def _quality(codec: str, quality: int) -> dict[str, str]:
    """An encoder's options for a quality from 1 to 100; 64 is x264's CRF 18, regarded as visually lossless."""
    loss = (100 - quality) / 100
    if codec in {"libx264", "libx265"}:
        return {"crf": str(round(50 * loss))}
    if codec in {"libvpx-vp9", "libsvtav1"}:
        return {"crf": str(max(1, round(63 * loss)))}
    # Quantizer scale, 2 to 31, times FFmpeg's FF_QP2LAMBDA.
    return {"flags": "+qscale", "global_quality": str(118 * max(2, round(31 * loss)))}
