"""The painting: found in its picture, freed from a frame or border, and scaled to its size in training."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fast_style.errors import CheckpointError, ImageError, InputError
from fast_style.grain import smooth_along_strokes
from fast_style.images import Picture, Pixels, fit, fit_size, resize, to_float, to_uint8

Box = tuple[int, int, int, int]  # left, top, right, bottom, px
Floats = NDArray[np.float32]

# Smallest side of a painting, px.
_SMALLEST_PAINTING = 16

# Frames are sought in a copy with this long side, px. The figures below are in its pixels and in levels of 255.
_LOOK_SIZE = 512
# Smallest side of a copy in which frames are sought.
_SMALLEST_SIDE = 48
# Largest depth of a border, as a share of the side's length. Deeper ones are rare, and the evidence for them thin.
_DEEPEST = 0.36
# Largest deviation of the values along a line of a border, and the same as a share of the middle's deviation.
_EVEN, _EVEN_SHARE = 18.0, 0.55
# Largest deviation relative to the lines outside of it.
_EVEN_GROWTH = 4.0
# Most uneven lines in a row: fewer are a moulding's edge, slightly askew; more are the painting.
_UNEVEN_RUN = 3
# Smallest step at which the painting begins, for a calm and for an uneven border.
_STEP_LOW, _STEP_HIGH = 4.0, 10.0
# Share of the edge along which there must be a step, for a calm and for an uneven border, and the limits of those.
_STEP_SHARE, _STEP_SHARE_UNEVEN = 0.45, 0.8
_FLAT, _UNEVEN = 3.5, 10.0
# The same share for bars, for which fewer sides are evidence.
_BAR_SHARE = 0.9
# Distance within which steps are the same step.
_SAME_STEP = 4
# Largest difference in color between the innermost strips of the four sides, which light and shadow change.
_SAME_COLOR = 60.0
# Largest difference in color within a border of one color.
_ONE_COLOR = 20.0
# Extra depth of the cut: no rim is left if the picture is slightly askew or soft.
_INSET = 2

# Long side of a painting in training, px, by default.
STYLE_SIZE = 640
# Largest forms at that size, px; paintings with larger ones are scaled down further, to this long side at least, px.
_LARGEST_FORM = 33.0
_SMALLEST_STYLE_SIZE = 320
# Largest long side, px: the first layer's features of such a square take 4 GB.
_LARGEST_STYLE_SIZE = 4096
# Octaves of the pyramid that measures forms: 2, 4 … 128 px.
_OCTAVES = 7


@dataclass(frozen=True)
class Canvas:
    """Where a painting is in its picture, if it has a frame or border."""

    box: Box  # (left, top, right, bottom) of the painting, px
    note: str  # what was cut off


@dataclass(frozen=True)
class _Edge:
    """A straight step along a side of the copy."""

    depth: int  # distance from the side, px
    color: Floats  # (3,), mean color just outside it
    share: float  # of its length along which there is a step
    height: float  # mean, levels of 255
    one_color: bool  # whether everything outside it has one color


def find_canvas(pixels: Pixels) -> Canvas | None:
    """Look for a frame or border around a painting: a scan's margin, a mat, a picture frame, a wall behind it.

    All of these are even along the picture's sides and end at a straight step; a painting is not. It is cut only if
    that holds on all four sides, with about the same color outside the step. Black or white bars above and below, or
    left and right, are cut as well. A border on three sides is not enough. ``pixels`` are (H, W, 3) uint8.
    """
    look = fit(Picture(pixels), _LOOK_SIZE).pixels.astype(np.float32)
    height, width = look.shape[:2]
    if min(height, width) < _SMALLEST_SIDE:
        return None
    box: Box | None = None
    # First along the middle of each side, beyond the corners of even a deep frame; then along all of the inner sides.
    for _ in range(2):
        steps = _find_edges(look, box)
        edges = _agreeing(steps) or _bars(steps)
        if not edges:
            return None
        depths = [edge.depth if edge else 0 for edge in edges]
        box = (depths[0], depths[1], width - depths[2], height - depths[3])
    assert box is not None
    box = _enlarge(box, (width, height), (pixels.shape[1], pixels.shape[0]))
    left, top, right, bottom = box
    cut = (left, top, pixels.shape[1] - right, pixels.shape[0] - bottom)
    kind = "a border of one color" if all(edge is None or edge.one_color for edge in edges) else "a frame"
    sides = ", ".join(f"{n} px {side}" for n, side in zip(cut, ("left", "top", "right", "bottom"), strict=True) if n)
    return Canvas(box, f"{kind} was cut off: {sides}")


def form_size(pixels: Pixels) -> float:
    """Return the size of a painting's forms, px, at a long side of 640 px: the mean octave of its brightness.

    A Laplacian pyramid (Burt and Adelson 1983) splits the brightness into octaves of 2, 4 … 128 px, which are weighted
    by their variance. The Self-Portrait has 10 px, The Great Wave 21 and Udnie 49. ``pixels`` are (H, W, 3) uint8.
    """
    scaled = Image.fromarray(fit(Picture(pixels), STYLE_SIZE, enlarge=True).pixels)
    level = Image.fromarray(np.asarray(scaled.convert("L"), np.float32))
    variances = []
    for _ in range(_OCTAVES):
        half = level.resize([max(1, side // 2) for side in level.size], Image.Resampling.BICUBIC)
        detail = np.asarray(level) - np.asarray(half.resize(level.size, Image.Resampling.BICUBIC))
        variances.append(float(detail.var()))
        level = half
    whole = sum(variances)
    octaves = np.arange(1, _OCTAVES + 1)
    return float(2.0 ** (octaves @ np.array(variances) / whole)) if whole else 0.0


def find_style_size(pixels: Pixels) -> int:
    """Return the long side of a painting in training, px: 640, or less if its forms would exceed 33 px.

    The losses see a window of some 260 px, and a network's reach is limited: forms that hardly fit come out as soft
    clouds. Smaller ones are painted crisply: Udnie's facets appear at 430 px and not at 640. ``pixels`` are
    (H, W, 3) uint8.
    """
    share = _LARGEST_FORM / max(form_size(pixels), _LARGEST_FORM)
    return max(_SMALLEST_STYLE_SIZE, round(share * STYLE_SIZE))


def crop_painting(picture: Picture, box: Sequence[int] | None, *, name: str) -> Picture:
    """Take a painting out of its picture, which errors call ``name``.

    Its ``box`` in the picture is (left, top, right, bottom), px; None takes the whole.

    Raises:
        CheckpointError: The box, from a checkpoint or a card, does not lie in the picture.
    """
    if box is None:
        return picture
    width, height = picture.size
    try:
        left, top, right, bottom = map(operator.index, box)
        inside = 0 <= left < right <= width and 0 <= top < bottom <= height
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise CheckpointError(f"{name} of {width}×{height} px has no part {box!r}; expected left, top, right, bottom")
    return Picture(np.ascontiguousarray(picture.pixels[top:bottom, left:right]))


def check_painting_size(size: tuple[int, int], name: str) -> None:
    """Raise ImageError, with the name, for a painting whose width or height is under 16 px."""
    if min(size) < _SMALLEST_PAINTING:
        raise ImageError(
            f"{name} of {size[0]}×{size[1]} px is too small for a painting",
            hint=f"Each side needs at least {_SMALLEST_PAINTING} px, or several hundred to show strokes.",
        )


def scale_painting(picture: Picture, size: int | None, *, smooth_at: int | None = None, name: str) -> Tensor:
    """Scale a painting to a long side, keeping its proportions.

    Args:
        picture: The painting.
        size: The long side, px; None takes that of :func:`find_style_size`.
        smooth_at: The long side, px, at which it is smoothed before its size is sought, see
            :func:`~fast_style.grain.smooth_along_strokes`; a smaller one is smoothed as it is. None leaves its grain.
        name: Its name in errors.

    Returns:
        (1, 3, H, W), RGB in [0, 1].

    Raises:
        ImageError: A side is under 16 px, before or after scaling.
        InputError: The size is not a number from 1 to 4,096.
    """
    width, height = picture.size
    check_painting_size(picture.size, name)
    if size is not None and (not isinstance(size, int) or not 1 <= size <= _LARGEST_STYLE_SIZE):
        raise InputError(f"the painting's long side is {size!r} px; expected 1 to {_LARGEST_STYLE_SIZE}")
    if smooth_at is not None:
        seen = fit(picture, smooth_at)
        if min(seen.size) >= _SMALLEST_PAINTING:
            picture = Picture(to_uint8(smooth_along_strokes(torch.from_numpy(to_float(seen.pixels))).numpy()))
    size = find_style_size(picture.pixels) if size is None else size
    scaled = fit_size(picture.size, size, enlarge=True)
    if min(scaled) < _SMALLEST_PAINTING:
        raise ImageError(
            f"{name} of {width}×{height} px is too narrow: at --style-size {size} it has {scaled[0]}×{scaled[1]} px; "
            f"each side needs at least {_SMALLEST_PAINTING} px",
            hint="Give a larger --style-size, or crop the painting.",
        )
    return torch.from_numpy(to_float(resize(picture, scaled).pixels))


def _find_edges(look: Floats, box: Box | None) -> list[list[_Edge]]:
    """Return the steps on the left, top, right and bottom, the deepest last."""
    across = look.transpose(1, 0, 2)
    # Deviation of lines in the middle, horizontal or vertical, whichever is more: a night sky is even along one axis.
    variation = max(
        float(np.median(_spread(lines[len(lines) // 4 : len(lines) - len(lines) // 4]))) for lines in (look, across)
    )
    edges = []
    for side, lines in enumerate((across, look, across[::-1], look[::-1])):
        length = lines.shape[1]
        first, last = int(_DEEPEST * length), length - int(_DEEPEST * length)
        if box is not None:
            first, last = (box[1], box[3]) if side % 2 == 0 else (box[0], box[2])
            margin = (last - first) // 20
            first, last = first + margin, last - margin
        edges.append(_find_steps(lines[:, first:last], variation))
    return edges


def _find_steps(lines: Floats, variation: float) -> list[_Edge]:
    """Return straight steps with even lines only outside; ``lines`` is (depth, length, 3), the outermost first."""
    deepest = int(_DEEPEST * len(lines))
    spread = _spread(lines[: deepest + 2])
    limit = min(_EVEN, max(_FLAT, _EVEN_SHARE * variation))
    edges: list[_Edge] = []
    run = 0
    for depth in range(1, deepest):
        before = float(spread[: max(1, depth - 1)].mean())
        run = 0 if spread[depth - 1] < min(limit, max(_FLAT, _EVEN_GROWTH * before)) else run + 1
        if run > _UNEVEN_RUN:
            break
        if depth < 2 or run > 1:
            continue
        outside = float(spread[:depth].mean())
        inner, outer = lines[depth : depth + 2].mean(0), lines[depth - 2 : depth].mean(0)
        step = np.abs(inner - outer).max(-1)
        share = float((step > np.clip(3 * outside, _STEP_LOW, _STEP_HIGH)).mean())
        if share >= np.interp(outside, (_FLAT, _UNEVEN), (_STEP_SHARE, _STEP_SHARE_UNEVEN)):
            border = lines[: max(1, depth - 2)].mean(1)
            one_color = outside < _FLAT and float(np.abs(border - border[0]).max()) < _ONE_COLOR
            edge = _Edge(depth, border[-3:].mean(0), share, float(step.mean()), one_color)
            # Neighboring depths show the same step, or ripples of the resampling: the highest is the step.
            if edges and depth - edges[-1].depth <= _SAME_STEP:
                if edge.height > edges[-1].height:
                    edges[-1] = edge
            else:
                edges.append(edge)
    return edges


def _spread(lines: Floats) -> Floats:
    """Return each line's mean deviation from a linear fit to its values, as light falls off along a wall."""
    position = np.linspace(-1, 1, lines.shape[1], dtype=np.float32)[None, :, None]
    mean = lines.mean(1, keepdims=True)
    slope = (lines * position).mean(1, keepdims=True) / max(float(np.square(position).mean()), 1e-6)
    deviation: Floats = np.abs(lines - mean - slope * position).mean((1, 2))
    return deviation


