"""The border term: a network draws no frame where its picture ends."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.term import Seen, Term, Weight

_BLOCK = 16  # px: strokes may lie elsewhere, so only the colors of blocks are compared


class Border(Term):
    """How far the border of a picture is from what is drawn there if the photo goes on.

    The photo, cut to the window that is scored, is drawn once more by itself, and compared with the same part of the
    picture of the larger photo: the mean square of the difference between the colors of blocks. Only what is drawn
    by itself learns from it.

    Args:
        weight: Its weight.
    """

    name = "border"

    def __init__(self, weight: float) -> None:
        super().__init__(Weight(weight))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Draw the cut photo, and compare.

        Raises:
            InputError: The photo or the network is not at hand.
        """
        if seen.photo is None or seen.draw is None:
            raise InputError("the border term needs the photo and the network", hint="Give photo and draw.")
        block = min(_BLOCK, seen.photo.shape[-1])
        alone = seen.draw(seen.photo)
        return F.mse_loss(F.avg_pool2d(alone, block), F.avg_pool2d(seen.image.detach(), block))
