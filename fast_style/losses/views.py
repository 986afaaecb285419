"""Views: which part of a picture a term scores, and at what size."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType

import numpy as np
import torch.nn.functional as F
from torch import Tensor

# The part of a step's pictures that is scored, as an index into (N, 3, H, W).
Window = tuple[EllipsisType, slice, slice]


@dataclass(frozen=True)
class View:
    """The part of a picture that a term scores, and at what size. Equal views are computed once.

    Attributes:
        whole: Show all of the picture, whatever the window.
        reduction: 1 is full size, 2 half, 4 a quarter: each pixel is the mean of a square with this side, px.
    """

    whole: bool = False
    reduction: int = 1

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Cut the window from (N, 3, H, W), and reduce it; None is all of it. Gradients flow through."""
        part = image if self.whole or window is None else image[window]
        return part if self.reduction == 1 else F.avg_pool2d(part, self.reduction)

    def label(self, layer: str) -> str:
        """Return the key of a layer's activations in this view, so that one dictionary can hold several views."""
        return layer + " of the whole" * self.whole + f" at 1/{self.reduction}" * (self.reduction > 1)


def draw_window(random: np.random.Generator, side: int, scored: int) -> Window:
    """Draw which square of a crop is scored: along each axis at the start, at the end, or anywhere, equally often.

    A network can tell where a picture ends. If borders are never scored, long training leaves them unpainted, as a pale
    frame. If they are always scored, they get all of the style that the photo leaves no room for: a frame, too. So they
    are scored as often as the middle, and :class:`~fast_style.losses.Border` compares the two. The crop has the side
    ``side``, the square ``scored``, px.
    """
    return ..., _draw_part(random, side, scored), _draw_part(random, side, scored)


def _draw_part(random: np.random.Generator, side: int, length: int) -> slice:
    slack = side - length
    where = int(random.integers(3))
    start = int(random.integers(0, slack + 1)) if where == 2 else where * slack
    return slice(start, start + length)
