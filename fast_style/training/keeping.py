"""How much of the photo a network in training keeps, and the content's weight that brings it there."""

import math

import torch
from torch import Tensor, nn

# What the content's weight is multiplied by at first: runs on new paintings ended at 3.9 to 5.3, so little of the photo
# is lost before the factor has found its height.
FIRST_FACTOR = 5.0
# Gain of the controller: rise of the log-weight per step and unit of the photo that is missing.
GAIN = 0.1
MOST_FACTOR = 32.0


class Keeping(nn.Module):
    """Find the weight of the content at which pictures keep as much of their photos as is asked for.

    A network learns the painting sooner than the photo. On its way it paints faces over, of which the objective's
    minimum, picture by picture, keeps more. So the content's weight is the multiplier of a constraint: it rises while
    too little is kept and falls while there is more, never below the objective's own.

    Args:
        kept: The cosine that is asked for, see :func:`~fast_style.losses.kept`, 0 to 1.
        styles: How many paintings are learned; each has a factor of its own.

    Reference:
        Platt and Barr 1987, "Constrained Differential Optimization", whose multipliers follow the constraint's error.

    Differs from the paper:
        It is the multiplier's logarithm that follows, so that one gain serves every painting, and it is bounded.
    """

    levels: Tensor  # the logarithm of each style's factor, (styles,), in the checkpoint, so that a run resumes exactly

    def __init__(self, kept: float, *, styles: int = 1) -> None:
        super().__init__()
        self.kept = kept
        self.register_buffer("levels", torch.full((styles,), math.log(FIRST_FACTOR)))

    def factor(self, style: int) -> Tensor:
        """What a style's content weight is multiplied by, a scalar from 1 to 32."""
        return self.levels[style].exp()

    @torch.no_grad()
    def update(self, style: int, kept: Tensor) -> None:
        """Move the factor of the style of that number by what one step kept: a scalar."""
        missing = self.kept - kept
        self.levels[style] = (self.levels[style] + GAIN * missing).clamp(0.0, math.log(MOST_FACTOR))


def kept_at(kept: float, strength: float) -> float:
    """How much is kept at a strength, of what is kept at 1: four times as strong covers 1.4 times as much."""
    return max(0.0, 1.0 - (1.0 - kept) * math.pow(strength, 0.25))
