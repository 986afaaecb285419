"""The loss: a weighted sum of named terms. The same sum is minimized, shown, written and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import cast

import torch
from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.losses.objective import Objective
from fast_style.losses.second_view import Motion
from fast_style.losses.term import Seen, Term
from fast_style.losses.terms.color import Color
from fast_style.losses.terms.content import Content
from fast_style.losses.terms.places import Places, SelfSimilarity
from fast_style.losses.terms.style import Style
from fast_style.losses.terms.tone import Tone
from fast_style.losses.terms.variation import TotalVariation
from fast_style.losses.vgg import VGG
from fast_style.losses.weights import load_vgg_weights
from fast_style.losses.window import Window

# The terms of an objective, in the order in which they are summed, shown and written.
PICTURE_TERMS: tuple[Callable[[Objective], Term], ...]
PICTURE_TERMS = (Content, Style, TotalVariation, Color, Places, SelfSimilarity, Tone)

# Units of the terms by name and part: what unstyled photos score, all above 0.
Units = Mapping[str, Mapping[str, float]]
# Smallest unit: a flat painting and flat photos score zero, which nothing can be divided by.
_SMALLEST_UNIT = 1e-12

# The figures of every picture, even of a term without weight: columns of tables, keys of cards.
FIGURES = ("total", Content.name, Style.name, TotalVariation.name)


@dataclass(frozen=True)
class LossTerms:
    """The score of a batch of pictures, term by term: float32 scalars.

    Attributes:
        values: Each term's value in its unit, by name, *not* weighted, so that runs with different weights compare.
        weights: The factor of each value in the sum, at this step.
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float | Tensor]

    @property
    def weighted(self) -> dict[str, Tensor]:
        """Each term's summand, by name."""
        return {name: self.weights[name] * value for name, value in self.values.items()}

    @property
    def total(self) -> Tensor:
        """The sum of the weighted terms, which is minimized."""
        return sum(self.weighted.values(), start=torch.zeros(()))

    def with_content_times(self, factor: Tensor) -> LossTerms:
        """Return the same values, with the weight of the content multiplied by a factor."""
        return LossTerms(self.values, {**self.weights, "content": self.weights["content"] * factor})

    def detach(self) -> LossTerms:
        """Return the same values without their autograd graph."""
        return LossTerms({name: value.detach() for name, value in self.values.items()}, self.weights)

    def figures(self) -> dict[str, float]:
        """Return the ``total``, weighted, and each term's value, not weighted, as numbers."""
        return {"total": float(self.total.detach()), **{name: float(v.detach()) for name, v in self.values.items()}}


class WeightedSum(nn.Module):
    """A loss that is the weighted sum of named terms.

    Args:
        vgg: The perceptual network; its layers must include those of the terms.
        terms: The summands. A later term replaces an earlier one with its name. A term without weight is left out
            unless it is one of :data:`FIGURES`.
    """

    def __init__(self, vgg: VGG, terms: Iterable[Term]) -> None:
        super().__init__()
        self.vgg = vgg
        self.terms = cast("Mapping[str, Term]", nn.ModuleDict({term.name: term for term in terms if _counts(term)}))

    def features(self, image: Tensor, *, window: Window | EllipsisType = ...) -> dict[str, Tensor]:
        """Return the activations of (N, 3, H, W) that the terms look at, by layer; gradients flow to it."""
        return self._activations(image[window], self.terms.values())

    @torch.no_grad()
    def content_targets(self, photo: Tensor, *, window: Window | EllipsisType = ...) -> dict[str, Tensor]:
        """Return the photo's activations that :meth:`forward` compares with, by layer."""
        terms = [term for term in self.terms.values() if term.against == "photo"]
        return self._activations(photo[window], terms)

    def forward(
        self,
        image: Tensor,
        targets: Mapping[str, Tensor],
        *,
        features: Mapping[str, Tensor] | None = None,
        window: Window | EllipsisType = ...,
        photo: Tensor | None = None,
        draw: Callable[[Tensor], Tensor] | None = None,
        motion: Motion | None = None,
        progress: float = 1.0,
        seed: int = 0,
    ) -> LossTerms:
        """Score pictures.

        Args:
            image: (N, 3, H, W), RGB in [0, 1]; gradients flow to it.
            targets: :meth:`content_targets` of the photos, through the same window.
            features: :meth:`features` of the pictures through the same window, if they are known already.
            window: The part that is scored, for terms that do not look at the whole.
            photo: The photos, (N, 3, H, W), for terms that need them.
            draw: The network in training, for terms that draw more pictures with it.
            motion: The motion of the whole photo, for the term that compares two views.
            progress: Progress of the training, 0.0 to 1.0, for weights that change.
            seed: Seed of the places that are drawn.

        Raises:
            InputError: A term lacks what it needs: units, the photo, the network or a motion.
        """
        if features is None:
            features = self.features(image, window=window)
        part = Seen(image[window], features, targets, None if photo is None else photo[window], draw, motion, seed)
        whole = Seen(image, {}, {}, photo, draw, motion, seed)
        values = {}
        weights = {name: term.weight.at(progress) for name, term in self.terms.items()}
        for name, term in self.terms.items():
            not_yet = not weights[name] and name not in FIGURES
            values[name] = image.new_zeros(()) if not_yet else term(whole if term.whole else part)
        return LossTerms(values, weights)

    def _activations(self, image: Tensor, terms: Iterable[Term]) -> dict[str, Tensor]:
        layers = dict.fromkeys(layer for term in terms for layer in term.layers)
        return self.vgg(image, layers) if layers else {}


