"""3×3 convolutions with a quarter of the multiplications, for frozen weights on a CPU.

A laptop's processor has no short number format to train in, and the perceptual network is most of a step. Its deep
convolutions, as matrices over tiles of 6×6 values, take half the time that the library's direct ones take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

# Six by six values in, four by four out: F(4, 3) of the paper in both directions (section 4.2).
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
    """One matrix over the flattened tile, where the paper has one for its rows and one for its columns."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).float()


TO_INPUT, TO_KERNEL, TO_OUTPUT = _both_axes(_INPUT), _both_axes(_KERNEL), _both_axes(_OUTPUT)
# Tiles are taken in runs of rows whose values fit the processor's cache, bytes.
CACHE = 12 << 20
# Where it pays: with fewer channels or positions the tiles cost more than they save.
CHANNELS, POSITIONS = 128, 256


_allowed = ContextVar("allowed", default=True)


@contextmanager
def directly() -> Iterator[None]:
    """Convolve as it is defined meanwhile: for those who look at single operations."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)


def pays(features: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of these features (N, I, H, W) by this weight (O, I, 3, 3) is faster by tiles."""
    wide = weight.shape[1] >= CHANNELS and weight.shape[0] > CHANNELS
    many = features.shape[0] * features.shape[2] * features.shape[3] >= POSITIONS
    return (
        _allowed.get()
        and wide
        and many
        and features.device.type == "cpu"
        and features.dtype == weight.dtype == torch.float32
    )


def transform(weight: Tensor) -> Tensor:
    """Prepare a weight: (O, I, 3, 3) to (36, I, O)."""
    outputs, inputs = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    return (TO_KERNEL @ taps).view(TILE * TILE, inputs, outputs)


class WinogradConv2d(Function):
    """A convolution with padding, whose weight gets no gradient.

    Its arguments are features (N, I, H, W), the weight as :func:`transform` prepares it, a function that returns the
    mirrored weight of :func:`mirror` so prepared, which is called only for a gradient, and the padding, of zeros.
    It returns (N, O, H + 2P - 2, W + 2P - 2), channels last in memory.

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
        """Convolve the gradient by the mirrored weight, which is what a convolution's adjoint is."""
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
    made = padded.new_empty(batch, OUT * down, OUT * across, outputs)
    rows = max(1, CACHE // (padded.element_size() * TILE * TILE * batch * across * max(inputs, outputs)))
    for top in range(0, down, rows):
        count = min(rows, down - top)
        shape, stride = (TILE, TILE, batch, count, across, inputs), (y, x, n, OUT * y, OUT * x, c)
        tiles = padded.as_strided(shape, stride, OUT * top * y)
        given = (TO_INPUT @ tiles.reshape(TILE * TILE, -1)).view(TILE * TILE, -1, inputs)
        products = torch.bmm(given, prepared)
        blocks = (TO_OUTPUT @ products.view(TILE * TILE, -1)).view(OUT, OUT, batch, count, across, outputs)
        run = made[:, OUT * top : OUT * (top + count)]
        run.view(batch, count, OUT, across, OUT, outputs).copy_(blocks.permute(2, 3, 0, 4, 1, 5))
    return made[:, : wanted[0], : wanted[1]].permute(0, 3, 1, 2)
