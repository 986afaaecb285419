"""What a network is told beside the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from torch import Tensor

Origin = tuple[int, int]
T = TypeVar("T")


@dataclass(frozen=True)
class Statistics:
    """What a normalization layer found, or is to take, each (N or 1, C, 1, 1)."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Affine:
    """The scale and shift that a normalization layer is to take in the place of its own, each (N or 1, C)."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Condition:
    """What a network is told beside the picture: always an argument of ``forward``, never state of a module.

    The default says nothing: a whole picture, with its own statistics, in the network's own style.

    Attributes:
        origin: Row and column, px, of the picture's top left corner in the whole picture that it is a tile of. The
            noise lies still in the whole picture. A multiple of the network's stride.
        fine_origin: The same for the fine map of noise alone, which training moves by itself; None takes ``origin``.
        statistics: Mean and variance by the name of the normalization layer, such as ``stem.norm``. Layers that are
            not named take those of the picture.
        affines: Scale and shift by the name of the layer: the style. Layers that are not named take their own.
    """

    origin: Origin = (0, 0)
    fine_origin: Origin | None = None
    statistics: Mapping[str, Statistics] = field(default_factory=dict)
    affines: Mapping[str, Affine] = field(default_factory=dict)

    def part(self, name: str) -> Condition:
        """What the part of that name is told: the names of its layers begin at the part."""
        if not self.statistics and not self.affines:
            return self
        return replace(self, statistics=_within(self.statistics, name), affines=_within(self.affines, name))

    def layer(self, name: str) -> tuple[Statistics | None, Affine | None]:
        """What the normalization layer of that name is told."""
        return self.statistics.get(name), self.affines.get(name)


def _within(values: Mapping[str, T], part: str) -> dict[str, T]:
    prefix = f"{part}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
