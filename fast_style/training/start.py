"""What a run starts from: another style's weights, one that was named or the nearest that ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from fast_style.checkpoint import load_checkpoint
from fast_style.errors import CheckpointError, InputError
from fast_style.export import network_from_onnx
from fast_style.graph import open_graph, read_checked, read_sets
from fast_style.networks import TransformerNetwork, build_network, parameter_count
from fast_style.perceptual import PerceptualLoss
from fast_style.styles import Style, find_style, shipped_styles

NEAREST = "nearest"
SCRATCH = "scratch"


def has_start(network: str) -> bool:
    """Whether a style of this network ships, to start from."""
    return bool(_starts(network))


def starting_network(init: str | Path, *, network: str) -> TransformerNetwork:
    """Load the network of a checkpoint, an exported style or a shipped one, to train on.

    It has the size that it was trained with, even if today's networks of that name are larger.

    Args:
        init: What to load; FILE#STYLE is one of the styles in a file of several.
        network: The name that its network must have.

    Raises:
        CheckpointError: The checkpoint is unusable, or what is there is another network.
        ModelError: The ONNX file is unusable.
        StyleNotFoundError: There is nothing of that name.
    """
    if Path(init).suffix == ".ckpt":
        checkpoint = load_checkpoint(init)
        name, found = checkpoint.recipe.network, checkpoint.network()
    else:
        file, _, style = str(init).partition("#")
        path = find_style(file).path
        found = network_from_onnx(path, style=style or None)
        name = open_graph(path).metadata["network"]
    if name != network:
        raise CheckpointError(
            f"{init} holds the network {name!r}, not {network!r}",
            hint=f"Give --network {name}, or another --init.",
        )
    return found


@torch.no_grad()
def nearest_style(loss: PerceptualLoss, photos: Sequence[Tensor], *, network: str) -> str:
    """Name the shipped style whose pictures score best on a painting: the start from which least is to be learned.

    From a style of other colours, a network has to climb out of where its sigmoid is flat, and leaves blotches of
    the old ones for hundreds of steps.

    Args:
        loss: Loss of the painting, calibrated.
        photos: What is drawn to tell, each (N, 3, H, W), RGB in [0, 1].
        network: Styles of other networks do not count.

    Raises:
        InputError: No style of this network ships.
    """
    networks = {style.name: network_from_onnx(style.path) for style in _starts(network)}
    if not networks:
        raise InputError(f"no style of the network {network!r} ships, to start from", hint="Leave --init out.")
    # Those of today's size come first: what an earlier version trained is smaller, and stays so.
    size = parameter_count(build_network(network))
    current = {name: paint for name, paint in networks.items() if parameter_count(paint) == size}
    return _nearest(loss, photos, current or networks)


@torch.no_grad()
def nearest_set(loss: PerceptualLoss, photos: Sequence[Tensor], file: Path) -> str:
    """Name the style in a file of several whose pictures score best on a painting; arguments as :func:`nearest_style`.

    Raises:
        ModelError: The file is unreadable.
    """
    return _nearest(loss, photos, {name: network_from_onnx(file, style=name) for name in read_sets(read_checked(file))})


def _starts(network: str) -> list[Style]:
    """The shipped styles that a single one can start from: a file of several is left out, which holds the same."""
    return [style for style in shipped_styles() if style.card.get("network") == network and "styles" not in style.card]


def _nearest(loss: PerceptualLoss, photos: Sequence[Tensor], networks: Mapping[str, TransformerNetwork]) -> str:
    targets = [loss.content_targets(photo) for photo in photos]

    def score(paint: TransformerNetwork) -> float:
        return sum(float(loss(paint(photo), target).total) for photo, target in zip(photos, targets, strict=True))

    return min(networks, key=lambda name: score(networks[name]))
