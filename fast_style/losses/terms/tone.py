"""The tone term keeps what is light and what is dark in the photo."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight

# Side of the squares whose mean brightness is compared, px: finer detail may be painted over.
_SQUARE = 16
# Variance added to each picture's, so that one of a single tone correlates with nothing.
_LEAST_VARIANCE = 1e-4


def tone_distance(picture: Tensor, photo: Tensor) -> Tensor:
    """Return one minus the correlation of the brightness of two pictures, seen without detail.

    Overall brightness and contrast may change; which parts are lighter than others may not.

    Args:
        picture: (N, 3, H, W), RGB in [0, 1]; gradients flow to it.
        photo: (N, 3, H, W), RGB in [0, 1].

    Returns:
        The mean over the pictures, a float32 scalar: 0 for the photo at any contrast, 2 for its negative.
    """
    first, second = _tones(picture), _tones(photo)
    deviations = [(tones.square().mean(dim=1) + _LEAST_VARIANCE).sqrt() for tones in (first, second)]
    return (1 - (first * second).mean(dim=1) / (deviations[0] * deviations[1])).mean()


def _tones(image: Tensor) -> Tensor:
    square = max(1, min(_SQUARE, min(image.shape[-2:]) // 8))
    tones = F.avg_pool2d(image.float().mean(dim=1, keepdim=True), square).flatten(1)
    return tones - tones.mean(dim=1, keepdim=True)


class Tone(Term):
    """:func:`tone_distance` of the picture from its photo: faces keep their light side, and night stays dark."""

    name = "tone"
    against = "photo"

    def __init__(self, objective: Objective) -> None:
        super().__init__(Weight(objective.tone_weight))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare with the photo.

        Raises:
            InputError: There is no photo.
        """
        if seen.photo is None:
            raise InputError("the tone term needs the photo", hint="Pass photo=.")
        return tone_distance(seen.image, seen.photo)

    def unstyled(self, part: str, seen: Seen) -> Tensor:
        """Return 1: the distance has no unit."""
        return torch.ones(())
