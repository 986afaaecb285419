"""How near a picture is to its painting place by place: precision, flat precision and coverage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fast_style.device import to_tensor
from fast_style.evaluate.neutral import SCALES, check_sizes
from fast_style.images import LUMA, Pixels
from fast_style.losses import VGG, load_vgg_weights
from fast_style.losses.terms.places import draw_places, places, precision_and_coverage

LAYERS = ("relu3_1", "relu4_1")
# Number of places that are drawn of each side at most, at each layer and scale.
PLACES = 2048
# Side of the windows in which the photo's brightness deviates, px, and the step between them.
WINDOW, STEP = 32, 4
# The share of the places that counts as flat.
FLAT = 0.25

# Guard of the division: a photo that is as near as the painting is to itself.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Places:
    """Figures at full, half and quarter size; less is better.

    0.0 is as near as the painting's places are to others of its own, 1.0 is as far as the unstyled photos.
    """

    precision: tuple[float, ...]  # mean distance of the picture's places to the nearest of the painting
    flat_precision: tuple[float, ...]  # the same where the photo is flat
    coverage: tuple[float, ...]  # mean distance of the painting's places to the nearest of the picture


def local_variance(photo: Pixels) -> Tensor:
    """Return the variance of brightness of (H, W, 3) uint8 in windows of 32 px, cut at the edges, every 4 px.

    The result is (1, 1, H // 4 + 1, W // 4 + 1), float64, levels of 255 squared.
    """
    brightness = torch.from_numpy(photo @ LUMA).double()[None, None]
    mean, squares = (
        F.avg_pool2d(values, WINDOW, STEP, WINDOW // 2, count_include_pad=False)
        for values in (brightness, brightness.square())
    )
    return (squares - mean.square()).clamp(min=0.0)


class PlacesMeasure:
    """Measures pictures against one painting, place by place.

    The statistics of a whole picture can agree with the painting's although a flat sky stays flat, or although no
    single place looks painted. Here each place counts by itself. A place is the feature vector of a position of relu3_1
    or relu4_1; distances are cosine distances, means over both layers. The painting is (H, W, 3) uint8, at a size like
    the pictures'; ``vgg`` is the source of the features' weights.

    Raises:
        WeightsError: The weights cannot be loaded.
        ImageError: The painting is too small for relu4_1 at quarter size.

    Reference:
        Kolkin et al. 2019 ("Style transfer by relaxed optimal transport and self-similarity"), equations 2 to 6: both
        halves of the relaxed earth mover's distance. Features are not centered as in Mechrez et al. 2018: what a photo
        shows where it is flat would then be nearer to the painting than the painting to itself.
    """

    @torch.no_grad()
    def __init__(self, painting: Pixels, *, vgg: str = "caffe-vgg19") -> None:
        # A repeated edge makes places at the border look like those inside.
        self._vgg = VGG(load_vgg_weights(vgg), LAYERS, pooling="max", padding="replicate")
        self._painting: list[Tensor] = []
        floors = []  # mean cosine distances of the painting's places to the nearest other one
        for features in self._look(painting):
            everywhere = places(features)
            rows = everywhere[draw_places(len(everywhere), PLACES, seed=0)]
            self._painting.append(rows)
            directions = F.normalize(rows, dim=1)
            similarity = (directions @ directions.T).fill_diagonal_(-1.0)
            floors.append(float(1 - similarity.amax(dim=1).mean()))
        self._floors = np.reshape(floors, (len(SCALES), len(LAYERS))).mean(axis=1)
        self._photos: dict[tuple[object, bytes], NDArray[np.float64]] = {}

    def measure(self, photos: Sequence[Pixels], pictures: Sequence[Pixels]) -> Places:
        """Measure pictures as stylizations of photos of the same sizes, each (H, W, 3) uint8.

        Distances are averaged over the photos before they become shares: a single photo may be as near to the
        painting as the painting is to itself.

        Raises:
            ImageError: The sizes differ, or are too small for relu4_1 at quarter size.
        """
        drawn = np.mean([self._distances(*pair) for pair in zip(photos, pictures, strict=True)], axis=0)
        unstyled = np.mean([self._unstyled(photo) for photo in photos], axis=0)
        shares = (drawn - self._floors) / np.maximum(unstyled - self._floors, _SMALLEST)
        return Places(*map(tuple, shares.tolist()))

    def _unstyled(self, photo: Pixels) -> NDArray[np.float64]:
        key = photo.shape, photo.tobytes()
        if key not in self._photos:  # several models are measured on one photo
            self._photos[key] = self._distances(photo, photo)
        return self._photos[key]

    @torch.no_grad()
    def _distances(self, photo: Pixels, picture: Pixels) -> NDArray[np.float64]:
        """Return precision, flat precision and coverage as mean distances at each scale, (3, scales)."""
        check_sizes(photo, picture)
        variance = local_variance(photo)
        figures = []
        for features, painting in zip(self._look(picture), self._painting, strict=True):
            everywhere = places(features)
            # Not the draw of the painting: a picture of the painting then scores about 0 and not less.
            drawn = draw_places(len(everywhere), PLACES, seed=1)
            busy = F.interpolate(variance, features.shape[1:], mode="area").flatten()[drawn]
            flat = busy.argsort(stable=True)[: max(1, round(FLAT * len(drawn)))]
            rows = everywhere[drawn]
            precision, coverage = precision_and_coverage(rows, painting)
            figures.append([float(precision), float(precision_and_coverage(rows[flat], painting)[0]), float(coverage)])
        means: NDArray[np.float64] = np.reshape(figures, (len(SCALES), len(LAYERS), 3)).mean(axis=1).T
        return means

    def _look(self, pixels: Pixels) -> Iterator[Tensor]:
        """Yield the features of each scale's layers in order, (C, H, W)."""
        image = to_tensor(pixels)
        for scale in SCALES:
            features = self._vgg(F.avg_pool2d(image, scale), LAYERS)
            yield from (features[layer][0] for layer in LAYERS)
