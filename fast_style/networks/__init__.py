"""The transformer networks."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor

from fast_style.errors import InputError, did_you_mean
from fast_style.networks.accents import is_colored
from fast_style.networks.coring import has_grain, is_flat
from fast_style.networks.johnson import JohnsonNetwork
from fast_style.networks.realtime import RealtimeNetwork
from fast_style.networks.sets import StyleSets, take_style
from fast_style.networks.transformer import TransformerNetwork

# "fast" is the default, "tiny" for small machines; "fine" draws crisper pictures with three times the arithmetic.
NETWORKS: dict[str, Callable[[], TransformerNetwork]] = {
    "fast": partial(RealtimeNetwork, quarter=40, eighth=80, blocks=6, half=12),
    "tiny": partial(RealtimeNetwork, quarter=16, eighth=32, blocks=4, half=6),
    "fine": partial(RealtimeNetwork, quarter=64, eighth=128, blocks=8, half=24),
    "johnson": JohnsonNetwork,
}

__all__ = [
    "NETWORKS",
    "JohnsonNetwork",
    "RealtimeNetwork",
    "StyleSets",
    "TransformerNetwork",
    "build_network",
    "has_grain",
    "is_colored",
    "is_flat",
    "restore_network",
    "take_style",
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
    network.set_finish(coring="end.coring.energy" in weights, accents="end.accents.spread" in weights)
    network.load_state_dict(weights)
    return network
