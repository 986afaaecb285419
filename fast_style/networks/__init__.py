"""The transformer networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from fast_style.errors import InputError, did_you_mean
from fast_style.networks.condition import Condition
from fast_style.networks.johnson import JohnsonNetwork
from fast_style.networks.normalization import InstanceNormalization, record_statistics
from fast_style.networks.realtime import RealtimeNetwork, fast, fine, tiny
from fast_style.networks.sets import StyleSets, take_style
from fast_style.networks.transformer import TransformerNetwork

NETWORKS: dict[str, Callable[[], TransformerNetwork]] = {
    "fast": fast,
    "tiny": tiny,
    "fine": fine,
    "johnson": JohnsonNetwork,
}

__all__ = [
    "NETWORKS",
    "Condition",
    "InstanceNormalization",
    "JohnsonNetwork",
    "RealtimeNetwork",
    "StyleSets",
    "TransformerNetwork",
    "build_network",
    "fast",
    "fine",
    "record_statistics",
    "restore_network",
    "take_style",
    "tiny",
]


def build_network(name: str) -> TransformerNetwork:
    """Build a network with fresh weights.

    Raises:
        InputError: There is no network of that name; the message suggests the nearest.
    """
    if name not in NETWORKS:
        raise InputError(f"no network {name!r}{did_you_mean(name, NETWORKS)}", hint=f"There are {', '.join(NETWORKS)}.")
    return NETWORKS[name]()


def restore_network(name: str, weights: Mapping[str, Tensor]) -> TransformerNetwork:
    """Build a network with the weights of a state dict.

    Raises:
        InputError: There is no network of that name.
        RuntimeError: The names or shapes of the weights are not those of the network.
    """
    network = build_network(name)
    network.load_state_dict(weights)
    return network
