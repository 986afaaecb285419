"""A term: one summand of the loss, with its name, weight, layers, targets and units."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.losses.second_view import Motion


@dataclass(frozen=True)
class Weight:
    """The factor of a term's value: constant, rising during training, or zero until late in it.

    Attributes:
        value: The full weight, from 0 up.
        first: Share of the full weight at the start, 0 to 1.
        until: Progress, 0 to 1, at which the linear rise to the full weight ends; 0 is constant.
        since: Progress, 0 to 1, before which the weight is zero.
    """

    value: float
    first: float = 1.0
    until: float = 0.0
    since: float = 0.0

    def at(self, progress: float) -> float:
        """Return the weight at a progress from 0.0, the first step, to 1.0, the last."""
        if progress < self.since:
            return 0.0
        if progress >= self.until:
            return self.value
        return self.value * (self.first + (1 - self.first) * progress / self.until)


@dataclass(frozen=True)
class Seen:
    """What a term is shown: pictures and what belongs to them, all of the part that it looks at, h by w.

    Attributes:
        image: (N, 3, h, w), RGB in [0, 1]: the stylized pictures; gradients flow to them.
        features: Activations of the pictures by layer, each (N, C, h / s, w / s) with the layer's stride s.
        targets: The photos' activations by layer, of the same shapes, for a term that compares with the photo.
        photo: (N, 3, h, w), RGB in [0, 1]: the photos, or None.
        draw: The network in training, (N, 3, H, W) in [0, 1] to the same shape, or None.
        motion: From this view of the whole scene to a second one, or None.
        seed: Seed of the places that are drawn.
    """

    image: Tensor
    features: Mapping[str, Tensor]
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    photo: Tensor | None = None
    draw: Callable[[Tensor], Tensor] | None = None
    motion: Motion | None = None
    seed: int = 0


class Term(nn.Module):
    """One summand of the loss.

    It is a weighted mean over parts, which are layers, or one part with the term's name::

        value = Σ share · distance(part) / unit(part)

    To add a term, write a class with a name and a :meth:`distance` in a file of ``terms/``, and list it in
    :data:`~fast_style.losses.loss.PICTURE_TERMS`. Keep targets in non-persistent buffers.

    Args:
        weight: Factor of the value in the sum.
        shares: The share of each part, which sum to one; None is a single part.
        layers: Layers of the perceptual network that it looks at; empty for a term of pixels.
        balanced: Whether distances are divided by :attr:`units`.

    Attributes:
        name: Its name in figures, files and messages.
        whole: It looks at the whole picture, whatever the window, and at no layers.
        against: What it compares the picture with: its photo, the painting, or nothing.
        units: Scores of unstyled photos by part, above 0; None if they were not measured.
    """

    name: str
    whole: bool = False
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
        """Score one part of the pictures, before division by its unit: a float32 scalar, 0 at best."""
        raise NotImplementedError

    def unstyled(self, part: str, seen: Seen) -> Tensor:
        """Measure the unit of one part: the score of photos that are not stylized, a float32 scalar."""
        return self.distance(part, seen)

    def take_painting(self, painting: Seen) -> None:
        """Compute the targets from the painting, with N = 1, once."""

    def forward(self, seen: Seen) -> Tensor:
        """Score pictures in the term's unit, unweighted: a float32 scalar.

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

    def with_weight(self, weight: Weight) -> Self:
        """Return the same term with another weight; the two share their targets."""
        other = copy.copy(self)
        other.weight = weight
        return other
