"""Grounds: forms laid under the flat places of a photo, of which a network makes strokes or cells of its own.

Where a photo is flat, a network repeats one stroke, all in one direction, or leaves a pane without a frame. Faint forms
there are enough for it to paint something else: it follows them as it follows those of the photo. Which forms suit a
painting is a matter of its hand, so a style names its ground, or none.

A ground covers the photo as it is in the last pass that networks learn: in the usual number of passes, its forms have a
size relative to the picture. Later passes keep what that one painted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.errors import InputError, ModelError
from fast_style.model.passes import COARSEST, LEARNED_PASSES, draft_shares

# None, strokes that turn, cells with dark lines between them, or rings.
Ground = Literal["none", "flow", "panes", "rings"]
# Metadata: the ground of a style; without it, there is none.
GROUND_KEY = "ground"
FOLDER = Path(__file__).parent / "grounds"
# Side of the square that is repeated, px.
SIDE = COARSEST << (LEARNED_PASSES - 1)
# Largest change of brightness.
AMOUNTS: Mapping[Ground, float] = {"flow": 0.25, "panes": 0.2, "rings": 0.25}
# Largest photo over which a ground is laid, px; the third pass sees more only if fewer are asked for than usual.
MOST_PIXELS = 4_000_000
# Radius of the blur of what is flat, px of the first pass, and how much steeper it falls after that: there is
# little ground near a face or a tower, and in the small flat places inside of them.
GROUND_RADIUS, STEEPNESS = 6, 1.5


def ground_in(metadata: Mapping[str, str]) -> Ground:
    """Read from a file's metadata the ground of its style; ``none`` if it does not say.

    Raises:
        ModelError: There is no such ground.
    """
    name = metadata.get(GROUND_KEY, "none")
    if name in get_args(Ground):
        return cast("Ground", name)
    raise ModelError(
        f"the file says that its ground is {name!r}; expected {', '.join(get_args(Ground))}",
        hint="Copy or download the file again, or export the style again.",
    )


def check_ground(ground: Ground | None) -> None:
    """Raise InputError if there is no such ground; None, a style's own, is one."""
    if ground is not None and ground not in get_args(Ground):
        raise InputError(f"ground is {ground!r}; expected {' or '.join(get_args(Ground))}")


def passes_over(ground: Ground, passes: int) -> int:
    """Return how many of so many passes see a ground: those that networks learn, if there are several."""
    return 0 if ground == "none" or passes == 1 else min(passes, LEARNED_PASSES)


def ground_share(strength: float) -> float:
    """Return how much of a ground is laid: all of it from strength 1 on, and below as the draft's share."""
    return min(1.0, draft_shares(strength)[0] / draft_shares()[0])


@cache
def ground_tile(ground: Ground, passes: int) -> NDArray[np.uint8]:
    """Return the square that is repeated in the last of so many learned passes, (1, 1, S, S).

    Its levels from 0 to 255 stand for changes of brightness from the least to the largest, see :data:`AMOUNTS`.
    """
    with Image.open(FOLDER / f"{ground}.png") as picture:
        return np.array(picture.reduce(2 ** (LEARNED_PASSES - passes)))[None, None]
