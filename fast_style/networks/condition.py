"""What a network is given besides the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

Origin = tuple[int, int]


@dataclass(frozen=True)
class Affine:
    """Scale and shift of a normalization layer's channels, each (N or 1, C)."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Condition:
    """What a network is given besides the picture: an argument of ``forward``, never state of a module.

    The default is a whole picture with its own statistics, in the network's own style.

    Attributes:
        origin: Row and column, px, of a tile's top left corner in the whole picture, in which the noise lies still.
            Multiples of the network's stride.
        fine_origin: The same for the fine map of noise, which training moves separately; None is ``origin``.
        affines: Scale and shift by the name of the normalization layer, such as ``stem.norm``: the style. Other layers
            take their own.
    """

    origin: Origin = (0, 0)
    fine_origin: Origin | None = None
    affines: Mapping[str, Affine] = field(default_factory=dict)

    def part(self, name: str) -> Condition:
        """Return the condition of a submodule, in which names of layers are relative to it."""
        if not self.affines:
            return self
        prefix = f"{name}."
        affines = {key.removeprefix(prefix): v for key, v in self.affines.items() if key.startswith(prefix)}
        return replace(self, affines=affines)

    def layer(self, name: str) -> Affine | None:
        """Return the affine of a normalization layer, or None for its own."""
        return self.affines.get(name)
