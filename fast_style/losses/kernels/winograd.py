"""3×3 convolutions with a quarter of the multiplications, for frozen weights on a CPU.

On a laptop's processor, most of a training step is the perceptual network, in float32. As matrix products over tiles of
6×6 values, its deep convolutions take half the time of torch's.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

# Sides of the input and output tiles: F(4, 3) of the paper along both axes (section 4.2).
TILE, OUT = 6, 4
_INPUT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUT = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))


def _both_axes(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return one matrix over the flattened tile, where the paper has one for rows and one for columns."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).float()


TO_INPUT, TO_KERNEL, TO_OUTPUT = _both_axes(_INPUT), _both_axes(_KERNEL), _both_axes(_OUTPUT)
# Size of the rows of tiles that are computed at once, bytes: they should fit the processor's cache.
CACHE = 12 << 20
# Fewest channels and positions: below them, tiles cost more than they save.
CHANNELS, POSITIONS = 128, 256


def pays(features: Tensor, weight: Tensor) -> bool:
    """Whether tiles are faster for features (N, I, H, W) and a weight (O, I, 3, 3)."""
    wide = weight.shape[1] >= CHANNELS and weight.shape[0] > CHANNELS
    many = features.shape[0] * features.shape[2] * features.shape[3] >= POSITIONS
    return wide and many and features.device.type == "cpu" and features.dtype == weight.dtype == torch.float32


def transform(weight: Tensor) -> Tensor:
    """Prepare a weight: (O, I, 3, 3) to (36, I, O)."""
    outputs, inputs = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (TO_KERNEL @ taps).view(TILE * TILE, inputs, outputs)


class WinogradConv2d(Function):
    """A convolution with zero padding P, whose weight gets no gradient.

    Its arguments are features (N, I, H, W), the weight prepared by :func:`transform`, a function that returns the
    mirrored weight (:func:`mirror`) prepared likewise, called only for a gradient, and P. The result is
    (N, O, H + 2P - 2, W + 2P - 2), channels last in memory.

    Reference:
        Lavin and Gray 2016, sections 4 and 5.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, prepared: Tensor, mirrored: Any, padding: int) -> Tensor:
        """Convolve."""
        ctx.mirrored, ctx.padding = mirrored, padding
        return _convolve(features, prepared, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Convolve the gradient with the mirrored weight: the adjoint of a convolution."""
        return _convolve(gradients[0], ctx.mirrored(), 2 - ctx.padding), None, None, None


def mirror(weight: Tensor) -> Tensor:
    """Return the weight of the adjoint: (O, I, 3, 3) to (I, O, 3, 3)."""
    return weight.flip(2, 3).transpose(0, 1)


def _convolve(features: Tensor, prepared: Tensor, padding: int) -> Tensor:
    batch, inputs, height, width = features.shape
    outputs = prepared.shape[2]
    wanted = (height + 2 * padding - 2, width + 2 * padding - 2)
    down, across = (-(-side // OUT) for side in wanted)
    right, below = OUT * across + 2 - width - padding, OUT * down + 2 - height - padding
    padded = F.pad(features, (padding, right, padding, below)).contiguous(memory_format=torch.channels_last)
    n, c, y, x = padded.stride()
    result = padded.new_empty(batch, OUT * down, OUT * across, outputs)
    rows = max(1, CACHE // (padded.element_size() * TILE * TILE * batch * across * max(inputs, outputs)))
    for top in range(0, down, rows):
        count = min(rows, down - top)
        shape, stride = (TILE, TILE, batch, count, across, inputs), (y, x, n, OUT * y, OUT * x, c)
        tiles = padded.as_strided(shape, stride, OUT * top * y)
        transformed = (TO_INPUT @ tiles.reshape(TILE * TILE, -1)).view(TILE * TILE, -1, inputs)
        products = torch.bmm(transformed, prepared)
        blocks = (TO_OUTPUT @ products.view(TILE * TILE, -1)).view(OUT, OUT, batch, count, across, outputs)
        run = result[:, OUT * top : OUT * (top + count)]
        run.view(batch, count, OUT, across, OUT, outputs).copy_(blocks.permute(2, 3, 0, 4, 1, 5))
    return result[:, : wanted[0], : wanted[1]].permute(0, 3, 1, 2)
