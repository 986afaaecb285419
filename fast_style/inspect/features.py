"""Feature maps: what each channel of a layer sees in a photo."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fast_style.errors import InputError
from fast_style.inspect.activations import activations, check_channel
from fast_style.inspect.network import Network

Normalization = Literal["each", "joint", "logistic"]
Maps = NDArray[np.float32]


@torch.no_grad()
def feature_maps(network: Network, image: Tensor, *layers: str) -> dict[str, Maps]:
    """Return the activations of layers as arrays.

    Args:
        network: A network of :func:`load_network`.
        image: (N, 3, H, W), RGB in [0, 1].
        *layers: Names.

    Returns:
        Name to (N, C, h, w).

    Raises:
        LayerError: A layer is unknown or has no maps.
    """
    return {name: maps.float().cpu().numpy() for name, maps in activations(network, image, layers).items()}


def rank_channels(maps: Maps) -> list[int]:
    """Channels of (C, H, W), the one with the highest mean activation first; of equals the lower number."""
    return [int(channel) for channel in np.argsort(-maps.mean(axis=(1, 2), dtype=np.float64), kind="stable")]


def parse_channels(text: str, maps: Maps, layer: str) -> list[int]:
    """Read a choice of channels.

    Args:
        text: ``all``, ``top:16`` (the most active first), or numbers and ranges: ``3``, ``0-63``, ``1,5,8-11``.
        maps: (C, H, W), for ``top``.
        layer: Its name, for messages.

    Raises:
        InputError: The text is something else.
        LayerError: The layer has fewer channels.
    """
    if text == "all":
        return list(range(len(maps)))
    if match := re.fullmatch(r"top:([1-9]\d*)", text):
        return rank_channels(maps)[: int(match[1])]
    chosen: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise InputError(
                f"channels {text!r} cannot be read",
                hint="Use all, top:16, or numbers and ranges such as 0-63 or 1,5,8-11.",
            )
        first, last = int(match[1]), int(match[2] or match[1])
        check_channel(last, len(maps), layer)
        chosen += range(first, last + 1)
    return list(dict.fromkeys(chosen))


def normalize_maps(maps: Maps, how: Normalization = "each") -> Maps:
    """Bring maps to [0, 1] for drawing.

    ``each`` stretches every map from its own least to its own greatest value: shows where, hides how much.
    ``joint`` stretches all with one scale: shows which channels are loud. ``logistic`` standardizes every map and
    takes 1 / (1 + e⁻ᶻ): one bright spot does not black out the rest. A constant map becomes 0 by ``each``, 0.5 by
    ``logistic``.

    Args:
        maps: (C, H, W).
        how: One of these.

    Raises:
        InputError: A value is not finite.
    """
    if not np.isfinite(maps).all():
        raise InputError("the activations are not finite", hint="Check the weights.")
    wide = maps.astype(np.float64)
    if how == "logistic":
        centred = wide - wide.mean(axis=(1, 2), keepdims=True)
        z = centred / _or_one(wide.std(axis=(1, 2), keepdims=True))
        return np.asarray(1 / (1 + np.exp(-z)), dtype=np.float32)
    axes = (1, 2) if how == "each" else None
    low = wide.min(axis=axes, keepdims=True)
    span = _or_one(wide.max(axis=axes, keepdims=True) - low)
    return np.asarray((wide - low) / span, dtype=np.float32)


def _or_one(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace zeros by ones, so that constant maps can be divided."""
    return np.where(scale > 0, scale, 1.0)
