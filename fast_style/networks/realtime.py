"""The real-time networks, which do most of the work at an eighth of the picture's size."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.networks.accents import Accents
from fast_style.networks.coring import Coring
from fast_style.networks.depthwise import depthwise
from fast_style.networks.transformer import Places, TransformerNetwork


class ConvNormBlock(nn.Module):
    """A convolution, instance normalization, and by default a ReLU.

    Zeros are padded, which is fastest, except for a convolution in ``groups``, for which the caller pads.

    Reference:
        Ulyanov, Vedaldi and Lempitsky 2017, equation 2: instance normalization, the only layer that looks at the whole
        picture.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel - stride + 1) // 2 if groups == 1 else 0
        # No bias: the normalization would remove it.
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.InstanceNorm2d(outputs, affine=True)
        self.relu = relu

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        convolved = self.conv(features) if self.conv.groups == 1 else depthwise(features, self.conv)
        out: Tensor = self.norm(convolved)
        return F.relu(out) if self.relu else out


class InvertedResidualBlock(nn.Module):
    """Widen, convolve depthwise with 5×5, narrow again, and add the input.

    Beside two full 3×3 convolutions: a fifth of the arithmetic, a wider view, and an objective that is 2 % higher.

    Reference:
        Sandler et al. 2018, section 3.3.

    Differs from the paper:
        Instance normalization, a 5×5 kernel, twice instead of six times the channels, and ReLU instead of ReLU6,
        whose bound serves low-precision arithmetic on batch-normalized features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = channels * 2
        self.widen = ConvNormBlock(channels, wide, 1)
        self.look = ConvNormBlock(wide, wide, 5, groups=wide)
        self.narrow = ConvNormBlock(wide, channels, 1, relu=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        # Reflection before widening, where it is cheapest. Zeros, at an eighth of the size, would show as frames 80 px
        # deep; repeated edges would look flat.
        padded = F.pad(features, (2,) * 4, mode="reflect")
        wide = self.look(self.widen(padded))
        out: Tensor = features + self.narrow(wide)
        return out


class Noise(nn.Module):
    """Add one map of fixed noise to all channels, with a learned scale for each.

    Where a photo is flat, convolutions alone repeat one cell: dots on a lattice. Noise gives strokes a place to begin.
    It is the same for every picture, so a still film does not flicker; where a camera moves,
    :class:`fast_style.films.motion.MotionTracker` moves it along. ``scale`` is the standard deviation of the initial
    scales.

    Reference:
        Karras et al. 2019 ("A style-based generator architecture"), section 3.2.

    Differs from the paper:
        Uniform in (-1, 1) instead of normal, a tile of 64×64 repeated, and scales that do not begin at zero.
    """

    SIDE = 64

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale * torch.randn(1, channels, 1, 1))
        # NumPy guarantees this generator's numbers, so they need not be stored with the weights.
        tile = np.random.RandomState(0).uniform(-1, 1, (1, 1, self.SIDE, self.SIDE))
        self.tile: Tensor
        self.register_buffer("tile", torch.from_numpy(tile).float(), persistent=False)

    def forward(self, features: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
        """Add noise to (N, channels, H, W); ``origin`` is its row and column in the whole picture, in cells."""
        height, width = features.shape[-2:]
        tile = self.tile if origin == (0, 0) else self.tile.roll((-origin[0], -origin[1]), (2, 3))
        noise = tile.repeat(1, 1, height // self.SIDE + 1, width // self.SIDE + 1)[..., :height, :width]
        return features + self.scale * noise


class SmoothShuffle(nn.Module):
    """A pixel shuffle by 2 to three channels, filtered so that it draws no mesh.

    The filter is (-1, 5, 5, -1) / 8 down and across. Its even taps have the same sum as its odd ones, so flat features
    become flat pictures as behind :func:`average_phases`. But where a mean of two pixels leaves 0.71 of the amplitude
    of a pattern of 4 px, this leaves 1.06, and 0.88 instead of 0.5 of one of 3 px.

    It is a convolution of the phases, then a shuffle: faster than one transposed convolution of 5×5.
    """

    def __init__(self) -> None:
        super().__init__()
        # What each of two pixels takes, along one side, from both phases of the cell before, its own and the next.
        line = torch.tensor([[[0.0, 5, -1], [-1, 5, 0]], [[0, -1, 5], [0, 5, -1]]]) / 8
        kernel = torch.einsum("prk,qsl->pqrskl", line, line).reshape(4, 4, 3, 3)
        self.filter: Tensor
        of_channels = torch.einsum("cd,pqkl->cpdqkl", torch.eye(3), kernel).reshape(12, 12, 3, 3)
        self.register_buffer("filter", of_channels, persistent=False)
        self.shuffle: Tensor
        self.register_buffer("shuffle", torch.eye(12).reshape(12, 3, 2, 2), persistent=False)

    def forward(self, phases: Tensor) -> Tensor:
        """(N, 12, H, W) to (N, 3, 2H, 2W)."""
        return F.conv_transpose2d(F.conv2d(phases, self.filter, padding=1), self.shuffle, stride=2)


def upsampling(inputs: int, outputs: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """Make an upsampling by 2, a pixel shuffle that runtimes are faster at; it starts as nearest-neighbor.

    It takes one row and column of cells more at the start, of which it computes one pixel: 2n - 1 pixels of n cells.
    :func:`average_phases` takes that pixel away again.
    """
    layer = nn.ConvTranspose2d(inputs, outputs, 2, 2, padding=1, output_padding=1, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[..., :1, :1].clone())
    return layer


def average_phases(features: Tensor) -> Tensor:
    """Average squares of 2×2 pixels around each corner: (N, C, H, W) to (N, C, H - 1, W - 1).

    An upsampling by 2 has weights of its own for each of the four pixels of a cell, its phases. If they differ, flat
    features become a mesh. Each of these squares holds every phase once, so flat features stay flat whatever the
    weights.

    Reference:
        Sugawara et al. 2018 ("Super-resolution using convolutional neural networks without any checkerboard
        artifacts"), section 3: an upsampling by U followed by a hold of length U has no checkerboard.
    """
    return F.avg_pool2d(features, 2, 1)


class HalfSizeEnd(nn.Module):
    """From 1/4 of the size to the picture through 1/2, where the photo is added once more, for crisp edges.

    A pixel shuffle by 4 is linear: each cell is a mixture of as many patterns as there are channels. A ReLU at half the
    size can draw an edge anywhere in a cell, and takes a tenth of the arithmetic.
    """

    def __init__(self, quarter: int, half: int) -> None:
        super().__init__()
        self.photo = nn.Conv2d(3, half, 4, 2, 1)
        self.up = upsampling(quarter, half, bias=False)
        self.norm = nn.InstanceNorm2d(half, affine=True)
        self.merge = ConvNormBlock(half, half, 3)
        self.head = nn.Conv2d(half, 3 * 2 * 2, 3, padding=1)
        initialize_smooth_shuffle(self.head)
        self.coring: Coring | None = None
        self.accents: Accents | None = None
        self.shuffle = SmoothShuffle()

    def forward(self, features: Tensor, image: Tensor) -> Tensor:
        """Features, (N, quarter, H / 4, W / 4), and a photo, (N, 3, H, W), to (N, 3, H, W) before the sigmoid."""
        up = average_phases(self.up(F.pad(features, (1, 0, 1, 0), mode="reflect")))
        halved = self.norm(up + self.photo(image))
        phases = self.head(self.merge(F.relu(halved)))
        if self.coring is not None:
            phases = self.coring(phases)
        if self.accents is not None:
            phases = self.accents(phases, image)
        picture: Tensor = self.shuffle(phases)
        return picture


class RealtimeNetwork(TransformerNetwork):
    """A strided stem to 1/4, residual blocks at 1/8, a skip at 1/4, and an end through 1/2 to full size.

    ``quarter``, ``eighth`` and ``half`` are numbers of channels at these sizes, ``blocks`` that of the residual blocks.
    """

    stride = 8
    margin = 8
    # Cells of 8 px padded around the features of the blocks. Mirrored features are not those of a mirrored picture:
    # without padding, the outer 50 px are pale and woven. Three cells prevent that, for 7 % more time.
    AROUND = 3

    def __init__(self, *, quarter: int, eighth: int, blocks: int, half: int) -> None:
        super().__init__()
        self.stem = ConvNormBlock(3, quarter, 8, 4)
        self.down = ConvNormBlock(quarter, eighth, 3, 2)
        self.noise = Noise(eighth, 0.5)
        self.blocks = nn.Sequential(*(InvertedResidualBlock(eighth) for _ in range(blocks)))
        self.up = upsampling(eighth, quarter)
        # Noise at 1/8 alone would let strokes begin at every eighth pixel only.
        self.fine_noise = Noise(quarter, 0.3)
        self.merge = ConvNormBlock(quarter, quarter, 3)
        self.end = HalfSizeEnd(quarter, half)

    def transform(self, image: Tensor, places: Places) -> Tensor:
        """Stylize (N, 3, H, W) in [0, 1] to the same shape; a sigmoid keeps the output in (0, 1)."""
        origin, fine_origin = places
        quarter = self.stem(image)
        features = self.down(quarter)
        # The outer ring of cells lies in the margin, where zeros were padded. Its neighbors replace it, so that no zero
        # reaches the picture.
        features = F.pad(features[..., 1:-1, 1:-1], (1,) * 4, mode="reflect")
        # A separate step: the smallest picture has two cells, and a reflection must add fewer cells than there are.
        features = F.pad(features, (self.AROUND,) * 4, mode="reflect")
        features = self.blocks(self.noise(features, origin))
        first, last = self.AROUND - 1, -self.AROUND  # one cell more at the start, see upsampling()
        up = average_phases(self.up(features[..., first:last, first:last]))
        features = self.fine_noise(up + quarter, fine_origin)
        picture: Tensor = self.end(self.merge(features), image)
        return picture.sigmoid()

    def set_finish(self, *, coring: bool, accents: bool) -> None:
        """Add or take away the parts that networks are trained without."""
        self.end.coring = Coring() if coring else None
        self.end.accents = Accents() if accents else None

    def random_places(self, random: np.random.Generator) -> Places:
        """Move each map of noise separately, so that the network does not memorize their values."""
        (down, right), (fine_down, fine_right) = (-random.integers(0, Noise.SIDE, 2) for _ in range(2))
        return (int(down), int(right)), (int(fine_down), int(fine_right))


@torch.no_grad()
def initialize_smooth_shuffle(conv: nn.Conv2d) -> None:
    """Initialize a 3×3 convolution before a pixel shuffle by 2 as smooth upsampling, so that no grid must be unlearned.

    Each output pixel is the linear interpolation of the features at its place, in a random mixture of channels that all
    pixels of a cell share.

    Reference:
        Aitken et al. 2017 (ICNR), who initialize all pixels of a cell alike, as nearest-neighbor upsampling.
    """
    taps = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    mixture = nn.init.kaiming_uniform_(torch.empty(conv.out_channels // 4, conv.in_channels), a=math.sqrt(5))
    smooth = torch.einsum("ci,pk,ql->cpqikl", mixture, taps, taps)
    conv.weight.copy_(smooth.reshape(conv.weight.shape))
    assert conv.bias is not None
    conv.bias.zero_()
