"""Views: which part of a picture a term looks at, and at what size."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

# The part of a step's pictures that counts, as an index into (N, 3, H, W).
Window = tuple[EllipsisType, slice, slice]


class View(Protocol):
    """Maps a picture to what a term scores of it. Views are hashable: what equal ones see is computed once."""

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Return what is seen of (N, 3, H, W), through which gradients flow.

        Args:
            image: The whole picture.
            window: The part of it that counts at this step; None is all of it.
        """
        ...

    def label(self, layer: str) -> str:
        """Name a layer's activations in this view, so that those of several views fit into one dictionary."""
        ...


@dataclass(frozen=True)
class Whole:
    """All of the picture, whatever the window."""

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Return the picture."""
        return image

    def label(self, layer: str) -> str:
        """Name a layer of the whole picture."""
        return f"{layer} of the whole"


@dataclass(frozen=True)
class Inside:
    """The part that counts, at full size or reduced.

    Attributes:
        reduction: 1 is full size, 2 half, 4 a quarter: the mean of so many px down and across.
    """

    reduction: int = 1

    def __call__(self, image: Tensor, window: Window | None) -> Tensor:
        """Cut and reduce."""
        part = image if window is None else image[window]
        return part if self.reduction == 1 else F.avg_pool2d(part, self.reduction)

    def label(self, layer: str) -> str:
        """Name a layer: at full size by its own name."""
        return layer if self.reduction == 1 else f"{layer} at 1/{self.reduction}"
