"""A term: one summand of the loss, with its name, weight, layers, view, targets and unit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.losses.second_view import Motion
from fast_style.losses.views import Inside, View


@dataclass(frozen=True)
class Weight:
    """What a term's value is multiplied by: constant, rising over the training, or only late in it.

    Attributes:
        value: The full weight, from 0 up.
        first: Share of it that counts at the start.
        until: Progress, 0 to 1, from which all of it counts; it rises along a line. 0.0 is constant.
        since: Progress, 0 to 1, before which it does not count at all.
    """

    value: float
    first: float = 1.0
    until: float = 0.0
    since: float = 0.0

    def at(self, progress: float) -> float:
        """Return the weight at a progress from 0.0, the first step, to 1.0."""
        if progress < self.since:
            return 0.0
        if progress >= self.until:
            return self.value
        return self.value * (self.first + (1 - self.first) * progress / self.until)


@dataclass(frozen=True)
class Seen:
    """What a term is shown of a picture, all in the term's own view.

    Attributes:
        image: (N, 3, h, w), RGB in [0, 1]; gradients flow to it.
        features: Activations of the image, by layer.
        targets: Those of the photo that it was made from, for a term against the photo.
        photo: The photo itself, if it is at hand.
        draw: The network in training, from photos to pictures, if there is one.
        motion: From this view of the scene to a second one, if there is one.
    """

    image: Tensor
    features: Mapping[str, Tensor]
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    photo: Tensor | None = None
    draw: Callable[[Tensor], Tensor] | None = None
    motion: Motion | None = None


class Term(nn.Module):
    """One summand of the loss.

    Its value is a weighted mean over parts, which are layers, or a single one::

        value = Σ share · distance(part) / unit(part)

    A new term is a new class in a new file: a name, a :meth:`distance`, and an entry in
    :data:`~fast_style.losses.loss.PICTURE_TERMS`. Targets are kept in non-persistent buffers.

    Args:
        weight: What the value is multiplied by in the sum.
        shares: The parts and their shares, which sum to one; a single part by default.
        layers: Which of the perceptual network's layers it looks at; none for a term of pixels.
        balanced: Whether it is measured against what unstyled photos score; :attr:`units` must be set then.

    Attributes:
        name: By which it is known in figures, files and messages.
        view: What it looks at.
        against: What it compares the picture with: the photo that it was made from, the painting, or nothing.
        units: What unstyled photos score, by part; None if that was not measured.
    """

    name: str
    view: View = Inside()
    against: Literal["photo", "painting"] | None = None

    def __init__(
        self,
        weight: Weight,
        shares: Mapping[str, float] | None = None,
        *,
        layers: Sequence[str] = (),
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.shares = dict(shares) if shares is not None else {self.name: 1.0}
        self.layers = tuple(layers)
        self.balanced = balanced
        self.units: Mapping[str, float] | None = None

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Score one part of a picture, in no unit, a float32 scalar."""
        raise NotImplementedError

    def unstyled(self, part: str, seen: Seen) -> Tensor:
        """Measure the unit of one part: what a photo scores that nobody stylized."""
        return self.distance(part, seen)

    def take_paintings(self, paintings: Sequence[Seen], shares: Sequence[float]) -> None:
        """Make the targets from the paintings, once.

        Args:
            paintings: What is seen of each.
            shares: The share of each; they sum to one.
        """

    def forward(self, seen: Seen) -> Tensor:
        """Score a picture in the term's unit, unweighted, a float32 scalar.

        Raises:
            InputError: The term is balanced and has no units.
        """
        units = self.units if self.balanced else {}
        if units is None:
            raise InputError("the balanced loss has no units yet", hint="Call calibrate(photos) first.")
        value = seen.image.new_zeros(()).float()
        for part, share in self.shares.items():
            value = value + share * self.distance(part, seen) / units.get(part, 1.0)
        return value

    def weight_at(self, progress: float) -> float:
        """Return the weight at a progress from 0.0, the first step, to 1.0."""
        return self.weight.at(progress)

    def with_weight(self, weight: Weight) -> Self:
        """Return the same term, sharing its targets, under another weight."""
        other = copy.copy(self)
        other.weight = weight
        return other


def mix(targets: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Return the mean of several paintings' targets, weighted by shares that sum to one."""
    return sum((target * share for target, share in zip(targets, shares, strict=True)), start=targets[0].new_zeros(()))
