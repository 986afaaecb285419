"""Grounds: forms laid under the flat places of a photo, of which a network makes strokes or cells of its own.

Where a photo is flat, a network repeats one stroke, all in one direction, or leaves a pane without a frame. With forms
there it paints something else: it follows them as it follows those of the photo. Which forms suit a painting is a
matter of its hand, so a style names its ground, or none. Panes and rings have the painting's colors.

A ground covers the photo as it is in the last pass that networks learn: in the usual number of passes, its forms have a
size relative to the picture. Later passes keep what that one painted.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.errors import InputError, damaged_model
from fast_style.model.passes import COARSEST, LEARNED_PASSES, draft_shares
from fast_style.model.table import paintings_in

# None, strokes that turn, cells with dark lines between them, or rings.
Forms = Literal["none", "flow", "panes", "rings"]
_COLORED = {"panes", "rings"}
# Metadata: the ground of a style; without it, there is none.
GROUND_KEY = "ground"
FOLDER = Path(__file__).parent / "grounds"
# Side of the square that is repeated, px.
SIDE = COARSEST << (LEARNED_PASSES - 1)
# Largest change of brightness by a flow, and by the lines of panes and rings.
FLOW, LINES = 0.25, 0.25
# How many colors panes and rings have, the share of a color's distance from the painting's mean that is laid, and the
# tones that take their places if nothing is known of the painting.
COLORS, COLORED, TONES = 16, 1.2, np.linspace(-0.15, 0.15, 16)
# Largest photo over which a ground is laid, px; the third pass sees more only if fewer are asked for than usual.
MOST_PIXELS = 4_000_000
# Radius of the blur of what is flat, px of the first pass, and how much steeper it falls after that: there is
# little ground near a face or a tower, and in the small flat places inside of them.
GROUND_RADIUS, STEEPNESS = 6, 1.5


@dataclass(frozen=True)
class Ground:
    """What is laid under flat places."""

    forms: Forms = "none"
    # The painting's colors, each `rrggbb`, see `find_palette`; without them, panes and rings are gray.
    palette: tuple[str, ...] = ()


NO_GROUND = Ground()


def ground_in(metadata: Mapping[str, str], *, forms: Forms | None = None, styles: Collection[str] = ()) -> Ground:
    """Read from a file's metadata the ground of its style; none if it does not say.

    Args:
        metadata: The file's.
        forms: Forms in place of the file's own.
        styles: Those that are painted; by default all in the file.

    Raises:
        ModelError: There is no such ground, or what the file says of its paintings cannot be read.
    """
    name = metadata.get(GROUND_KEY, "none") if forms is None else forms
    if name not in get_args(Forms):
        raise damaged_model(f"the file says that its ground is {name!r}; expected {', '.join(get_args(Forms))}")
    known = paintings_in(metadata) if name in _COLORED else {}
    painted = {style: facts for style, facts in known.items() if not styles or style in styles}
    try:
        return make_ground(cast("Forms", name), painted)
    except (TypeError, ValueError) as error:
        raise damaged_model("what the file says of its paintings cannot be read") from error


def make_ground(forms: Forms, paintings: Mapping[str, Mapping[str, Any]]) -> Ground:
    """Give forms the colors of a painting, by what is known of the paintings: none if there are several.

    Raises:
        TypeError, ValueError: What is known is not a palette.
    """
    facts = list(paintings.values())
    palette: tuple[object, ...] = ()
    if forms in _COLORED and len(facts) == 1:
        palette = tuple(facts[0].get("palette", ()))
    if palette and (len(palette) != COLORS or not all(re.fullmatch("[0-9a-f]{6}", str(color)) for color in palette)):
        raise ValueError(palette)
    return Ground(forms, tuple(map(str, palette)))


def find_palette(painting: NDArray[np.uint8]) -> tuple[str, ...]:
    """Return 16 colors of a painting, (H, W, 3), RGB, each for as much of it: by median cut (Heckbert 1982)."""
    picture = Image.fromarray(painting).quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    numbers, counts = np.unique(np.asarray(picture), return_counts=True)
    colors = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)[numbers]
    if len(colors) < COLORS:  # so few are repeated by their shares
        ends = counts.cumsum() / counts.sum()
        colors = colors[np.searchsorted(ends, (np.arange(COLORS) + 0.5) / COLORS)]
    return tuple(bytes(color).hex() for color in colors)


def check_forms(forms: Forms | None) -> None:
    """Raise InputError if there is no such ground; None, a style's own, is one."""
    if forms is not None and forms not in get_args(Forms):
        raise InputError(f"ground is {forms!r}; expected {' or '.join(get_args(Forms))}")


def passes_over(ground: Ground, passes: int) -> int:
    """Return how many of so many passes see a ground: those that networks learn, if there are several."""
    return 0 if ground.forms == "none" or passes == 1 else min(passes, LEARNED_PASSES)


def ground_share(strength: float) -> float:
    """Return how much of a ground is laid: all of it from strength 1 on, and below as the draft's share."""
    return min(1.0, draft_shares(strength)[0] / draft_shares()[0])


@lru_cache(8)
def ground_tile(ground: Ground, passes: int) -> tuple[NDArray[np.uint8], float]:
    """Return the square that is repeated in the last of so many learned passes, and its largest change.

    The square is (1, 1, S, S), or (1, 3, S, S) if it has colors. Its levels from 0 to 255 stand for changes of the
    photo, from the largest down to the largest up.
    """
    factor = 2 ** (LEARNED_PASSES - passes)
    with Image.open(FOLDER / f"{ground.forms}.png") as picture:
        if ground.forms == "flow":
            return np.array(picture.reduce(factor))[None, None], FLOW
        numbers, lines = np.moveaxis(np.array(picture), -1, 0)
    changes = _colors(ground.palette)[numbers] - np.float32(LINES / 255) * lines[..., None]
    side = SIDE // factor
    changes = changes.reshape(side, factor, side, factor, -1).mean(axis=(1, 3))
    largest = float(np.abs(changes).max())
    levels = np.rint(127.5 + 127.5 / largest * changes).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(2, 0, 1))[None], largest


def _colors(palette: tuple[str, ...]) -> NDArray[np.float32]:
    """What each number of a form stands for, (17, C) changes: those of the colors, and none."""
    if not palette:
        return np.append(TONES, 0).astype(np.float32)[:, None]
    colors = np.array([[*bytes.fromhex(color)] for color in palette], np.float32) / 255
    return np.concatenate([COLORED * (colors - colors.mean(0)), np.zeros((1, 3), np.float32)])
