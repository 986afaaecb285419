"""Sheets: pictures in rows on white paper, each under its title."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fast_style.images import Pixels

PAPER, INK = (255, 255, 255), (25, 25, 25)
GAP = 6

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tile:
    """A picture, (H, W, 3) uint8, and the title drawn over it; lines are parted by a line feed."""

    pixels: Pixels
    title: str = ""


def grid(tiles: Sequence[Tile], *, columns: int | None = None, heading: str = "", text: int = 13) -> Pixels:
    """Set pictures in rows, each under its title.

    Args:
        tiles: Of any sizes; the largest sets the cells.
        columns: By default such that the whole is about as wide as high.
        heading: A line over all.
        text: Height of the letters, px.
    """
    cell_w = max(tile.pixels.shape[1] for tile in tiles)
    cell_h = max(tile.pixels.shape[0] for tile in tiles)
    columns = columns or math.ceil(math.sqrt(len(tiles) * (cell_h + text) / cell_w))
    columns = min(columns, len(tiles))
    font, line = ImageFont.load_default(size=text), round(text * 1.35)
    titles = [wrap_text(tile.title, cell_w, font) for tile in tiles]
    band = line * max(len(lines) for lines in titles)
    head_lines = wrap_text(heading, columns * (cell_w + GAP) - GAP, font)
    head = line * len(head_lines) + (GAP if head_lines else 0)
    rows = math.ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (cell_w + GAP) + GAP, head + rows * (band + cell_h + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, words in enumerate(head_lines):
        draw.text((GAP, GAP + number * line), words, fill=INK, font=font)
    for index, (tile, lines) in enumerate(zip(tiles, titles, strict=True)):
        x = GAP + index % columns * (cell_w + GAP)
        y = GAP + head + index // columns * (band + cell_h + GAP)
        for number, words in enumerate(lines):
            draw.text((x, y + number * line), words, fill=INK, font=font)
        sheet.paste(Image.fromarray(tile.pixels), (x, y + band))
    return np.asarray(sheet)


def beside(*pictures: Pixels) -> Pixels:
    """Set pictures in one row on white, their tops level."""
    sheet = Image.new("RGB", (sum(p.shape[1] for p in pictures), max(p.shape[0] for p in pictures)), PAPER)
    x = 0
    for pixels in pictures:
        sheet.paste(Image.fromarray(pixels), (x, 0))
        x += pixels.shape[1]
    return np.asarray(sheet)


def _plain(text: str) -> str:
    """Keep what Pillow's built-in font has: ASCII."""
    text = text.replace("×", "x").replace("–", "-").replace("…", "...")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _cut(text: str, width: float, font: Font) -> str:
    """Shorten a line to a width, px."""
    if font.getlength(text) <= width:
        return text
    while len(text) > 1 and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def wrap_text(text: str, width: float, font: Font) -> list[str]:
    """Break text into lines that fit; a word that does not fit alone is cut short."""
    lines: list[str] = []
    for paragraph in _plain(text).split("\n") if text else []:
        current = ""
        for word in paragraph.split():
            longer = f"{current} {word}".strip()
            if current and font.getlength(longer) > width:
                lines.append(_cut(current, width, font))
                current = word
            else:
                current = longer
        lines.append(_cut(current, width, font))
    return lines
