"""``fast-style inspect gradcam``."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from fast_style.cli.app import Flag, Out
from fast_style.cli.inspect import DeviceName
from fast_style.errors import InputError, check_least
from fast_style.images import Picture, check_target, load_image, save_image
from fast_style.sheet import Tile, grid


def gradcam(
    photo: Path,
    *,
    out: Out,
    wanted: Annotated[str | None, Parameter(name="--class")] = None,
    top: int | None = None,
    layer: str | None = None,
    size: int = 320,
    model: str = "efficientnet-lite0",
    device: DeviceName = "auto",
    force: Flag = False,
) -> None:
    """Show where in a photo a class is seen.

    The result is the photo, and beside it the heat of each class over it (Grad-CAM).

    Args:
        photo: The photo.
        out: The picture to write.
        wanted: Name or number of a class; by default the most probable ones.
        top: Number of the most probable classes; by default 3.
        layer: The layer; by default the last convolution, or the block that joins its branches.
        size: Long side of each picture, px.
        model: efficientnet-lite0 (no download), or a torchvision classifier such as googlenet.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
    """
    check_target(out, force=force, inputs=[photo])
    if wanted is not None and top is not None:
        raise InputError("--class names the class, --top counts the most probable ones; give one of them")
    top = 3 if top is None else top
    check_least(16, size=size)
    check_least(1, top=top)
    picture = load_image(photo, opaque=True)

    # These import torch.
    from fast_style import inspect as look
    from fast_style.device import find_device
    from fast_style.inspect import drawing

    network = look.load_network(model, device=find_device(device))
    image = network.class_input(picture)
    (classes,) = look.classify(network, image, top=top if wanted is None else len(network.labels))
    if wanted is not None:
        index = look.find_class(network, wanted)
        classes = [prediction for prediction in classes if prediction.index == index]
    heat = look.grad_cam(network, image, [prediction.index for prediction in classes], layer=layer)
    pixels = drawing.within(picture.pixels, size)
    tiles, lines = [Tile(pixels, "the photo")], []
    for prediction, values in zip(classes, heat.upsampled[0], strict=True):
        likely = f"{prediction.probability:.1%}"
        tiles.append(Tile(drawing.overlay(pixels, values), f"{prediction.label} {likely}"))
        lines.append(f"{prediction.label} ({prediction.index}) {likely}: {_hottest(values)}")
    sheet = grid(tiles, columns=min(len(tiles), 4), heading=f"Grad-CAM at {heat.layer} of {model}")
    save_image(Picture(sheet), out, quality=85)
    print(*lines, out, sep="\n")


def _hottest(values: NDArray[np.float32]) -> str:
    """Say where the maximum of (H, W) is, in shares of width and height."""
    if values.max() <= 0:
        return "nowhere"
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    return f"hottest at {(x + 0.5) / values.shape[1]:.0%} across, {(y + 0.5) / values.shape[0]:.0%} down"
