"""Coring: faint detail is removed from pictures in the style of a flat painting."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Before the sigmoid: 2 to 8 levels of a picture's 255.
THRESHOLD = 0.12
# A painting is flat if a tenth of it is fainter than this. Udnie and The Great Wave have less than 0.05; The Shipwreck
# (0.064) and The Scream (0.094), where brush and cardboard show everywhere, lose by coring.
FLAT, SHARE = 0.055, 0.1
# A painting has grain if a tenth of it is no fainter than the first. Smoothed, The Starry Night (0.203), Self-Portrait
# (0.240), The Night Café (0.238) and Wheat Field (0.125) are chosen over themselves as they are, and Water Lilies
# (0.115) and Composition VII (0.110) are not. Prints (0.6) are stronger than the second: their lines and dots are no
# grain.
GRAIN, PRINT = 0.12, 0.4
# Phases of a pixel shuffle by 2, and side of the square of cells in which strength is measured.
_PHASES, _AROUND = 4, 3
# Least distance of a painting's pixels from black and white: there the sigmoid has no inverse.
_LEAST = 2 / 255


class Coring(nn.Module):
    """Leave out the finest part of a picture where it is faint, before the pixel shuffle and the sigmoid.

    Where a photo is flat, what is left of it is its grain, which the networks sample every second and every fourth
    pixel: a faint mesh. Edges and strokes are far stronger, and stay as they are.

    It is added to a network that was trained without it: trained through it, the mesh becomes three times as strong.

    Of four phases of three channels, the finest part is what differs from the mean of the phases, smoothed with
    (1, 2, 1) / 4. It is faint where its root mean square around a cell is below the threshold.

    Reference:
        Rossi 1978 ("Digital techniques for reducing television noise"): coring, there of each sample by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        kernel = _finest()
        self.finest: Tensor
        self.register_buffer("finest", kernel, persistent=False)
        # Stored with the weights, so that a file says whether its network has this part.
        self.energy: Tensor
        self.register_buffer("energy", torch.full((1, len(kernel), 1, 1), 1 / len(kernel) / THRESHOLD**2))

    def forward(self, features: Tensor) -> Tensor:
        """(N, 12, H, W) to the same shape."""
        fine = F.conv2d(features, self.finest, padding=1)
        # 1 up to the threshold, falling to 0 at 1.4 times that.
        energy = F.avg_pool2d(F.conv2d(fine * fine, self.energy), _AROUND, 1, _AROUND // 2)
        return features - (2 - energy).clamp(0, 1) * fine


def is_flat(painting: Tensor) -> bool:
    """Whether a painting, (1, 3, H, W), RGB in [0, 1], has flat places: its networks then take :class:`Coring`.

    Where canvas or brush show everywhere, what is faint in a picture looks like them, and without it like wax.
    """
    return _faintest(painting) < FLAT


def has_grain(painting: Tensor) -> bool:
    """Whether a painting, (1, 3, H, W), RGB in [0, 1], has strong grain everywhere, of which networks make a mesh.

    Its long side is 640 px: at another size, grain is of another strength.
    """
    return GRAIN <= _faintest(painting) <= PRINT


def _faintest(painting: Tensor) -> float:
    """The strength of the finest part that a tenth of a painting does not exceed."""
    height, width = (side // 2 * 2 for side in painting.shape[-2:])
    if min(height, width) < 2 * (_AROUND + 2):
        return math.inf  # too small to tell
    logits = painting[..., :height, :width].float().clamp(_LEAST, 1 - _LEAST).logit()
    fine = F.conv2d(F.pixel_unshuffle(logits, 2), _finest().to(logits))
    strength = F.avg_pool2d(fine.square().mean(dim=1, keepdim=True), _AROUND, 1).sqrt().flatten()
    return float(strength.sort().values[int(SHARE * len(strength))])


def _finest() -> Tensor:
    """The kernel of the finest part, (12, 12, 3, 3): three channels of four phases each."""
    taps = torch.tensor([0.25, 0.5, 0.25])
    phases = torch.full((_PHASES, _PHASES), 1 / _PHASES)
    mean = torch.block_diag(*[phases] * 3)
    kernel: Tensor = -mean[:, :, None, None] * torch.outer(taps, taps)
    kernel[..., 1, 1] += torch.eye(len(kernel))
    return kernel
