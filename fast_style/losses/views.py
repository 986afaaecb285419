"""Views: which part of a picture a term looks at, and at what size."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor

# The part of a step's pictures that counts, as an index into (N, 3, H, W).
Window = tuple[EllipsisType, slice, slice]


def draw_window(random: np.random.Generator, side: int, scored: int) -> Window:
    """Draw which square of a crop is scored: along each axis at its start, at its end, or anywhere, each alike.

    A network can tell where a picture ends. What is never scored, a long training leaves unpainted, as a pale frame.
    Where a border is always scored, it gets what the style asks for and the photo has no place for: a frame, too. So
    it is scored no more often than the middle, and :class:`~fast_style.losses.Border` compares the two.

    Args:
        random: What to draw from.
        side: Of the crop, px.
        scored: Of the square, px.
    """
    return ..., _draw_part(random, side, scored), _draw_part(random, side, scored)


def draw_strip(random: np.random.Generator, side: int, depth: int) -> Window:
    """Draw a strip from one edge of a crop to the other: along its start, along its end, or anywhere, each alike.

    A painting's statistics have no place: over a square that reaches from the border to beyond the middle they can be
    met by the middle alone, and a long training finds that out, since terms that compare borders are least there. Over
    a strip along the border only strokes on the border can meet them.

    Args:
        random: What to draw from.
        side: Of the crop, px: the strip's length.
        depth: Of the strip, px.
    """
    across, along = _draw_part(random, side, depth), slice(0, side)
    return (..., across, along) if random.random() < 0.5 else (..., along, across)


def _draw_part(random: np.random.Generator, side: int, length: int) -> slice:
    """Draw where a part of a side lies."""
    slack = side - length
    where = int(random.integers(3))
    start = int(random.integers(0, slack + 1)) if where == 2 else where * slack
    return slice(start, start + length)


class View(Protocol):
    """Maps a picture to what a term scores of it. Views are hashable: what equal ones see is computed once."""

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Return what is seen of (N, 3, H, W), through which gradients flow.

        Args:
            image: The whole picture.
            window: The part of it that counts at this step; None is all of it.
        """
        ...

    def label(self, layer: str) -> str:
        """Name a layer's activations in this view, so that those of several views fit into one dictionary."""
        ...


@dataclass(frozen=True)
class Whole:
    """All of the picture, whatever the window."""

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Return the picture."""
        return image

    def label(self, layer: str) -> str:
        """Name a layer of the whole picture."""
        return f"{layer} of the whole"


@dataclass(frozen=True)
class Inside:
    """The part that counts, at full size or reduced.

    Attributes:
        reduction: 1 is full size, 2 half, 4 a quarter: the mean of so many px down and across.
    """

    reduction: int = 1

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Cut and reduce."""
        part = image if window is None else image[window]
        return part if self.reduction == 1 else F.avg_pool2d(part, self.reduction)

    def label(self, layer: str) -> str:
        """Name a layer: at full size by its own name."""
        return layer if self.reduction == 1 else f"{layer} at 1/{self.reduction}"
