"""The part of a training step's pictures that is scored."""

from types import EllipsisType

import numpy as np

# An index into (N, 3, H, W).
Window = tuple[EllipsisType, slice, slice]


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