def _agreeing(edges: list[list[_Edge]]) -> list[_Edge | None]:
    """Return each side's deepest step such that colors outside agree, or agree with the outermost ones, and else []."""
    if not all(edges):
        return []
    left = [list(side) for side in edges]
    while all(left):
        deepest = [side[-1] for side in left]
        middle = np.median([edge.color for edge in deepest], axis=0)
        away = [_distance(edge, middle) for edge in deepest]
        if max(away) <= _SAME_COLOR:
            return [*deepest]
        left[int(np.argmax(away))].pop()
    middle = np.median([side[0].color for side in edges], axis=0)
    found = [next((edge for edge in side[::-1] if _distance(edge, middle) <= _SAME_COLOR), None) for side in edges]
    return found if all(found) else []


def _distance(edge: _Edge, color: Floats) -> float:
    return float(np.abs(edge.color - color).max())


def _bars(edges: list[list[_Edge]]) -> list[_Edge | None]:
    """Return the edges if two opposite sides have black or white margins and the other two none, and else []."""
    plain = [next((e for e in side[::-1] if e.one_color and e.share > _BAR_SHARE), None) for side in edges]
    for pair, others in ((plain[::2], plain[1::2]), (plain[1::2], plain[::2])):
        if all(pair) and not any(others):
            dark = all(edge and edge.color.max() < 40 for edge in pair)
            light = all(edge and edge.color.min() > 225 for edge in pair)
            return plain if dark or light else []
    return []


def _enlarge(box: Box, look: tuple[int, int], full: tuple[int, int]) -> Box:
    """Scale a box from the copy to the picture, cutting a little deeper."""
    across, down = (whole / part for whole, part in zip(full, look, strict=True))
    return (
        round((box[0] + _INSET) * across) if box[0] else 0,
        round((box[1] + _INSET) * down) if box[1] else 0,
        round((box[2] - _INSET) * across) if box[2] < look[0] else full[0],
        round((box[3] - _INSET) * down) if box[3] < look[1] else full[1],
    )
