"""The temporal term, without films: what is drawn moves as the photo does."""

from __future__ import annotations

from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.term import Seen, Term, Weight
from fast_style.losses.views import Whole


class Steady(Term):
    """How far the picture of a second view is from the first view's picture, moved as the photo was.

    The mean absolute difference, in [0, 1]. Both pictures learn from it.

    Args:
        weight: Its weight.
        since: Progress, 0 to 1, before which it is not computed and counts nothing: a network that has no strokes yet
            would learn to be steady by having none.

    Reference:
        Wang et al. 2020 (ReReVST), section 3.3.

    Differs from the paper:
        Added late in the training and to a single photo's views; bicubic sampling instead of bilinear.
    """

    name = "steady"
    view = Whole()

    def __init__(self, weight: float, *, since: float = 0.0) -> None:
        super().__init__(Weight(weight, since=since))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Draw the second view, and compare.

        Raises:
            InputError: The photo, the network or the motion is not at hand.
        """
        if seen.photo is None or seen.draw is None or seen.motion is None:
            raise InputError(
                "the steady term needs the photo, the network and a motion", hint="Give photo, draw and motion."
            )
        known = seen.motion.known().to(seen.image)
        second = seen.draw(seen.motion.second(seen.photo))
        difference = (seen.motion.warp(seen.image) - second).abs().mean(1)
        return (known * difference).sum() / (known.sum() * len(seen.image)).clamp_min(1)
