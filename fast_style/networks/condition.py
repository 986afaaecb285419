"""What a network is told beside the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

Origin = tuple[int, int]


@dataclass(frozen=True)
class Statistics:
    """What a normalization layer found, or is to take, each (N or 1, C, 1, 1)."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Condition:
    """What a network is told beside the picture: always an argument of ``forward``, never state of a module.

    The default says nothing: a whole picture, with its own statistics. Sets of scales and shifts will be one more
    mapping with the names of ``statistics``, read in the same place, the normalization layer.

    Attributes:
        origin: Row and column, px, of the picture's top left corner in the whole picture that it is a tile of. The
            noise lies still in the whole picture. A multiple of the network's stride.
        fine_origin: The same for the fine map of noise alone, which training moves by itself; None takes ``origin``.
        statistics: Mean and variance by the name of the normalization layer, such as ``stem.norm``. Layers that are
            not named take those of the picture.
    """

    origin: Origin = (0, 0)
    fine_origin: Origin | None = None
    statistics: Mapping[str, Statistics] = field(default_factory=dict)

    def part(self, name: str) -> Condition:
        """What the part of that name is told: the names of its layers begin at the part."""
        if not self.statistics:
            return self
        prefix = f"{name}."
        inner = {key.removeprefix(prefix): value for key, value in self.statistics.items() if key.startswith(prefix)}
        return replace(self, statistics=inner)
