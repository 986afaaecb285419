"""The neutral measure: how near a picture is to its painting and its photo, in figures that no training minimizes."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fast_style.device import to_tensor
from fast_style.errors import ImageError
from fast_style.images import Pixels
from fast_style.losses import VGG, load_vgg_weights

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
CONTENT_LAYER = "relu4_2"
# Divisors of the picture's size: fine grain, strokes, forms.
SCALES = (1, 2, 4)
# Number of directions that the colors are projected on, and of quantiles of each projection.
DIRECTIONS = 64
QUANTILES = 1024

# Guard of the division: a photo that scores zero is the painting itself.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Neutral:
    """Three figures of one picture, or their means over several."""

    # Squared Wasserstein distance to the painting's features, as a share of the photo's, the mean over layers and
    # scales: 0.0 is the painting's statistics, 1.0 is as far as the photo.
    distance: float
    colors: float  # squared sliced Wasserstein distance to the painting's colors, as a share of the photo's
    # The share of the photo's content that the picture keeps: the cosine of their centered features; 1.0 is the photo.
    kept: float


@dataclass(frozen=True)
class Gaussian:
    """Mean (C,) and covariance (C, C) of a layer's activations over positions, float64."""

    mean: Tensor
    covariance: Tensor


def gaussian(features: Tensor) -> Gaussian:
    """Return the mean and covariance of the activations (1, C, H, W) of a picture."""
    rows = features[0].flatten(1).double()
    mean = rows.mean(dim=1)
    rows = rows - mean[:, None]
    return Gaussian(mean, rows @ rows.mT / rows.shape[1])


def square_root(covariance: Tensor) -> Tensor:
    """Return the symmetric S with S S = covariance, (C, C); negative eigenvalues, due to rounding, count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0.0).sqrt() @ vectors.mT
    return root


def wasserstein(first: Gaussian, second: Gaussian, *, root: Tensor | None = None) -> float:
    """Measure the squared Wasserstein-2 distance between two Gaussians; ``root`` is that of the first covariance.

    Reference:
        Dowson and Landau 1982; Olkin and Pukelsheim 1982: W² = |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁^½ Σ₂ Σ₁^½)^½).
    """
    root = square_root(first.covariance) if root is None else root
    cross = torch.linalg.eigvalsh(root @ second.covariance @ root).clamp(min=0.0).sqrt().sum()
    spread = first.covariance.trace() + second.covariance.trace() - 2.0 * cross
    return max(0.0, float((first.mean - second.mean).square().sum() + spread))


def color_quantiles(pixels: Pixels) -> NDArray[np.float64]:
    """Return the quantiles of the colors of (H, W, 3) uint8 along fixed directions.

    The result is (directions, quantiles), from -255·√2 to 255·√3, each row rising.
    """
    # Unit vectors spread evenly over half of the sphere: a direction and its opposite sort alike.
    index = np.arange(DIRECTIONS) + 0.5
    height = index / DIRECTIONS
    angle = np.pi * (1.0 + np.sqrt(5.0)) * index
    radius = np.sqrt(1.0 - height**2)
    directions: NDArray[np.float64] = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    projected = pixels.reshape(-1, 3).astype(np.float64) @ directions.T
    return np.quantile(projected, (np.arange(QUANTILES) + 0.5) / QUANTILES, axis=0).T


def check_sizes(photo: Pixels, picture: Pixels) -> None:
    """Raise ImageError for a picture of another size than its photo; both (H, W, 3)."""
    if photo.shape != picture.shape:
        sizes = [f"{pixels.shape[1]}×{pixels.shape[0]} px" for pixels in (picture, photo)]
        raise ImageError(f"the picture has {sizes[0]}, its photo {sizes[1]}")


class NeutralMeasure:
    """Measures pictures against one painting.

    No training minimizes these figures: the statistics, layers, pooling, padding and scales differ from the
    objective's. So they also serve for pictures of other programs. The painting is (H, W, 3) uint8, at a size like the
    pictures'; ``vgg`` is the source of the features' weights.

    Raises:
        WeightsError: The weights cannot be loaded.
        ImageError: The painting is too small for the deepest layer at the smallest scale.
    """

    @torch.no_grad()
    def __init__(self, painting: Pixels, *, vgg: str = "caffe-vgg19") -> None:
        self._vgg = VGG(load_vgg_weights(vgg), (*STYLE_LAYERS, CONTENT_LAYER), pooling="max")
        self._painting, _ = self._look(painting)
        self._roots = [square_root(layer.covariance) for layer in self._painting]
        self._colors = color_quantiles(painting)
        self._photos: dict[tuple[object, bytes], tuple[NDArray[np.float64], float, Tensor]] = {}

    def measure(self, photo: Pixels, picture: Pixels) -> Neutral:
        """Measure a picture as a stylization of a photo of the same size; both (H, W, 3) uint8.

        Raises:
            ImageError: The sizes differ, or are too small for the deepest layer at the smallest scale.
        """
        check_sizes(photo, picture)
        key = photo.shape, photo.tobytes()
        if key not in self._photos:  # several models are measured on one photo
            self._photos[key] = self._measure(photo)
        distances, colors, content = self._measure(picture)
        unstyled_distances, unstyled_colors, original = self._photos[key]
        return Neutral(
            distance=float((distances / np.maximum(unstyled_distances, _SMALLEST)).mean()),
            colors=colors / max(unstyled_colors, _SMALLEST),
            kept=float(F.cosine_similarity(content, original, dim=0)),
        )

    @torch.no_grad()
    def _measure(self, pixels: Pixels) -> tuple[NDArray[np.float64], float, Tensor]:
        """Return squared distances from the painting, of features and of colors, and centered content features."""
        gaussians, features = self._look(pixels)
        distances = [
            wasserstein(painting, picture, root=root)
            for painting, picture, root in zip(self._painting, gaussians, self._roots, strict=True)
        ]
        content = (features - features.mean(dim=1, keepdim=True)).flatten()
        return np.array(distances), float(np.square(color_quantiles(pixels) - self._colors).mean()), content

    def _look(self, pixels: Pixels) -> tuple[list[Gaussian], Tensor]:
        """Return the Gaussians of each scale's layers in order, and the content features, (C, positions)."""
        image = to_tensor(pixels)
        height, width = image.shape[-2:]
        gaussians, contents = [], []
        for scale in SCALES:
            view = F.interpolate(image, (max(1, height // scale), max(1, width // scale)), mode="area")
            features = self._vgg(view, (*STYLE_LAYERS, CONTENT_LAYER))
            gaussians += [gaussian(features[layer]) for layer in STYLE_LAYERS]
            contents.append(features[CONTENT_LAYER])
        return gaussians, contents[0][0].flatten(1).double()