def _counts(term: Term) -> bool:
    return bool(term.weight.value) or term.name in FIGURES


class PerceptualLoss(WeightedSum):
    """The objective of pictures against their photos and a painting.

    The painting's targets are computed once, here, and kept in non-persistent buffers.

    Args:
        vgg: The perceptual network; its layers must include the objective's.
        painting: (1, 3, H, W), RGB in [0, 1], scaled already: the size decides the strokes' size.
        objective: Layers and weights.
        calibration: Units of the balanced terms. If it is None, call :meth:`calibrate` before a balanced loss.

    Raises:
        LayerError: The network lacks one of the objective's layers.

    Reference:
        Johnson, Alahi and Fei-Fei 2016, section 3.2.

    Differs from the paper:
        ``balanced`` weighting, average pooling, replicate padding, and a VGG-19 where Johnson et al. have a VGG-16.
    """

    def __init__(
        self, vgg: VGG, painting: Tensor, objective: Objective = Objective(), *, calibration: Units | None = None
    ) -> None:
        super().__init__(vgg, [make(objective) for make in PICTURE_TERMS])
        self.objective = objective
        terms = [term for term in self.terms.values() if term.against == "painting"]
        with torch.no_grad():
            seen = Seen(painting, self._activations(painting, terms))
            for term in terms:
                term.take_painting(seen)
        self.calibration = calibration
        if calibration is not None:
            self._take_units(calibration)

    @torch.no_grad()
    def calibrate(self, photos: Sequence[Tensor]) -> Units:
        """Measure what unstyled photos score, each (N, 3, H, W), RGB in [0, 1]; keep it, and return it.

        Raises:
            InputError: There are no photos.
        """
        if not photos:
            raise InputError("no photos to calibrate the balanced loss on")
        terms = [term for term in self.terms.values() if term.balanced]
        units = {term.name: dict.fromkeys(term.shares, 0.0) for term in terms}
        for photo in photos:
            seen = Seen(photo, self._activations(photo, terms))
            for term in terms:
                for part in term.shares:
                    units[term.name][part] += term.unstyled(part, seen).item() / len(photos)
        self.calibration = {
            name: {part: max(value, _SMALLEST_UNIT) for part, value in parts.items()} for name, parts in units.items()
        }
        self._take_units(self.calibration)
        return self.calibration

    def _take_units(self, calibration: Units) -> None:
        for name, term in self.terms.items():
            term.units = calibration.get(name, {})


def load_vgg(source: str | Path, objective: Objective) -> VGG:
    """Load the perceptual network of an objective; ``source`` is that of :func:`~fast_style.losses.load_vgg_weights`.

    Raises:
        WeightsError: The weights are missing or damaged.
        LayerError: The network lacks one of the objective's layers.
    """
    terms = [make(objective) for make in PICTURE_TERMS]
    layers = [layer for term in filter(_counts, terms) for layer in term.layers]
    vgg = VGG(load_vgg_weights(source), layers, pooling=objective.pooling, padding=objective.padding)
    return vgg.to(memory_format=torch.channels_last)
