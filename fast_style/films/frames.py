"""What video readers yield: frames, packets of other streams, and losses."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import numpy as np
from av import Packet, VideoFrame
from av.stream import Stream

from fast_style.images import Pixels, Planes

OtherPacket: TypeAlias = "Packet[Stream]"  # of sound or subtitles, copied unchanged

DEFAULT_RATE = Fraction(25)  # of numbered pictures, which have no times of their own


def first_frame(start: float, rate: Fraction) -> int:
    """Number of the frame with which a part begins: the one on the screen, unless it goes within half a frame.

    Args:
        start: When the part begins, seconds.
        rate: Frames a second; of slower films, half a frame is that of 25 a second.
    """
    return max(0, math.ceil((Fraction(start) + Fraction(1, 2) / max(rate, DEFAULT_RATE)) * rate - 1))


def nearest(time: Fraction) -> int:
    """Round to the nearest whole number, halves up; ``round`` goes to even ones, so two of three frames would meet."""
    return math.floor(time + Fraction(1, 2))


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        planes: Red, green and blue, upright, each (H, W) uint8; they may be views of a decoder's own memory.
        pts: When it is shown, in units of the video's time base.
        duration: How long, in the same units.
    """

    planes: Planes
    pts: int
    duration: int = 1


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


def file_url(path: Path) -> str:
    """A path for FFmpeg, which would take what stands before a colon for a protocol."""
    return f"file:{path}"


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
