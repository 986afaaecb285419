"""Drawing what the other modules return: colour maps, overlays and bars, with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fast_style.images import Pixels, fit_size
from fast_style.sheet import GAP, INK, PAPER, cut_text, load_font, text_width, wrap_text

Colors = Literal["fire", "rainbow", "grey"]
Floats = NDArray[np.float32]

# Evenly spaced anchors from 0 to 1, RGB. Fire grows lighter all the way, so it reads right when printed grey.
_ANCHORS: dict[Colors, list[tuple[int, int, int]]] = {
    "grey": [(0, 0, 0), (255, 255, 255)],
    "fire": [(8, 6, 26), (84, 18, 108), (186, 54, 85), (249, 142, 22), (252, 250, 180)],
    "rainbow": [(40, 50, 150), (40, 170, 220), (110, 210, 110), (250, 210, 60), (215, 45, 35)],
}

_BAR = (52, 104, 168)


def colorize(values: Floats, colors: Colors = "fire") -> Pixels:
    """Turn (H, W) values in [0, 1] into (H, W, 3) uint8; what lies outside is clamped."""
    anchors = np.array(_ANCHORS[colors], dtype=np.float32)
    position = np.clip(values, 0, 1) * np.float32(len(anchors) - 1)
    low = np.minimum(position.astype(np.intp), len(anchors) - 2)
    share = (position - low)[..., None]
    colors_there: Pixels = (anchors[low] * (1 - share) + anchors[low + 1] * share + 0.5).astype(np.uint8)
    return colors_there


def enlarge(values: Floats, size: tuple[int, int], *, smooth: bool = True) -> Floats:
    """Resample (H, W) values to (width, height) px, bilinear, or as blocks if not ``smooth``."""
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, method), dtype=np.float32)


def overlay(photo: Pixels, values: Floats, colors: Colors = "rainbow", *, amount: float = 0.5) -> Pixels:
    """Lay values in [0, 1] of any size over a photo, (H, W, 3): ``amount`` 0 is the photo, 1 the colours alone."""
    height, width = photo.shape[:2]
    heat = colorize(enlarge(values, (width, height)), colors).astype(np.float32)
    return (photo * (1 - amount) + heat * amount + 0.5).astype(np.uint8)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Resample a picture to (width, height) px; small ones are enlarged as blocks, so that their values show."""
    small = size[0] >= 2 * pixels.shape[1] and size[1] >= 2 * pixels.shape[0]
    method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def within(pixels: Pixels, side: int) -> Pixels:
    """Bring a picture's long side to ``side`` px, up or down; the aspect ratio is kept."""
    return resized(pixels, fit_size((pixels.shape[1], pixels.shape[0]), side, enlarge=True))


def bars(rows: Sequence[tuple[str, float, str]], *, heading: str = "", width: int = 520, text: int = 14) -> Pixels:
    """Draw horizontal bars.

    Args:
        rows: Label, value from 0 up, and the value in words, top to bottom.
        heading: A line over all.
        width: Width of the picture, px.
        text: Height of the letters, px.
    """
    font, line = load_font(text), round(text * 1.6)
    labels = [cut_text(label, width * 0.45, font) for label, _, _ in rows]
    left = GAP * 2 + max(text_width(label, font) for label in labels)
    room = width - left - GAP * 3 - max(text_width(words, font) for _, _, words in rows)
    longest = max(value for _, value, _ in rows) or 1.0
    head_lines = wrap_text(heading, width - 2 * GAP, font)
    head = line * len(head_lines)
    sheet = Image.new("RGB", (width, head + line * len(rows) + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, words in enumerate(head_lines):
        draw.text((GAP, GAP + number * line), words, fill=INK, font=font)
    for number, (label, (_, value, words)) in enumerate(zip(labels, rows, strict=True)):
        y = GAP + head + number * line
        end = left + room * value / longest
        draw.text((left - GAP - text_width(label, font), y), label, fill=INK, font=font)
        draw.rectangle((left, y + 1, max(left, end), y + line - 5), fill=_BAR)
        draw.text((end + GAP, y), words, fill=INK, font=font)
    return np.asarray(sheet)
