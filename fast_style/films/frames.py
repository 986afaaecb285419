"""What video readers yield and writers accept: frames, packets of other streams, and losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from av import Packet, VideoFrame
from av.stream import Stream

from fast_style.images import Pixels, Planes

OtherPacket: TypeAlias = "Packet[Stream]"  # of sound or subtitles, copied unchanged
Memory = TypeVar("Memory")  # the type in which a writer holds a picture

DEFAULT_RATE = Fraction(25)  # of numbered pictures, which have no times of their own


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        planes: Red, green and blue, upright, each (H, W) uint8; they may be views of a decoder's own memory.
        pts: When it is shown, in units of the video's time base.
    """

    planes: Planes
    pts: int


@dataclass
class Losses:
    """What could not be read, in words for the user."""

    frames: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, *, frames: int = 0) -> None:
        """Count a loss; each reason is listed once."""
        self.frames += frames
        if reason not in self.reasons:
            self.reasons.append(reason)

    def __bool__(self) -> bool:
        """Whether anything was lost."""
        return bool(self.reasons)


class Reader(Protocol):
    """A video being read: see :class:`fast_style.films.reader.VideoReader`."""

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    losses: Losses

    @property
    def frames(self) -> int | None:
        """How many frames to expect, or None if unknown."""

    def __iter__(self) -> Iterator[Frame | OtherPacket]:
        """Yield frames and packets in the file's order."""

    def close(self) -> None:
        """Close the file."""


class Writer(Protocol[Memory]):
    """A video being written: see :class:`fast_style.films.writer.VideoWriter`."""

    def blank(self) -> Memory:
        """Get a picture to draw on."""

    def planes(self, picture: Memory) -> Planes:
        """Where to draw red, green and blue, each (H, W) uint8: views of the picture, so that nothing is copied."""

    def pack(self, picture: Memory) -> Memory:
        """Convert a drawn picture for writing; slow, callable from any thread."""

    def write(self, frame: Memory, pts: int) -> None:
        """Write a packed picture."""

    def copy(self, packet: OtherPacket) -> None:
        """Copy a packet of another stream."""

    def close(self) -> None:
        """Finish the file."""


def copy_planes(source: Planes, target: Planes) -> None:
    """Copy red, green and blue, each (H, W) uint8, into planes of the same size."""
    for source_plane, target_plane in zip(source, target, strict=True):
        np.copyto(target_plane, source_plane)


def plane_views(frame: VideoFrame) -> list[Pixels]:
    """The red, green and blue planes of a ``gbrp`` frame as (H, W) views of its memory, writable."""
    views = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]
    return [views[2], views[0], views[1]]
