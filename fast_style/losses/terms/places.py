"""The place term: every place of the picture is like one of the painting, and every place of the painting occurs."""

from __future__ import annotations

from torch import Tensor

from fast_style.losses.objective import Objective
from fast_style.losses.places import draw_places, places, precision_and_coverage
from fast_style.losses.term import Seen, Term, Weight

# Places drawn at each step, of the picture and of the painting.
PICTURE_PLACES, PAINTING_PLACES = 1024, 2048
# Places of the painting that are kept for each layer; a step draws from these.
_KEPT_PLACES = 8192


class Places(Term):
    """Precision and coverage of the picture's places, see :func:`~fast_style.losses.places.precision_and_coverage`.

    A flat sky without strokes has places that the painting has not, and a star of the painting that occurs nowhere in
    the picture counts as well. Neither moves an average over the picture much.

    Distances are above the painting's floor, which is what its places score against others of its own.
    """

    name = "places"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        layers = objective.places_layers
        super().__init__(
            Weight(objective.strength * objective.places_weight),
            dict.fromkeys(layers, 1 / len(layers)),
            layers=layers,
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
