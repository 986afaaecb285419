"""Accents: a picture keeps a share of the photo's strong colors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.images import LUMA

# Distance from gray, in RGB from 0 to 1, at which half of a color counts as an accent.
STRONG = 0.25
# What is added before the sigmoid, in accents. Where a picture is of middle gray, a quarter of that comes through.
SHARE = 3.0
# Root mean square distance of a painting's colors from their mean, from which it has colors. Ink on paper and sepia
# have 0.01 to 0.04; the least colorful of the paintings that ship, apart from the engraving, 0.10.
COLORED = 0.06
# Phases of a pixel shuffle by 2.
_PHASES = 4


class Accents(nn.Module):
    """Add a share of the photo's strong colors to the picture, before the pixel shuffle and the sigmoid.

    A painting of few hues makes an orange suit and a blue flower equally gray, and the subject sinks into the ground.
    Faint colors are left out: a share of a pale sky would only be a tint.

    It is added to a network that was trained without it, so pictures are scored in the painting's colors.

    Reference:
        Gatys et al. 2016 ("Preserving color in neural artistic style transfer"), section 3.2, who take all colors from
        the photo.
    """

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([0.25, 0.5, 0.25])
        color = torch.eye(3) - torch.from_numpy(LUMA)
        self.color: Tensor
        self.register_buffer("color", color[..., None, None] * torch.outer(taps, taps), persistent=False)
        self.energy: Tensor
        self.register_buffer("energy", torch.ones(1, 3, 1, 1) / STRONG**2, persistent=False)
        # Stored with the weights, so that a file says whether its network has this part.
        self.spread: Tensor
        self.register_buffer("spread", SHARE * torch.eye(3).repeat_interleave(_PHASES, 0)[..., None, None])

    def forward(self, phases: Tensor, image: Tensor) -> Tensor:
        """Add to phases, (N, 12, H / 2, W / 2), the accents of a photo, (N, 3, H, W); the shape stays."""
        color = F.conv2d(image, self.color, stride=2, padding=1)
        energy = F.conv2d(color * color, self.energy)
        return phases + F.conv2d(color * (energy / (energy + 1)), self.spread)


def is_colored(painting: Tensor) -> bool:
    """Whether a painting, (1, 3, H, W), RGB in [0, 1], has several colors: its networks then take :class:`Accents`."""
    color = painting - torch.einsum("nchw,c->nhw", painting, torch.from_numpy(LUMA).to(painting))[:, None]
    spread = color - color.mean(dim=(2, 3), keepdim=True)
    return float(spread.square().sum(dim=1).mean().sqrt()) >= COLORED
