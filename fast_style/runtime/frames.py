"""One picture of a video, and what could not be read of the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fast_style.images import Pixels, Planes

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
    """What could not be read, in the words that a user gets."""

    frames: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, *, frames: int = 0) -> None:
        """Count a loss; each reason is kept once."""
        self.frames += frames
        if reason not in self.reasons:
            self.reasons.append(reason)

    def __bool__(self) -> bool:
        """Whether anything was lost."""
        return bool(self.reasons)


def plane_views(frame: Any) -> list[Pixels]:
    """The red, green and blue planes of a ``gbrp`` frame as (H, W) views of its memory, writable."""
    views = [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    ]
    return [views[2], views[0], views[1]]
