"""The loss: a weighted sum of named terms. What is summed here is what is minimized, shown, written and watched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.losses.calibration import Calibration
from fast_style.losses.objective import Objective
from fast_style.losses.second_view import Motion
from fast_style.losses.term import Seen, Term
from fast_style.losses.terms.color import Color
from fast_style.losses.terms.content import Content
from fast_style.losses.terms.grids import Lattice
from fast_style.losses.terms.spread import Spread
from fast_style.losses.terms.style import CoarseStyle, Style
from fast_style.losses.terms.variation import TotalVariation
from fast_style.losses.vgg import VGG
from fast_style.losses.views import View, Window
from fast_style.losses.weights import load_vgg_weights

# The terms of a picture's objective, in the order in which they are summed, shown and written. A new term goes here;
# it counts if the objective gives it a weight.
PICTURE_TERMS: tuple[Callable[[Objective], Term], ...] = (Content, Style, TotalVariation, CoarseStyle, Spread, Color)

# The figures that every picture has, even of a term without weight: columns of tables, keys of cards.
FIGURES = ("total", Content.name, Style.name, TotalVariation.name)


@dataclass(frozen=True)
class LossTerms:
    """The score of a picture, term by term, float32 scalars.

    Attributes:
        values: Each term's value in its own unit, by name, *not* weighted, so that figures of runs with different
            weights can be compared.
        weights: What each value is multiplied by in the sum, at this step.
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float | Tensor]

    @property
    def weighted(self) -> dict[str, Tensor]:
        """Each term's summand, by name."""
        return {name: self.weights[name] * value for name, value in self.values.items()}

    @property
    def total(self) -> Tensor:
        """The sum of the weighted terms: exactly what is minimized."""
        return sum(self.weighted.values(), start=torch.zeros(()))

    def at_strength(self, strength: float) -> LossTerms:
        """Return the same values with the painting so many times as heavy against the content.

        Half of that is taken from the content and half given to all else, so that the sum hardly changes.
        """
        if strength == 1.0:
            return self
        half = math.sqrt(strength)
        tilted = {name: weight / half if name == "content" else weight * half for name, weight in self.weights.items()}
        return LossTerms(self.values, tilted)

    def with_content_times(self, factor: Tensor) -> LossTerms:
        """Return the same values with the content so many times as heavy."""
        return LossTerms(self.values, {**self.weights, "content": self.weights["content"] * factor})

    def detach(self) -> LossTerms:
        """Return the same values without their graph."""
        return LossTerms({name: value.detach() for name, value in self.values.items()}, self.weights)

    def figures(self) -> dict[str, float]:
        """Return the ``total``, weighted, and each term's value, not weighted, as numbers."""
        return {"total": float(self.total.detach()), **{name: float(v.detach()) for name, v in self.values.items()}}


