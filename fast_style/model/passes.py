"""Passes: what a network that paints from coarse to fine is told, and in which sizes it paints.

A network's strokes have a size in pixels. A small copy of the photo, stylized and enlarged, has strokes that are large
for the picture, but soft. Stylizing it once more, mixed with the photo, sharpens them and brings back what the copy
lost. That copy is the *draft*, and the networks are trained for it.

Where the photo is flat, the next pass takes most of the draft: large forms. Where it has fine detail, such as a face or
a skyline, it takes most of the photo.
"""

from __future__ import annotations

import math

# Metadata: the long side of the first pass, px.
COARSEST_KEY = "coarsest"
# Networks that paint in passes begin at this long side, px, whatever the photo's size: so a picture looks alike at all.
COARSEST = 160
# Networks that do not begin at this one, px: the size of their training, so that small photos take one pass.
COARSEST_UNTRAINED = 1024
MOST_PASSES = 8
# Share of the draft where the photo is flat, and where it has much detail for this photo.
FLAT_SHARE, DETAIL_SHARE = 0.7, 0.1
# Radii of the blurs, px of the draft: of what counts as detail, and of the detail's surroundings.
DETAIL_RADIUS, SURROUNDINGS_RADIUS = 2, 3
# Detail at which the draft's share is least, in means over the photo, and a level that is added to it, for flat photos.
MUCH_DETAIL, LEAST_DETAIL = 1.6, 1e-3


def count_passes(long_side: int, coarsest: int = COARSEST) -> int:
    """Return how many passes a photo takes by default, at least one: each has twice the size of the one before."""
    return min(MOST_PASSES, 1 + max(0, round(math.log2(long_side / coarsest))))


def draft_sizes(size: tuple[int, int], passes: int, *, smallest: int = 16) -> list[tuple[int, int]]:
    """Return (width, height), px, of the drafts, from coarse to fine; the last pass has the photo's size.

    Args:
        size: Width and height of the photo, px.
        passes: Number of passes; those with a side under ``smallest`` px are left out.
        smallest: Px.
    """
    sizes = [(round(size[0] / 2**step), round(size[1] / 2**step)) for step in range(passes - 1, 0, -1)]
    return [draft for draft in sizes if min(draft) >= smallest]
