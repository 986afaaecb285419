"""The total variation keeps a picture smooth."""

from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighboring pixels of (N, C, H, W), vertical plus horizontal, a float32 scalar.

    A side of one pixel has no neighbors and adds nothing.

    Reference:
        Mahendran and Vedaldi 2015, equation 5, with beta = 2.

    Differs from the paper:
        A mean, not a sum, so that the weight does not depend on the size.
    """
    image = image.float()
    zero = image.new_zeros(())
    down = (image[..., 1:, :] - image[..., :-1, :]).square()
    across = (image[..., :, 1:] - image[..., :, :-1]).square()
    return (down.mean() if down.numel() else zero) + (across.mean() if across.numel() else zero)


class TotalVariation(Term):
    """The picture's roughness; in balanced units, 1.0 is as rough as a photo."""

    name = "tv"

    def __init__(self, objective: Objective) -> None:
        super().__init__(Weight(objective.tv_weight), balanced=objective.weighting == "balanced")

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Measure the picture."""
        return total_variation(seen.image)
