"""What pictures and the options that say how a style is applied may be."""

import numpy as np

from fast_style.errors import ImageError, InputError
from fast_style.images import Pixels
from fast_style.model.passes import MOST_PASSES
from fast_style.stylize.contract import SMALLEST_SIDE


def check_blend(blend: float) -> None:
    """Raise InputError unless ``blend`` is in [0, 1]."""
    if not 0.0 <= blend <= 1.0:
        raise InputError(f"blend is {blend}; expected a number from 0 (the photo) to 1 (the style)")


def check_size(size: int | None) -> None:
    """Raise InputError if ``size``, px, is smaller than any network takes; None is allowed."""
    if size is not None and size < SMALLEST_SIDE:
        raise InputError(f"size is {size} px; expected at least {SMALLEST_SIDE}")


def check_passes(passes: int | None) -> None:
    """Raise InputError unless ``passes`` is None or from 1 to 8."""
    if passes is not None and not 1 <= passes <= MOST_PASSES:
        raise InputError(f"passes is {passes}; expected 1 to {MOST_PASSES}")


def check_pixels(pixels: Pixels) -> None:
    """Raise ImageError unless it is an (H, W, 3) uint8 array that is not empty."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ImageError(f"expected an (H, W, 3) uint8 array that is not empty, got {pixels.shape} {pixels.dtype}")
