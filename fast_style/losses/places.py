"""Distances place by place: a place is the feature vector of one position of a layer.

A Gram matrix, a mean or a Gaussian averages over the whole picture. The busy part of a picture can match it alone, and
a flat sky then costs least if it stays flat. These distances ask of *each* place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-6


def places(features: Tensor) -> Tensor:
    """Turn the features of one picture, (C, H, W), into its places, (H · W, C), float32."""
    return features.flatten(1).T.float()


def draw_places(count: int, most: int, seed: int) -> Tensor:
    """Draw the indices of at most ``most`` of ``count`` places, each once; for the same seed the same everywhere."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most]


@torch.no_grad()
def nearest(queries: Tensor, keys: Tensor) -> Tensor:
    """Return for each query, (P, C), the index of the key, (Q, C), with the smallest cosine distance; no gradient."""
    return (F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T).argmax(dim=1)


def precision_and_coverage(picture: Tensor, painting: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two halves of the relaxed earth mover's distance, each a float32 scalar from 0 to 2; less is better.

    Precision is the mean cosine distance of the picture's places to the nearest of the painting: 0 if every place of
    the picture occurs in the painting. Coverage is the other way round: 0 if every place of the painting occurs in the
    picture.

    The pairs are found without gradient and their distances computed again with it: the same gradient as through the
    whole matrix of distances, for a hundredth of its memory.

    Args:
        picture: (P, C); gradients flow to it.
        painting: (Q, C).

    Reference:
        Kolkin et al. 2019 ("Style transfer by relaxed optimal transport and self-similarity"), equations 2 to 6.

    Differs from the paper:
        It takes the larger half. Here both are returned, so that a loss can sum them and does not switch.
    """
    precision = F.cosine_similarity(picture, painting[nearest(picture, painting)], dim=1)
    coverage = F.cosine_similarity(picture[nearest(painting, picture)], painting, dim=1)
    return 1 - precision.mean(), 1 - coverage.mean()


def self_similarity(features: Tensor) -> Tensor:
    """Return how unlike each place is to each other: cosine distances, each column divided by its sum.

    It says which places of a picture are alike, and nothing of their color and contrast: (P, C) to (P, P), 0 to 1.

    Reference:
        Kolkin et al. 2019, section 2.3.
    """
    directions = F.normalize(features, dim=1)
    distances = (1 - directions @ directions.T).clamp(min=0.0)
    return distances / (distances.sum(dim=0, keepdim=True) + _EPSILON)


def self_similarity_distance(picture: Tensor, photo: Tensor) -> Tensor:
    """Return how far two pictures differ in which of their places are alike, a float32 scalar from 0 to 2.

    Both are (P, C), at the same places; gradients flow to the first.

    Reference:
        Kolkin et al. 2019, equation 8.
    """
    return (self_similarity(picture) - self_similarity(photo)).abs().sum(dim=0).mean()
