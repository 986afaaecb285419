"""The tone term keeps what is light and what is dark in the photo."""

import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight

# Side of the squares whose brightness is compared, px: finer detail may be painted over.
_SQUARE = 16
# The same for its level: larger, so that strokes and forms fit into a square.
_LEVEL_SQUARE = 64
# Variance added to each picture's, so that one of a single tone correlates with nothing.
_LEAST_VARIANCE = 1e-4
# Mean squared difference of levels that counts as one.
_LEVEL_UNIT = 0.1


def tone_distance(picture: Tensor, photo: Tensor) -> Tensor:
    """Return how much what is light and dark differs, seen without detail.

    It is one minus the correlation of the brightness of squares of 16 px, which leaves contrast free, and the mean
    squared difference of that of squares of 64 px in units of 0.1, which does not, so that a night stays dark.

    Both are (N, 3, H, W), RGB in [0, 1]; gradients flow to the first. The mean over the pictures is a float32 scalar
    from 0 to 12. The photo itself scores 0, but more the nearer it is to a single tone: 1 if it has no other.
    """
    first, second = (_tones(image, _SQUARE) for image in (picture, photo))
    first, second = (tones - tones.mean(dim=1, keepdim=True) for tones in (first, second))
    deviations = [(tones.square().mean(dim=1) + _LEAST_VARIANCE).sqrt() for tones in (first, second)]
    correlation = (first * second).mean(dim=1) / (deviations[0] * deviations[1])
    levels = _tones(picture, _LEVEL_SQUARE) - _tones(photo, _LEVEL_SQUARE)
    return (1 - correlation).mean() + levels.square().mean() / _LEVEL_UNIT


def _tones(image: Tensor, square: int) -> Tensor:
    """Return the mean brightness of squares, (N, squares)."""
    square = max(1, min(square, min(image.shape[-2:]) // 2))
    return F.avg_pool2d(image.float().mean(dim=1, keepdim=True), square).flatten(1)


class Tone(Term):
    """:func:`tone_distance` of the picture from its photo: faces keep their light side, and night stays dark."""

    name = "tone"
    against = "photo"

    def __init__(self, objective: Objective) -> None:
        super().__init__(Weight(objective.tone_weight))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare with the photo; InputError says if there is none."""
        if seen.photo is None:
            raise InputError("the tone term needs the photo", hint="Pass photo=.")
        return tone_distance(seen.image, seen.photo)
