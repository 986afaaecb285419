"""What repeats with a network's cells: a grid in the pixels, a lattice in the features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.losses.term import Seen, Term, Weight
from fast_style.losses.vgg import layer_stride
from fast_style.losses.views import Whole

# About what rounding to 255 levels adds to a picture's variance, and three times that.
_ROUNDING = 4e-6


def pixel_grid(image: Tensor, *, cell: int = 8, window: int = 8) -> Tensor:
    """Strength of a grid with a period of ``cell`` px or a divisor of it, a float32 scalar; 0.0 without one.

    What a network that ends in a pixel shuffle draws too easily: pixels at the same place of every cell agree
    in being brighter or darker than those beside them. So fine detail is averaged by place in the cell, over
    windows of several cells. Strokes cancel there, a grid adds up; its variance over the cell is returned.

    Args:
        image: (N, C, H, W), sides of at least ``cell · window`` px for a windowed result; smaller pictures
            are one window.
        cell: Period, px.
        window: Side of a window, in cells.
    """
    grids, _ = _grids_and_details(image, cell, window)
    return grids.mean()


def weave(image: Tensor, *, cell: int = 8, window: int = 8) -> Tensor:
    """How much of the fine detail is a grid, a float32 scalar: 1.0 if all of it is, wherever a picture is flat.

    :func:`pixel_grid` as a share of the variance of the detail in the same window. Among strokes a grid of one level
    of 255 is not seen; in a sky it is a weave. Strokes score what chance leaves, one over the number of cells. The
    variance is taken as given: more noise around a grid is no way out.

    Args:
        image: (N, C, H, W), RGB in [0, 1].
        cell: Period, px.
        window: Side of a window, in cells.
    """
    grids, details = _grids_and_details(image, cell, window)
    return (grids / (details.detach() + _ROUNDING)).mean()


def _grids_and_details(image: Tensor, cell: int, window: int) -> tuple[Tensor, Tensor]:
    """The variance over the places of a cell, and of all of the detail, each (N, C, windows)."""
    image = image.float()
    # Slow changes, such as a sky's, are not a grid: subtract the local mean.
    detail = image - F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    height, width = image.shape[-2] // cell * cell, image.shape[-1] // cell * cell
    places = F.pixel_unshuffle(detail[..., :height, :width], cell)
    window = min(window, *places.shape[-2:])

    def means(values: Tensor) -> Tensor:
        pooled = F.avg_pool2d(values, window, stride=max(1, window // 2))
        return pooled.reshape(image.shape[0], image.shape[1], cell * cell, -1)

    own = means(places)
    variance = means(places.square()).mean(dim=2) - own.mean(dim=2).square()
    return own.var(dim=2, correction=0), variance.clamp(min=0.0)


def lattice(features: Tensor, *, cell: int) -> Tensor:
    """How far a layer's mean response depends on the place within a cell, a float32 scalar; 0.0 if it does not.

    What :func:`pixel_grid` does not see: a dot or stroke at the same place of every cell. If some are dark, some
    light, some missing, they cancel in a mean of pixels, but not in one of features, which answer to any edge or dot.
    A photo or a painting scores what chance leaves, about one over the number of cells.

    Args:
        features: (N, C, H, W) activations, sides of at least ``cell``.
        cell: Its side, in positions of this layer.

    Returns:
        The variance over the places of a cell of each channel's mean over all cells, as a share of the channel's
        variance; the mean of the channels and pictures.
    """
    rows, columns = features.shape[-2] // cell, features.shape[-1] // cell
    # Channels last, as they lie in memory in training, and one axis at a time: a quarter of the time.
    positions = features[..., : rows * cell, : columns * cell].permute(0, 2, 3, 1)
    cells = positions.view(len(positions), rows, cell, columns, cell, -1)
    means = cells.mean(dim=1, dtype=torch.float32).mean(dim=2)
    # Five times as fast in bfloat16 as vector_norm with dtype=float32.
    squares = positions.detach().flatten(1, 2).float().square().sum(dim=1)
    variance = squares / (rows * columns * cell**2) - means.detach().mean(dim=(1, 2)).square()
    variance = variance.clamp(min=0.0)  # rounded, a constant's could be negative
    # Some channels hardly ever respond.
    share: Tensor = means.var(dim=(1, 2), correction=0) / (variance + 0.01 * variance.mean(dim=1, keepdim=True))
    return share.mean()


class PixelGrid(Term):
    """The grid in a network's pictures, up to their borders.

    Args:
        weight: Its weight.
        cell: The network's stride, px.
    """

    name = "grid"
    view = Whole()

    def __init__(self, weight: float, *, cell: int) -> None:
        super().__init__(Weight(weight))
        self.cell = cell

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Measure the picture."""
        return pixel_grid(seen.image, cell=self.cell)


class Weave(PixelGrid):
    """The share of the fine detail that is a grid, up to the picture's borders."""

    name = "weave"

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Measure the picture."""
        return weave(seen.image, cell=self.cell)


class Lattice(Term):
    """The lattice in the features of a picture, the mean of some layers.

    Args:
        weight: Its weight.
        layers: Where to look. A layer with one position a cell, or fewer, cannot tell, and is left out.
        cell: The network's stride, px.
    """

    name = "lattice"

    def __init__(self, weight: float, layers: Sequence[str], *, cell: int) -> None:
        sides = {layer: cell // layer_stride(layer) for layer in layers}
        telling = tuple(layer for layer, side in sides.items() if side > 1)
        super().__init__(Weight(weight), dict.fromkeys(telling, 1 / max(1, len(telling))), layers=telling)
        self.sides = sides

    def distance(self, part: str, seen: Seen) -> Tensor:
        """Measure one layer."""
        return lattice(seen.features[part], cell=self.sides[part])
