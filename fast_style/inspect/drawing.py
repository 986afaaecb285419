"""Drawing what the other modules return: colour maps, titled grids, overlays and bars, with Pillow alone."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fast_style.images import Pixels

Colors = Literal["fire", "rainbow", "grey"]
Floats = NDArray[np.float32]

# Evenly spaced anchors from 0 to 1, RGB. Fire grows lighter all the way, so it reads right when printed grey.
_ANCHORS: dict[Colors, list[tuple[int, int, int]]] = {
    "grey": [(0, 0, 0), (255, 255, 255)],
    "fire": [(8, 6, 26), (84, 18, 108), (186, 54, 85), (249, 142, 22), (252, 250, 180)],
    "rainbow": [(40, 50, 150), (40, 170, 220), (110, 210, 110), (250, 210, 60), (215, 45, 35)],
}

_PAPER, _INK, _BAR = (255, 255, 255), (25, 25, 25), (52, 104, 168)
GAP = 6


@dataclass(frozen=True)
class Tile:
    """A picture, (H, W, 3) uint8, and the title drawn over it; lines are parted by a line feed."""

    pixels: Pixels
    title: str = ""


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
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return resized(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))


def grid(tiles: Sequence[Tile], *, columns: int | None = None, heading: str = "", text: int = 13) -> Pixels:
    """Set pictures in rows, each under its title.

    Args:
        tiles: Tiles of any sizes; the largest sets the cells.
        columns: Columns of the grid; by default so many that the whole is about as wide as high.
        heading: A line over all.
        text: Height of the letters, px.
    """
    cell_w = max(tile.pixels.shape[1] for tile in tiles)
    cell_h = max(tile.pixels.shape[0] for tile in tiles)
    columns = columns or max(1, math.ceil(math.sqrt(len(tiles) * (cell_h + text) / cell_w)))
    columns = min(columns, len(tiles))
    font, line = _font(text), round(text * 1.35)
    titles = [_wrap(tile.title, cell_w, font) for tile in tiles]
    band = line * max(len(lines) for lines in titles)
    head_lines = _wrap(heading, columns * (cell_w + GAP) - GAP, font)
    head = line * len(head_lines) + (GAP if head_lines else 0)
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (cell_w + GAP) + GAP, head + rows * (band + cell_h + GAP) + GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, words in enumerate(head_lines):
        draw.text((GAP, GAP + number * line), words, fill=_INK, font=font)
    for index, (tile, lines) in enumerate(zip(tiles, titles, strict=True)):
        x = GAP + index % columns * (cell_w + GAP)
        y = GAP + head + index // columns * (band + cell_h + GAP)
        for number, words in enumerate(lines):
            draw.text((x, y + number * line), words, fill=_INK, font=font)
        sheet.paste(Image.fromarray(tile.pixels), (x, y + band))
    return np.asarray(sheet)


def beside(*pictures: Pixels) -> Pixels:
    """Set pictures in one row on white, their tops level."""
    sheet = Image.new("RGB", (sum(p.shape[1] for p in pictures), max(p.shape[0] for p in pictures)), _PAPER)
    x = 0
    for pixels in pictures:
        sheet.paste(Image.fromarray(pixels), (x, 0))
        x += pixels.shape[1]
    return np.asarray(sheet)


def bars(rows: Sequence[tuple[str, float, str]], *, heading: str = "", width: int = 520, text: int = 14) -> Pixels:
    """Draw horizontal bars.

    Args:
        rows: Label, value from 0 up, and the value in words, top to bottom.
        heading: A line over all.
        width: Width of the picture, px.
        text: Height of the letters, px.
    """
    font, line = _font(text), round(text * 1.6)
    labels = [_cut(label, width * 0.45, font) for label, _, _ in rows]
    left = GAP * 2 + max(_width(label, font) for label in labels)
    room = width - left - GAP * 3 - max(_width(words, font) for _, _, words in rows)
    longest = max(value for _, value, _ in rows) or 1.0
    head_lines = _wrap(heading, width - 2 * GAP, font)
    head = line * len(head_lines)
    sheet = Image.new("RGB", (width, head + line * len(rows) + 2 * GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, words in enumerate(head_lines):
        draw.text((GAP, GAP + number * line), words, fill=_INK, font=font)
    for number, (label, (_, value, words)) in enumerate(zip(labels, rows, strict=True)):
        y = GAP + head + number * line
        end = left + room * value / longest
        draw.text((left - GAP - _width(label, font), y), label, fill=_INK, font=font)
        draw.rectangle((left, y + 1, max(left, end), y + line - 5), fill=_BAR)
        draw.text((end + GAP, y), words, fill=_INK, font=font)
    return np.asarray(sheet)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _plain(text: str) -> str:
    """Keep what Pillow's built-in font has: ASCII."""
    text = text.replace("×", "x").replace("–", "-").replace("…", "...")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _width(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> float:
    return font.getlength(_plain(text))


def _cut(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Shorten a label to a width."""
    text = _plain(text)
    if _width(text, font) <= width:
        return text
    while len(text) > 1 and _width(text + "...", font) > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _wrap(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Break text into lines that fit; a word that does not fit alone is cut short."""
    lines: list[str] = []
    for paragraph in _plain(text).split("\n") if text else []:
        current = ""
        for word in paragraph.split():
            longer = f"{current} {word}".strip()
            if current and _width(longer, font) > width:
                lines.append(_cut(current, width, font))
                current = word
            else:
                current = longer
        lines.append(_cut(current, width, font))
    return lines
