"""The temporal term keeps strokes from flickering; it needs photos only, no films."""

from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.term import Seen, Term, Weight


class Steady(Term):
    """Mean absolute difference between the picture of a second view and the first view's picture, moved alike.

    It lies in [0, 1]. Gradients flow to both pictures. It is not computed before the progress ``since``, 0 to 1: a
    network without strokes would learn to be steady by drawing none.

    Reference:
        Wang et al. 2020 (ReReVST), section 3.3.

    Differs from the paper:
        Added late in the training and to a single photo's views; bicubic sampling instead of bilinear.
    """

    name = "steady"
    whole = True

    def __init__(self, weight: float, *, since: float = 0.0) -> None:
        super().__init__(Weight(weight, since=since))

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Draw the second view and compare; InputError says if the photo, the network or the motion is missing."""
        if seen.photo is None or seen.draw is None or seen.motion is None:
            raise InputError(
                "the steady term needs the photo, the network and a motion", hint="Pass photo, draw and motion."
            )
        known = seen.motion.known().to(seen.image)
        second = seen.draw(seen.motion.second(seen.photo))
        difference = (seen.motion.warp(seen.image) - second).abs().mean(1)
        return (known * difference).sum() / (known.sum() * len(seen.image)).clamp_min(1)
