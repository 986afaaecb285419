"""Laying pictures side by side, each with its name."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

_LABEL_HEIGHT = 30
_GAP = 8
_FONT_SIZE = 18


def lay_out(tiles: Sequence[tuple[str, Image.Image]], *, columns: int | None = None) -> Image.Image:
    """Draw labelled pictures in a grid on white.

    Args:
        tiles: Label and picture; all are cut to the aspect ratio and shrunk to the size of the first.
        columns: Pictures in a row; None for about as many as rows.

    Returns:
        An RGB image.
    """
    width, height = tiles[0][1].size
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    cell_width, cell_height = width + _GAP, height + _LABEL_HEIGHT
    sheet = Image.new("RGB", (columns * cell_width + _GAP, rows * cell_height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=_FONT_SIZE)
    for index, (label, picture) in enumerate(tiles):
        left = _GAP + index % columns * cell_width
        top = _GAP + index // columns * cell_height
        sheet.paste(ImageOps.fit(picture.convert("RGB"), (width, height)), (left, top))
        draw.text((left + width / 2, top + height + _LABEL_HEIGHT / 2 - 4), label, "black", font, anchor="mm")
    return sheet
