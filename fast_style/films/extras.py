"""What a film has beside pictures, sound and subtitles: chapters, a cover, and attached files such as fonts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from av import Packet
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Disposition
from av.video.stream import VideoStream

from fast_style.films.frames import OtherPacket

_WITH_CHAPTERS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm"})
_MIME_TYPES = {"mjpeg": "image/jpeg", "png": "image/png"}
_NO_KIND = "application/octet-stream"


@dataclass(frozen=True)
class File:
    """A file in a film."""

    name: str
    kind: str
    data: bytes


@dataclass(frozen=True)
class Extras:
    """What a film has beside its streams.

    Attributes:
        chapters: As PyAV gives them.
        covers: Streams of a single picture, such as a cover, and its bytes.
        files: Attached files.
        data: How many other streams there are, such as GPS, without timecodes; none is copied.
    """

    chapters: Sequence[Any] = ()
    covers: Sequence[tuple[VideoStream, bytes]] = ()
    files: Sequence[File] = ()
    data: int = 0

    @classmethod
    def of(cls, film: InputContainer) -> Extras:
        """Return those of an open film, but for the covers, which are read with its packets."""
        chapters = [dict(chapter) for chapter in film.chapters()]
        files = [
            File(stream.name or "file", stream.mimetype or _NO_KIND, stream.data)
            for stream in film.streams
            if isinstance(stream, AttachmentStream) and stream.data
        ]
        data = [s for s in film.streams if s.type in {"data", "unknown"} and "timecode" not in s.metadata]
        # MP4 has its chapters in a track, too.
        titles = [stream for stream in data if chapters and stream.frames == len(chapters)]
        return cls(chapters, (), files, len(data) - len(titles[:1]))

    def cut(self, start: Fraction, end: Fraction | None) -> Extras:
        """Return those of the part between two times, seconds, which then begins at 0."""
        chapters = []
        for chapter in self.chapters:
            unit = Fraction(chapter["time_base"])
            last = chapter["end"] if end is None else min(chapter["end"], int(end / unit))
            first = max(chapter["start"], int(start / unit))
            if first < last:
                shift = int(start / unit)
                chapters.append(chapter | {"start": first - shift, "end": last - shift})
        return replace(self, chapters=chapters)

    def add_to(self, film: OutputContainer, suffix: str) -> tuple[list[OtherPacket], list[str]]:
        """Add to a film being written, before its first packet, all that it can hold.

        Returns:
            Packets to write first, and what was left out, in words for the user.
        """
        packets: list[OtherPacket] = []
        left_out: list[str] = []
        if self.chapters:
            if suffix in _WITH_CHAPTERS:
                film.set_chapters([*self.chapters])
            else:
                left_out.append(f"chapters left out: {suffix} cannot hold them")
        files = [*self.files] if suffix == ".mkv" else []
        if self.files and not files:
            left_out.append(f"attached files, such as fonts, left out: {suffix} cannot hold them")
        for stream, picture in self.covers:
            codec = stream.codec_context.name
            if suffix == ".mp4" and codec in _MIME_TYPES:
                packets.append(_cover(film, stream, picture))
            elif suffix == ".mkv" and codec in _MIME_TYPES:
                ending = _MIME_TYPES[codec].partition("/")[2]
                files.append(File(stream.metadata.get("filename", f"cover.{ending}"), _MIME_TYPES[codec], picture))
            else:
                left_out.append(f"the cover left out: {suffix} cannot hold it")
        for file in files:
            film.add_attachment(file.name, file.kind, file.data)
        return packets, left_out


def _cover(film: OutputContainer, template: VideoStream, picture: bytes) -> OtherPacket:
    """Add a stream of a single picture; return its packet."""
    stream = film.add_stream_from_template(template, opaque=True)
    stream.disposition = Disposition.attached_pic
    packet: OtherPacket = Packet(picture)
    packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
    return packet