class WeightedSum(nn.Module):
    """A loss that is the weighted sum of named terms.

    The perceptual network runs once for each distinct view; each term is handed the features of its own.

    Args:
        vgg: The perceptual network; its layers must include those of the terms.
        terms: The summands. One of a name that came before takes the other's place. One without weight is left
            out, unless it is one of :data:`FIGURES`.

    Attributes:
        terms: The summands by name.
    """

    def __init__(self, vgg: VGG, terms: Iterable[Term]) -> None:
        super().__init__()
        self.vgg = vgg
        counting = {term.name: term for term in terms if term.weight.value or term.name in FIGURES}
        self.terms = cast("Mapping[str, Term]", nn.ModuleDict(counting))

    def features(self, image: Tensor, *, window: Window | None = None) -> dict[str, Tensor]:
        """All of a picture's activations that the terms look at, labeled by view; gradients flow to the picture."""
        terms = list(self.terms.values())
        return self._activations(_look(terms, image, window), terms)

    @torch.no_grad()
    def content_targets(self, photo: Tensor, *, window: Window | None = None) -> dict[str, Tensor]:
        """The photo's activations that :meth:`forward` compares with, labeled by view."""
        terms = [term for term in self.terms.values() if term.against == "photo"]
        return self._activations(_look(terms, photo, window), terms)

    def forward(
        self,
        image: Tensor,
        targets: Mapping[str, Tensor],
        *,
        features: Mapping[str, Tensor] | None = None,
        window: Window | None = None,
        photo: Tensor | None = None,
        draw: Callable[[Tensor], Tensor] | None = None,
        motion: Motion | None = None,
        progress: float = 1.0,
    ) -> LossTerms:
        """Score a picture.

        Args:
            image: (N, 3, H, W), RGB in [0, 1]; gradients flow to it.
            targets: :meth:`content_targets` of the photo it was made from, through the same window.
            features: :meth:`features` of the picture through the same window, if they are at hand.
            window: The part of the picture that counts, for the terms that do not look at the whole.
            photo: The photo, (N, 3, H, W), for the terms that need it.
            draw: The network in training, for the terms that draw more pictures with it.
            motion: Of the whole photo, for the term that compares two views.
            progress: Of the training, 0.0 to 1.0: decides the weights that rise.

        Raises:
            InputError: A term lacks what it needs: units, the photo, the network or a motion.
        """
        terms = list(self.terms.values())
        images = _look(terms, image, window)
        photos = _look(terms, photo, window) if photo is not None else {}
        if features is None:
            features = self._activations(images, terms)
        values = {}
        weights = {name: term.weight_at(progress) for name, term in self.terms.items()}
        for name, term in self.terms.items():
            if not weights[name] and name not in FIGURES:  # not yet
                values[name] = image.new_zeros(())
                continue
            compared = _of(term, targets) if term.against == "photo" else {}
            seen = Seen(images[term.view], _of(term, features), compared, photos.get(term.view), draw, motion)
            values[name] = term(seen)
        return LossTerms(values, weights)

    def _activations(self, images: Mapping[View, Tensor], terms: Sequence[Term]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for view, image in images.items():
            layers = dict.fromkeys(layer for term in terms if term.view == view for layer in term.layers)
            if layers:
                found |= {view.label(layer): maps for layer, maps in self.vgg(image, layers).items()}
        return found


def _look(terms: Iterable[Term], image: Tensor, window: Window | None) -> dict[View, Tensor]:
    return {view: view(image, window) for view in dict.fromkeys(term.view for term in terms)}


def _of(term: Term, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pick a term's activations, by layer."""
    return {layer: activations[term.view.label(layer)] for layer in term.layers}


class PerceptualLoss(WeightedSum):
    """The objective of a picture against one photo and one painting (or several).

    The paintings' targets are made once, here, and kept in non-persistent buffers.

    Args:
        vgg: The perceptual network; its layers must include the objective's.
        styles: Paintings, each (1, 3, H, W), RGB in [0, 1], already at the size that sets the strokes.
        objective: Layers and weights.
        style_shares: Share of each painting in the target, or None for equal ones.
        calibration: What raw photos score, or None: then :meth:`calibrate` must come before a balanced loss.

    Raises:
        InputError: There is no painting, or the number of shares is not that of the paintings.
        LayerError: The network lacks one of the objective's layers.

    Reference:
        Johnson, Alahi and Fei-Fei 2016, section 3.2.

    Differs from the paper:
        ``balanced`` weighing, average pooling, replicate padding, a VGG-19 where Johnson et al. have a VGG-16, and
        several paintings.
    """

    def __init__(
        self,
        vgg: VGG,
        styles: Sequence[Tensor],
        objective: Objective | None = None,
        *,
        style_shares: Sequence[float] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        objective = objective or Objective()
        super().__init__(vgg, picture_terms(objective))
        self.objective = objective
        shares = list(style_shares) if style_shares is not None else [1.0] * len(styles)
        if not styles or len(shares) != len(styles) or min(shares) < 0 or sum(shares) <= 0:
            raise InputError(f"{len(shares)} shares for {len(styles)} paintings; expected one from 0 up for each")
        self._take_paintings(styles, [share / sum(shares) for share in shares])
        self.calibration = calibration
        if calibration is not None:
            self._take_units(calibration)

    @torch.no_grad()
    def _take_paintings(self, styles: Sequence[Tensor], shares: Sequence[float]) -> None:
        terms = [term for term in self.terms.values() if term.against == "painting"]
        looks = [_look(terms, style, None) for style in styles]
        features = [self._activations(images, terms) for images in looks]
        for term in terms:
            paintings = [
                Seen(images[term.view], _of(term, found)) for images, found in zip(looks, features, strict=True)
            ]
            term.take_paintings(paintings, shares)

    @torch.no_grad()
    def calibrate(self, photos: Sequence[Tensor]) -> Calibration:
        """Measure what unstyled photos score, keep it, and return it.

        Args:
            photos: Each (N, 3, H, W), RGB in [0, 1].

        Raises:
            InputError: There are no photos.
        """
        if not photos:
            raise InputError("no photos to calibrate the balanced loss on")
        terms = list(self.terms.values())
        units = {term.name: dict.fromkeys(term.shares, 0.0) for term in terms}
        for photo in photos:
            images = _look(terms, photo, None)
            features = self._activations(images, terms)
            for term in terms:
                seen = Seen(images[term.view], _of(term, features))
                for part in term.shares:
                    units[term.name][part] += term.unstyled(part, seen).item() / len(photos)
        self.calibration = Calibration.measured(units)
        self._take_units(self.calibration)
        return self.calibration

    def _take_units(self, calibration: Calibration) -> None:
        for name, term in self.terms.items():
            term.units = calibration.units(name)

    def lattice(self, features: Mapping[str, Tensor], *, cell: int) -> Tensor:
        """The lattice of a picture at the style layers, see :class:`~fast_style.losses.terms.grids.Lattice`.

        Args:
            features: :meth:`features` of the picture.
            cell: Its side, px.
        """
        value: Tensor = Lattice(1.0, self.objective.style_layers, cell=cell)(Seen(torch.zeros(()), features))
        return value


def picture_terms(objective: Objective) -> list[Term]:
    """Make the terms of an objective, without targets."""
    return [make(objective) for make in PICTURE_TERMS]


def load_vgg(source: str | Path, objective: Objective) -> VGG:
    """Load the perceptual network that an objective looks through; ``source`` as for :func:`load_vgg_weights`.

    Raises:
        WeightsError: The weights cannot be had.
        LayerError: The network lacks one of the objective's layers.
    """
    layers = list(
        dict.fromkeys(
            layer
            for term in picture_terms(objective)
            if term.weight.value or term.name in FIGURES
            for layer in term.layers
        )
    )
    vgg = VGG(load_vgg_weights(source), layers, pooling=objective.pooling, padding=objective.padding)
    return vgg.to(memory_format=torch.channels_last)
