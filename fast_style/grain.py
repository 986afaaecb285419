"""The grain of a painting's picture, such as of canvas, film or noise, smoothed along the strokes."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

# Deviation of the blur before the gradients are taken, and of that of their products: within it, strokes have one
# direction. px.
_BEFORE, _AROUND = 1.0, 2.5
# Steps of a pixel along a stroke, each way, and the deviation of their weights, px.
_STEPS, _DEVIATION = 4, 2.0


def smooth_along_strokes(image: Tensor) -> Tensor:
    """Average each pixel with those before and behind it on its stroke, so that grain goes and edges stay.

    Networks draw grain that is everywhere as a mesh. A median or a blur removes it too, but takes along the strokes,
    which are hardly wider.

    Args:
        image: (1, 3, H, W), RGB in [0, 1], each side at least 16 px.

    Returns:
        The same shape.

    Reference:
        Kyprianidis and Kang 2011 ("Image and video abstraction by coherence-enhancing filtering"), sections 3.1 and
        3.3.1: the structure tensor, and line integral convolution along its minor eigenvectors.

    Differs from the paper:
        Euler steps instead of Runge–Kutta, one direction for each pixel without interpolation, and no shock
        filter.
    """
    smooth = _blur(image, _BEFORE)
    around = F.pad(smooth, (1,) * 4, mode="replicate")
    across = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]) / 2
    down = (around[..., 2:, 1:-1] - around[..., :-2, 1:-1]) / 2
    products = torch.cat([(a * b).sum(1, keepdim=True) for a, b in ((across, across), (across, down), (down, down))], 1)
    xx, xy, yy = _blur(products, _AROUND).unbind(1)
    angle = torch.atan2(2 * xy, xx - yy) / 2 + math.pi / 2
    strokes = torch.stack([angle.cos(), angle.sin()], 1)
    height, width = image.shape[-2:]
    here = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"))[None].to(image)
    total, weights = image.clone(), 1.0
    for sense in (1, -1):
        place, heading = here.clone(), sense * strokes
        for step in range(1, _STEPS + 1):
            place = place + heading
            weight = math.exp(-((step / _DEVIATION) ** 2) / 2)
            total += weight * _sample(image, place, "bilinear")
            weights += weight
            # An eigenvector has no sign: the way goes on, and does not turn back.
            stroke = _sample(strokes, place, "nearest")
            heading = torch.where((stroke * heading).sum(1, keepdim=True) < 0, -stroke, stroke)
    return total / weights


def _blur(image: Tensor, deviation: float) -> Tensor:
    blurred: Tensor = gaussian_blur(image, [2 * round(3 * deviation) + 1] * 2, [deviation] * 2)
    return blurred


def _sample(image: Tensor, place: Tensor, mode: str) -> Tensor:
    """Read an image at places, (1, 2, H, W), x and y in px; beyond its border, the border."""
    most = torch.tensor([image.shape[3] - 1, image.shape[2] - 1]).to(place)
    grid = place.movedim(1, -1) / most * 2 - 1
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True)
