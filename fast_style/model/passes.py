"""Passes: what a network that paints from coarse to fine is told, and in how many passes it paints.

A network's strokes have a size in pixels. A small copy of the photo, stylized and enlarged, has strokes that are large
for the picture, but soft. Stylizing it once more, mixed with the photo, sharpens them and brings back what the copy
lost. That copy is the *draft*, and the networks are trained for it, for three passes: 640 px.

Further passes, of larger photos, would cover its forms with smaller ones of their own. So of what they paint, most of
the part that is as coarse as the draft is the draft's: they add what is finer. A large picture, seen from where it is
as wide as a small one, looks like that.

The draft takes a share in the next pass only of what is as coarse as itself. All of the photo that is finer stays, so
edges stay sharp, and forms reach up to them. Where the photo is flat, the share is large: large forms. Where it has
fine detail, such as a face or a skyline, it is smaller. The strength of painting raises or lowers both.
"""

import math
from collections.abc import Mapping

from fast_style.errors import InputError, damaged_model

# Metadata: the long side of the first pass, px.
COARSEST_KEY = "coarsest"
# Metadata: the number of passes in which a graph paints by itself.
PASSES_KEY = "passes"
# Metadata: what strength 1 is in units of the training's; of a graph that paints in passes by itself, its strength.
STRENGTH_KEY = "strength"
# Networks that paint in passes begin at this long side, px, whatever the photo's size.
COARSEST = 160
# Networks that do not begin at this one, px: the size of their training, so that small photos take one pass.
COARSEST_UNTRAINED = 1024
MOST_PASSES = 8
# Smallest side of a draft, px: networks take no smaller picture.
SMALLEST_DRAFT = 16
# Passes for which the networks are trained, and the share of the draft in the coarse part of what later ones paint.
# With all of it, edges get a second, fainter line; with none of it, forms get finer from pass to pass.
LEARNED_PASSES, COARSE_SHARE = 3, 0.8
# How strongly to paint: a hint of the painting, and painted over.
WEAKEST, STRONGEST = 0.25, 4.0
# Upper bound of a file's own strength, as repeated exports multiply it.
MOST_OWN_STRENGTH = 100.0
# Radii of the blurs, px of the draft: of what counts as detail, and of the detail's surroundings.
DETAIL_RADIUS, SURROUNDINGS_RADIUS = 2, 3
# Detail at which the draft's share is least, in means over the photo, and a level that is added to it, for flat photos.
MUCH_DETAIL, LEAST_DETAIL = 1.6, 1e-3


def draft_shares(strength: float = 1.0) -> tuple[float, float]:
    """Return the share of the draft where the photo is flat, and how much more it is where there is much detail.

    The two shares rise from nothing (every pass paints the photo anew) over 0.7 and 0.3 at strength 1, for which the
    networks are trained, toward 1 and 0.9 (little but the forms of the first pass is left).
    """
    level = strength**2 / (1 + strength**2)
    flat, detailed = level * (1.8 - 0.8 * level), level * (0.3 + 0.6 * level)
    return flat, detailed - flat


def strength_in(metadata: Mapping[str, str]) -> float:
    """Read from a file's metadata what its style's strength is multiplied by; 1 if it does not say.

    Raises:
        ModelError: What it says is not a number above 0 and below 100.
    """
    text = metadata.get(STRENGTH_KEY, "1")
    try:
        strength = float(text)
    except ValueError:
        strength = math.nan
    if not 0 < strength < MOST_OWN_STRENGTH:
        raise damaged_model(
            f"the file says that its strength is {text!r}; expected a number above 0 and below {MOST_OWN_STRENGTH:g}"
        )
    return strength


def check_strength(strength: float) -> None:
    """Raise InputError for a strength outside 0.25 to 4."""
    if not WEAKEST <= strength <= STRONGEST:
        raise InputError(f"strength is {strength:g}; expected {WEAKEST:g} to {STRONGEST:g}")


def count_passes(long_side: int, coarsest: int = COARSEST) -> int:
    """Return how many passes a photo takes by default, at least one: each has twice the size of the one before."""
    return min(MOST_PASSES, 1 + max(0, round(math.log2(long_side / coarsest))))


def smallest_side(passes: int) -> int:
    """Return the smallest side of a photo for so many passes, px."""
    return SMALLEST_DRAFT << (passes - 1)


def count_fitting(size: tuple[int, int], passes: int) -> int:
    """Return how many of so many passes a photo of (width, height) px has room for: no draft is under 16 px."""
    return min(passes, 1 + max(0, math.floor(math.log2(min(size) / SMALLEST_DRAFT))))
