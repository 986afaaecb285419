"""Drawing what the other modules return: color maps and overlays."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from fast_style.images import Pixels, fit_size

Floats = NDArray[np.float32]


def colorize(values: Floats, colors: str = "inferno") -> Pixels:
    """Turn (H, W) values in [0, 1] into (H, W, 3) uint8 by a colormap of matplotlib; values outside are clamped.

    That of maps grows lighter all the way, so it reads right when printed gray.
    """
    return np.ascontiguousarray(colormaps[colors](values, bytes=True)[..., :3])


def overlay(photo: Pixels, values: Floats) -> Pixels:
    """Lay heat in [0, 1], (h, w), over a photo (H, W, 3), half and half."""
    size = photo.shape[1], photo.shape[0]
    heat = colorize(np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)), "turbo")
    return ((photo.astype(np.uint16) + heat + 1) // 2).astype(np.uint8)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resample a picture to (width, height) px; small ones are enlarged as blocks, so that their values show."""
    small = size[0] >= 2 * pixels.shape[1] and size[1] >= 2 * pixels.shape[0]
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def within(pixels: Pixels, side: int) -> Pixels:
    """Bring a picture's long side to ``side`` px, up or down; the aspect ratio is kept."""
    return resized(pixels, fit_size((pixels.shape[1], pixels.shape[0]), side, enlarge=True))
