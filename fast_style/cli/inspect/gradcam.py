"""``fast-style inspect gradcam``."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from fast_style.cli.app import Flag, Out
from fast_style.cli.inspect import DeviceName, save
from fast_style.errors import InputError
from fast_style.images import Pixels, check_target, load_image
from fast_style.sheet import Tile, grid

if TYPE_CHECKING:
    from fast_style.inspect import HeatMaps, Prediction


def gradcam(
    photo: Path,
    *,
    out: Out,
    wanted: Annotated[str | None, Parameter(name="--class")] = None,
    top: int = 3,
    layer: str | None = None,
    size: int = 320,
    model: str = "efficientnet-lite0",
    device: DeviceName = "auto",
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Show where in a photo a class is seen.

    The result is the photo, and beside it the heat of each class over it (Grad-CAM).

    Args:
        photo: The photo.
        out: The picture to write.
        wanted: Name or number of a class; by default the most probable ones.
        top: Number of the most probable classes.
        layer: The layer; by default the last convolution, or the block that joins its branches.
        size: Long side of each picture, px.
        model: efficientnet-lite0 (no download), or a torchvision classifier such as googlenet.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
        json: Print classes and the hottest points as JSON.
    """
    check_target(out, force=force)
    if not 16 <= size <= 8192:
        raise InputError(f"size is {size}; expected 16 to 8192 px")
    picture = load_image(photo, opaque=True)

    # These import torch.
    from fast_style import inspect as look
    from fast_style.device import find_device

    network = look.load_network(model, device=find_device(device))
    image = network.class_input(picture)
    (classes,) = look.classify(network, image, top=top if wanted is None else len(network.labels))
    if wanted is not None:
        index = look.find_class(network, wanted)
        classes = [prediction for prediction in classes if prediction.index == index]
    heat = look.grad_cam(network, image, [prediction.index for prediction in classes], layer=layer)
    save(_sheet(picture.pixels, classes, heat, model, size), out)
    records = [
        asdict(prediction) | {"hottest": _hottest(values)}
        for prediction, values in zip(classes, heat.upsampled[0], strict=True)
    ]
    if json:
        record = {"photo": str(photo), "model": model, "layer": heat.layer, "classes": records, "output": str(out)}
        print(json_module.dumps(record))
        return
    for row in records:
        across, down = row["hottest"] or (0, 0)
        where = f"hottest at {across:.0%} across, {down:.0%} down" if row["hottest"] else "nowhere"
        print(f"{row['label']} ({row['index']}) {row['probability']:.1%}: {where}")
    print(out)


def _sheet(photo: Pixels, classes: Sequence[Prediction], heat: HeatMaps, model: str, size: int) -> Pixels:
    from fast_style.inspect import drawing

    pixels = drawing.within(photo, size)
    tiles = [Tile(pixels, "the photo")]
    for prediction, values in zip(classes, heat.upsampled[0], strict=True):
        tiles.append(Tile(drawing.overlay(pixels, values), f"{prediction.label} {prediction.probability:.1%}"))
    return grid(tiles, columns=min(len(tiles), 4), heading=f"Grad-CAM at {heat.layer} of {model}")


def _hottest(values: NDArray[np.float32]) -> list[float] | None:
    """Return the place of the maximum as shares of width and height; None if the map is zero."""
    if values.max() <= 0:
        return None
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    return [round((int(x) + 0.5) / values.shape[1], 3), round((int(y) + 0.5) / values.shape[0], 3)]
