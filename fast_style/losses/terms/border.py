"""The border term keeps a network from drawing a frame where its picture ends."""

import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.term import Seen, Term, Weight

# Side of the blocks whose mean colors are compared, px: strokes may lie elsewhere.
_BLOCK = 16


class Border(Term):
    """Difference between a photo stylized alone and stylized as a part of a larger photo.

    The photo is cut to the scored window, stylized, and compared with that window of the large picture: the mean
    squared difference of the blocks' colors. Gradients flow only to the picture of the cut photo.
    """

    name = "border"

    def __init__(self, weight: float) -> None:
        super().__init__(Weight(weight))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Draw the cut photo and compare; InputError says if the photo or the network is missing."""
        if seen.photo is None or seen.draw is None:
            raise InputError("the border term needs the photo and the network", hint="Pass photo and draw.")
        block = min(_BLOCK, seen.photo.shape[-1])
        alone = seen.draw(seen.photo)
        return F.mse_loss(F.avg_pool2d(alone, block), F.avg_pool2d(seen.image.detach(), block))
