"""A second view of a scene: how it differs from the first, and what both of them show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Largest shift of a hand-held camera between two frames, px.
_SHIFT = 8.0
# Standard deviation of the motion of things in front of it, px, and side of the cells over which it is smooth, px.
_DEFORMATION, _CELL = 2.0, 64
# Range of the standard deviation of a camera's noise, levels of 255.
_LEAST_NOISE, _MOST_NOISE = 1.0, 5.0
# Share of a side along each border that is not compared: there a network may tell where the picture ends.
_RIM = 1 / 10


@dataclass(frozen=True)
class Motion:
    """How a second view of a scene differs from the first.

    Attributes:
        flow: (H, W, 2), px, across and down: for each pixel of the second view, where its content lay in the first,
            relative to the pixel.
        noise: (3, H, W), in units of [0, 1]: added to the second view by the camera.
    """

    flow: Tensor
    noise: Tensor

    @classmethod
    def drawn(cls, random: np.random.Generator, height: int, width: int) -> Motion:
        """Draw a shift by fractions of px, a smooth deformation, and noise; a quarter of the views stand still.

        Reference:
            Wang et al. 2020 (ReReVST), section 3.3: a random smooth flow, a shift, and noise.
        """
        shift = random.uniform(-_SHIFT, _SHIFT, 2)
        cells = (2, height // _CELL + 2, width // _CELL + 2)
        coarse = torch.from_numpy(random.normal(0, _DEFORMATION, cells).astype(np.float32))
        smooth = F.interpolate(coarse[None], (height, width), mode="bicubic", align_corners=True)[0]
        moves = float(random.random() > 1 / 4)
        flow = moves * (smooth + torch.from_numpy(shift.astype(np.float32))[:, None, None])
        noise = random.normal(0, random.uniform(_LEAST_NOISE, _MOST_NOISE) / 255, (3, height, width))
        return cls(flow.permute(1, 2, 0), torch.from_numpy(noise.astype(np.float32)))

    def second(self, photo: Tensor) -> Tensor:
        """Return the second view of a photo, (N, 3, H, W) in [0, 1] to the same shape and range."""
        return (self.warp(photo) + self.noise.to(photo.device)).clamp(0, 1)

    def warp(self, image: Tensor) -> Tensor:
        """Move a picture of the first view to where its content lies in the second; (N, C, H, W) to the same shape."""
        height, width = image.shape[-2:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        x, y = columns + self.flow[..., 0], rows + self.flow[..., 1]
        places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        places = places.to(image).expand(len(image), -1, -1, -1)
        # Bilinear sampling would blur what is compared, and so reward blur.
        moved: Tensor = F.grid_sample(image, places, "bicubic", "border", align_corners=False)
        return moved

    def known(self) -> Tensor:
        """Return where both views show the same content, away from their borders: (H, W), 0 or 1, float32."""
        height, width = self.flow.shape[:2]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        inside = torch.ones(height, width, dtype=torch.bool)
        x, y = columns + self.flow[..., 0], rows + self.flow[..., 1]
        for place, side in ((columns, width), (rows, height), (x, width), (y, height)):
            inside &= (place >= _RIM * side) & (place <= (1 - _RIM) * side - 1)
        return inside.float()
