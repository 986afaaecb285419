"""Feature maps: what each channel of a layer sees in a photo."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fast_style.errors import InputError
from fast_style.inspect.activations import activations
from fast_style.inspect.network import Network

Maps = NDArray[np.float32]


@torch.no_grad()
def feature_maps(network: Network, image: Tensor, *layers: str) -> dict[str, Maps]:
    """Return the activations of layers, (N, C, h, w) by name, for an image (N, 3, H, W), RGB in [0, 1].

    Raises:
        LayerError: A layer is unknown or has no maps.
    """
    return {name: maps.float().cpu().numpy() for name, maps in activations(network, image, layers).items()}


def rank_channels(maps: Maps) -> list[int]:
    """Sort the channels of (C, H, W) by mean activation, highest first; ties by number."""
    return [int(channel) for channel in np.argsort(-maps.mean(axis=(1, 2), dtype=np.float64), kind="stable")]


def normalize_maps(maps: Maps) -> Maps:
    """Stretch each of (C, H, W) from its minimum to its maximum, to [0, 1]; a constant map becomes 0.

    Raises:
        InputError: A value is not finite.
    """
    if not np.isfinite(maps).all():
        raise InputError("the activations are not finite", hint="Check the weights.")
    wide = maps.astype(np.float64)
    low = wide.min(axis=(1, 2), keepdims=True)
    span = wide.max(axis=(1, 2), keepdims=True) - low
    return np.asarray((wide - low) / np.where(span > 0, span, 1.0), dtype=np.float32)
