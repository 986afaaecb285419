"""The ranges of the options that say how a style is applied."""

from __future__ import annotations

from fast_style.errors import InputError
from fast_style.stylize.contract import SMALLEST_SIDE

LARGEST_STROKES = 16.0


def check_blend(blend: float) -> None:
    """Raise InputError unless ``blend`` is in [0, 1]."""
    if not 0.0 <= blend <= 1.0:
        raise InputError(f"blend is {blend}; expected a number from 0 (the photo) to 1 (the style)")


def check_size(size: int | None) -> None:
    """Raise InputError if ``size``, px, is smaller than any network takes; None is allowed."""
    if size is not None and size < SMALLEST_SIDE:
        raise InputError(f"size is {size} px; expected at least {SMALLEST_SIDE}")


def check_strokes(strokes: float | None) -> None:
    """Raise InputError unless ``strokes`` is None or in [1, 16]."""
    if strokes is not None and not 1.0 <= strokes <= LARGEST_STROKES:
        raise InputError(f"strokes is {strokes}; expected a number from 1 to {LARGEST_STROKES:g}")


def check_quality(quality: int) -> None:
    """Raise InputError unless ``quality`` is from 1 to 100."""
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; expected 1 to 100")
