"""What a run starts from: another style's weights, one that was named or the nearest that ships."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fast_style.checkpoint import load_checkpoint
from fast_style.errors import CheckpointError, InputError
from fast_style.export import network_from_onnx
from fast_style.perceptual import PerceptualLoss
from fast_style.styles import find_style, shipped_styles
from fast_style.training.module import StyleModule

NEAREST = "nearest"


def start_from(module: StyleModule, init: str | Path) -> None:
    """Take over the weights of a checkpoint, an exported style or a shipped one.

    Raises:
        CheckpointError: The checkpoint is unusable, or what is there is another network.
        ModelError: The ONNX file is unusable.
        StyleNotFoundError: There is nothing of that name.
    """
    if Path(init).suffix == ".ckpt":
        source = load_checkpoint(init).network()
    else:
        source = network_from_onnx(find_style(init).path)
    weights = source.state_dict()
    try:
        module.network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{init} holds another network than {module.recipe.network!r}",
            hint="Give the --network it was trained with, or another --init.",
        ) from error
    module.average.load_state_dict(weights)


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
    styles = [style for style in shipped_styles() if style.card.get("network") == network]
    if not styles:
        raise InputError(f"no style of the network {network!r} ships, to start from", hint="Leave --init out.")
    targets = [loss.content_targets(photo) for photo in photos]

    def score(path: Path) -> float:
        paint = network_from_onnx(path)
        return sum(float(loss(paint(photo), target).total) for photo, target in zip(photos, targets, strict=True))

    return min(styles, key=lambda style: score(style.path)).name
