"""Faults of a stylized picture, whatever its style: grids, borders, burnt colors.

Pure functions of (H, W, 3) uint8 pixels; none of them looks at a style.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ImageError
from fast_style.images import Pixels

Floats = NDArray[np.float64]

GRID_PERIODS = (2, 4, 8)
BORDER_WIDTHS = (2, 4, 8, 16)

# Side of the local spectrum's windows, px: they resolve 1/64 cycle a px, so that a grid of period 8 has neighbors on
# both sides, and a grid whose sign changes over the picture keeps its energy within a window.
_WINDOW = 64
# Smallest visible grid: ratio of its energy to the neighboring frequencies, and amplitude in levels of 255. See
# docs/evaluate.md for the figures of photos and known grids.
GRID_RATIO = 4.0
GRID_LEVELS = 0.5


@dataclass(frozen=True)
class Grid:
    """How much of a picture is a pattern of one period."""

    # Root mean square of the pattern, levels of 255, above the neighboring frequencies: 0.0 if there is no pattern.
    levels: float
    # Largest ratio of the energy at one of the pattern's frequencies to that of its neighbors. About 1 if there is no
    # pattern.
    ratio: float


def grids(pixels: Pixels) -> dict[int, Grid]:
    """Measure patterns of 2, 4 and 8 px: what strided and shuffled layers leave behind.

    The mean power spectrum of overlapping windows is compared, at the frequencies of each period, with the
    frequencies beside them on the same row and column: edges make rows and columns strong as a whole, a grid
    makes single frequencies strong. A frequency counts for the shortest period that has it. ``pixels`` are
    (H, W, 3) uint8 with sides of at least 64 px.

    Raises:
        ImageError: The picture is too small.
    """
    _check_sides(pixels, _WINDOW, "look for grids")
    spectrum = _spectrum(pixels)
    # A Hann window spreads each frequency over three bins; together they hold all of its energy.
    energy = np.sum([np.roll(spectrum, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0)
    # 3 and 4 bins away: clear of the frequency itself and of the next one of the same period, 8 away.
    beside = [np.mean([np.roll(energy, shift, axis) for shift in (-4, -3, 3, 4)], axis=0) for axis in (0, 1)]
    background = np.maximum(beside[0], beside[1])
    measured = {}
    taken = {(0, 0)}
    for period in GRID_PERIODS:
        steps = range(0, _WINDOW, _WINDOW // period)
        bins = {(i, j) for i in steps for j in steps} - taken
        taken |= bins
        rows, columns = (np.array(axis) for axis in zip(*sorted(bins), strict=True))
        here, around = energy[rows, columns], background[rows, columns]
        excess = np.maximum(here - around, 0.0).sum()
        # What rounding to 8 bits leaves in one frequency keeps a flat picture from dividing by zero.
        floor = 9.0 / _WINDOW**2 / 12.0
        measured[period] = Grid(float(np.sqrt(excess)), float(((here + floor) / (around + floor)).max()))
    return measured


def _check_sides(pixels: Pixels, smallest: int, purpose: str) -> None:
    if min(pixels.shape[:2]) < smallest:
        raise ImageError(
            f"a picture of {pixels.shape[1]}×{pixels.shape[0]} px is too small to {purpose}",
            hint=f"Each side needs at least {smallest} px.",
        )


def _spectrum(pixels: Pixels) -> Floats:
    """Mean power of windows (64, 64), levels squared; a sinusoid's bins sum to its mean square. Over RGB."""
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    window = taper[:, None] * taper[None, :]
    power = np.zeros((_WINDOW, _WINDOW))
    # Windows begin every half window, and one ends with the picture.
    tops, lefts = (sorted({*range(0, side - _WINDOW + 1, _WINDOW // 2), side - _WINDOW}) for side in pixels.shape[:2])
    for top in tops:
        for left in lefts:
            patch = pixels[top : top + _WINDOW, left : left + _WINDOW].astype(np.float64)
            patch -= patch.mean(axis=(0, 1))
            power += (np.abs(np.fft.fft2(patch * window[..., None], axes=(0, 1))) ** 2).mean(axis=2)
    mean: Floats = power / (len(tops) * len(lefts) * _WINDOW**2 * (window**2).sum())
    return mean


def border_contrast(pixels: Pixels) -> float:
    """Compare the step between a picture's outermost strip and the next one with the steps inside it.

    Strips run along each of the four sides; of each, the mean color and the mean detail (difference of
    neighboring pixels along the strip) are compared. 1.0 is a border like any other place of the picture;
    photos measure 0.5 to 2, a band left by padding several times that. ``pixels`` are (H, W, 3) uint8 with sides
    of at least 128 px.

    Returns:
        Root mean square of the border's steps over that of the steps inside, for the worst width of 2 to 16 px.

    Raises:
        ImageError: The picture is too small.
    """
    _check_sides(pixels, 8 * max(BORDER_WIDTHS), "look at its border")
    image = pixels.astype(np.float64)
    lines = [_line_features(image), _line_features(image.swapaxes(0, 1))]
    worst = 0.0
    for width in BORDER_WIDTHS:
        border, inside = np.zeros(4), np.zeros(4)
        for features in lines:
            sums = np.concatenate([np.zeros((1, 4)), features.cumsum(axis=0)])
            strips = (sums[width:] - sums[:-width]) / width
            steps = (strips[width:] - strips[:-width]) ** 2
            border += steps[0] + steps[-1]
            inside += 2 * steps[2 * width : -2 * width].mean(axis=0)
        # A quarter of a level squared: steps that cannot be seen are not a border.
        worst = max(worst, float((border.sum() + 0.25) / (inside.sum() + 0.25)))
    return float(np.sqrt(worst))


def _line_features(image: Floats) -> Floats:
    """Return the mean color and the mean detail of each row of (H, W, 3), (H, 4)."""
    detail = np.abs(np.diff(image, axis=1)).mean(axis=(1, 2))
    return np.concatenate([image.mean(axis=1), detail[:, None]], axis=1)


def saturation(pixels: Pixels) -> float:
    """Return the share of values, 0 to 1, that are black or burnt out: within a level of an end of the range."""
    return float(((pixels <= 1) | (pixels >= 254)).mean())
