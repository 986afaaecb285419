"""The terms of places: the feature vectors of single positions of a layer.

A Gram matrix, a mean or a Gaussian averages over the whole picture. The busy part of a picture can match it alone, and
a flat sky then costs least if it stays flat. These distances ask of *each* place.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import ImageError
from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight

# Places drawn at each step, of the picture and of the painting, and of the photo for self-similarity.
PICTURE_PLACES, PAINTING_PLACES, PHOTO_PLACES = 1024, 2048, 600
# Places of the painting that are kept for each layer; a step draws from these.
_KEPT_PLACES = 8192
_EPSILON = 1e-6


def places(features: Tensor) -> Tensor:
    """Turn the features of one picture, (C, H, W), into its places, (H · W, C), float32."""
    return features.flatten(1).T.float()


def draw_places(count: int, most: int, seed: int) -> Tensor:
    """Draw the indices of at most ``most`` of ``count`` places, each once; for the same seed the same everywhere."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]


@torch.no_grad()
def nearest(queries: Tensor, keys: Tensor) -> Tensor:
    """Return for each query, (P, C), the index of the key, (Q, C), with the smallest cosine distance; no gradient.

    The distances are float32 whatever the autocast: in bfloat16 many keys would be equally near.
    """
    with torch.autocast(queries.device.type, enabled=False):
        return (F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T).argmax(dim=1)


def precision_and_coverage(picture: Tensor, painting: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two halves of the relaxed earth mover's distance, each a float32 scalar from 0 to 2; less is better.

    Precision is the mean cosine distance of the picture's places, (P, C), to the nearest of the painting's, (Q, C): 0
    if every place of the picture occurs in the painting. Coverage is the other way round: 0 if every place of the
    painting occurs in the picture. Gradients flow to the picture.

    The pairs are found without gradient and their distances computed again with it: the same gradient as through the
    whole matrix of distances, for a hundredth of its memory.

    Reference:
        Kolkin et al. 2019 ("Style transfer by relaxed optimal transport and self-similarity"), equations 2 to 6.

    Differs from the paper:
        It takes the larger half. Here both are returned, so that a loss can sum them and does not switch.
    """
    precision = F.cosine_similarity(picture, painting[nearest(picture, painting)], dim=1)
    coverage = F.cosine_similarity(picture[nearest(painting, picture)], painting, dim=1)
    return 1 - precision.mean(), 1 - coverage.mean()


def self_similarity(features: Tensor) -> Tensor:
    """Return how unlike each place is to each other: cosine distances, each column divided by its sum.

    It says which places of a picture are alike, and nothing of their color and contrast: (P, C) to (P, P), 0 to 1,
    float32 whatever the autocast.

    Reference:
        Kolkin et al. 2019, section 2.3.
    """
    directions = F.normalize(features, dim=1)
    with torch.autocast(features.device.type, enabled=False):
        distances = (1 - directions @ directions.T).clamp(min=0.0)
    return distances / (distances.sum(dim=0, keepdim=True) + _EPSILON)


def self_similarity_distance(picture: Tensor, photo: Tensor) -> Tensor:
    """Return how far two pictures differ in which of their places are alike, a float32 scalar from 0 to 2.

    Both are (P, C), at the same places; gradients flow to the first.

    Reference:
        Kolkin et al. 2019, equation 8.
    """
    return (self_similarity(picture) - self_similarity(photo)).abs().sum(dim=0).mean()


class Places(Term):
    """Precision and coverage of the picture's places, see :func:`precision_and_coverage`.

    A flat sky without strokes has places that the painting has not, and a star of the painting that occurs nowhere in
    the picture counts as well. Neither moves an average over the picture much.

    Distances are above the painting's floor, which is what its places score against others of its own.
    """

    name = "places"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        super().__init__(
            Weight(objective.strength * objective.places_weight),
            objective.shares("places"),
            layers=objective.places_layers,
            balanced=objective.weighting == "balanced",
        )
        self.floors: dict[str, float] = {}

    def take_painting(self, painting: Seen) -> None:
        """Keep places of the painting, and measure the floor."""
        for layer in self.layers:
            target = places(painting.features[layer][0])
            target = target[draw_places(len(target), _KEPT_PLACES, 0)]
            target = target[draw_places(len(target), len(target), 1)]  # another order: steps and floor take the first
            self.register_buffer(f"places_{layer}", target, persistent=False)
            if len(target) < 2:
                raise ImageError(f"the painting has a single place at {layer}")
            half = min(len(target) // 2, PICTURE_PLACES)
            precision, coverage = precision_and_coverage(target[:half], target[half : half + PAINTING_PLACES])
            self.floors[layer] = (precision + coverage).item()

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Sum precision and coverage at one layer."""
        painting = self.get_buffer(f"places_{part}")
        painting = painting[draw_places(len(painting), PAINTING_PLACES, seen.seed)]
        total = painting.new_zeros(())
        for features in seen.features[part]:
            picture = places(features)
            picture = picture[draw_places(len(picture), PICTURE_PLACES, seen.seed + 1)]
            precision, coverage = precision_and_coverage(picture, painting)
            total = total + precision + coverage
        return (total / len(seen.features[part]) - self.floors[part]).clamp(min=0.0)


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
        super().__init__(
            Weight(objective.similarity_weight), objective.shares("similarity"), layers=objective.similarity_layers
        )

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        total = seen.image.new_zeros(()).float()
        for features, target in zip(seen.features[part], seen.targets[part], strict=True):
            picture, photo = places(features), places(target)
            drawn = draw_places(len(picture), PHOTO_PLACES, seen.seed)
            total = total + self_similarity_distance(picture[drawn], photo[drawn])
        return total / len(seen.features[part])
