"""The style term: the painting's Gram matrices are taken on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fast_style.losses.gram import gram_matrix
from fast_style.losses.objective import Objective
from fast_style.losses.term import Seen, Term, Weight, mix
from fast_style.losses.views import Inside


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of Gram matrices, averaged over the batch, a float32 scalar.

    Args:
        gram: (N, C, C).
        target: (C, C) or (N, C, C).

    Reference:
        Johnson et al. 2016, equation 4. Gatys et al. 2016, equation 4, is a quarter of this.
    """
    return (gram.float() - target.float()).square().sum(dim=(-2, -1)).mean()


class Style(Term):
    """How far the picture's Gram matrices are from the painting's, at the style layers.

    Differs from the paper:
        Several paintings are mixed: the target is the weighted mean of their Gram matrices. A balanced objective
        weighs deeper layers more, see :class:`~fast_style.losses.Objective`; in Gatys et al. and Johnson et al.
        all layers weigh the same.
    """

    name = "style"
    against = "painting"

    def __init__(self, objective: Objective) -> None:
        super().__init__(
            Weight(objective.strength * objective.style_weight),
            objective.shares("style"),
            layers=objective.style_layers,
            balanced=objective.weighting == "balanced",
        )
        # Gatys et al. 2016, equation 4, has a quarter of Johnson's distance.
        self.factor = 0.25 if objective.weighting == "gatys" else 1.0

    def take_paintings(self, paintings: Sequence[Seen], shares: Sequence[float]) -> None:
        """Keep the weighted mean of the paintings' Gram matrices."""
        for layer in self.layers:
            grams = [gram_matrix(painting.features[layer])[0] for painting in paintings]
            self.register_buffer(f"gram_{layer}", mix(grams, shares), persistent=False)

    def target(self, layer: str) -> Tensor:
        """The painting's Gram matrix at a style layer, (C, C)."""
        return self.get_buffer(f"gram_{layer}")

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Compare one layer."""
        return style_loss(gram_matrix(seen.features[part]), self.target(part)) * self.factor


class CoarseStyle(Style):
    """The same at half size, where strokes are grain and forms are strokes: it asks for large forms.

    Reference:
        Snelgrove 2017 ("High-resolution multi-scale neural texture synthesis"), section 3.

    Differs from the paper:
        Two octaves instead of four or five, and all layers weigh the same.
    """

    name = "coarse_style"
    view = Inside(2)

    def __init__(self, objective: Objective) -> None:
        layers = objective.coarse_layers
        Term.__init__(
            self,
            Weight(objective.strength * objective.coarse_weight),
            dict.fromkeys(layers, 1 / len(layers)),
            layers=layers,
            balanced=objective.weighting == "balanced",
        )
        self.factor = 1.0
