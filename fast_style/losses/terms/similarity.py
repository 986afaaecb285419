"""The self-similarity term keeps which places of the photo are alike, whatever their colors become."""

from __future__ import annotations

from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.places import draw_places, places, self_similarity_distance
from fast_style.losses.term import Seen, Term, Weight

# Places of the photo drawn at each step.
_PLACES = 600


class SelfSimilarity(Term):
    """Distance of the picture's self-similarity from its photo's.

    A face stays a face while its colors and contrast become the painting's: the content term pays for those as well.
    An unstyled photo scores zero and two different photos about one, so there is no unit.

    Reference:
        Kolkin et al. 2019, section 2.3.
    """

    name = "self_similarity"
    against = "photo"

    def __init__(self, objective: Objective) -> None:
        layers = objective.similarity_layers
        super().__init__(Weight(objective.similarity_weight), dict.fromkeys(layers, 1 / len(layers)), layers=layers)

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        total = seen.image.new_zeros(()).float()
        for features, target in zip(seen.features[part], seen.targets[part], strict=True):
            picture, photo = places(features), places(target)
            drawn = draw_places(len(picture), _PLACES, seen.seed)
            total = total + self_similarity_distance(picture[drawn], photo[drawn])
        return total / len(seen.features[part])
