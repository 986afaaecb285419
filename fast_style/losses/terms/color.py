"""The color term matches the distribution of the painting's colors, wherever they lie."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight

_DIRECTIONS = 32
_QUANTILES = 1024
# Each color that is compared is the mean of a square with this side, px.
_SQUARE = 4


def color_quantiles(image: Tensor) -> Tensor:
    """Sort an image's colors along fixed directions: (N, 3, H, W) to (N, 32, 1024), float32 whatever the autocast."""
    generator = torch.Generator().manual_seed(1)
    directions = F.normalize(torch.randn(_DIRECTIONS, 3, generator=generator), dim=1).to(image.device)
    with torch.autocast(image.device.type, enabled=False):
        ordered = (directions @ image.float().flatten(2)).sort(dim=2).values
    return F.interpolate(ordered, size=_QUANTILES, mode="linear", align_corners=True)


class Color(Term):
    """The sliced Wasserstein distance of the colors, seen at a quarter of the size.

    Reference:
        Heitz, Vanhoey, Chambon and Belcour 2021, section 3, for colors instead of features.

    Differs from the paper:
        The directions are fixed, so that the painting is sorted only once.
    """

    name = "color"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        weight = Weight(objective.strength * objective.color_weight)
        super().__init__(weight, balanced=objective.weighting == "balanced")

    def take_painting(self, painting: Seen) -> None:
        """Take the painting's quantiles."""
        self.register_buffer("target", _quantiles_of(painting), persistent=False)

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare the quantiles."""
        return (_quantiles_of(seen) - self.get_buffer("target")).square().mean()


def _quantiles_of(seen: Seen) -> Tensor:
    return color_quantiles(F.avg_pool2d(seen.image, _SQUARE))
