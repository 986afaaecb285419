"""``fast-style inspect gradcam``."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from fast_style.cli.inspect import DeviceName, Flag, Target, save
from fast_style.errors import InputError
from fast_style.images import Pixels, check_target, load_image
from fast_style.sheet import Tile, grid

if TYPE_CHECKING:
    from fast_style.inspect import HeatMaps, Prediction

Floats = NDArray[np.float32]
Show = Literal["row", "overlay", "heat"]


def gradcam(
    photo: Path,
    *,
    out: Target,
    wanted: Annotated[str | None, Parameter(name="--class")] = None,
    top: int = 3,
    layer: str | None = None,
    show: Show = "row",
    size: int = 320,
    model: str = "efficientnet-lite0",
    device: DeviceName = "auto",
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Show where in a photo a class is seen (Grad-CAM).

    Args:
        photo: The photo.
        out: The picture to write.
        wanted: Name or number of a class; by default what the network predicts.
        top: How many of the most probable classes a row shows.
        layer: Where to look; by default the last convolution, or the block that joins its branches.
        show: row: the photo and the heat for each class over it; overlay: the first class alone over the photo;
            heat: its heat map alone.
        size: Long side of each picture, px.
        model: efficientnet-lite0 (no download), or a torchvision classifier such as googlenet.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
        json: Print classes and the hottest points for machines.
    """
    check_target(out, force=force)
    if top < 1 or not 16 <= size <= 8192:
        raise InputError("expected --top from 1 up and a --size of 16 to 8192 px")
    picture = load_image(photo, opaque=True)

    from fast_style import inspect as look  # imports torch

    network = look.load_network(model, device=look.pick_device(device))
    network.require_classes()
    image = network.class_input(picture)
    (every,) = look.classify(network, image, top=len(network.labels))
    if wanted is not None:
        index = look.find_class(network, wanted)
        found = [prediction for prediction in every if prediction.index == index]
    else:
        found = every[:top] if show == "row" else every[:1]
    heat = look.grad_cam(network, image, [prediction.index for prediction in found], layer=layer)
    save(_sheet(picture.pixels, found, heat, model, show, size), out)
    records = [
        prediction.as_dict() | {"hottest": _hottest(values)}
        for prediction, values in zip(found, heat.upsampled[0], strict=True)
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


def _sheet(photo: Pixels, found: Sequence[Prediction], heat: HeatMaps, model: str, show: Show, size: int) -> Pixels:
    from fast_style.inspect import drawing

    pixels = drawing.within(photo, size)
    first = heat.upsampled[0, 0]
    if show == "heat":
        height, width = pixels.shape[:2]
        return drawing.colorize(drawing.enlarge(first, (width, height)), "fire")
    if show == "overlay":
        return drawing.overlay(pixels, first)
    tiles = [Tile(pixels, "the photo")]
    for prediction, values in zip(found, heat.upsampled[0], strict=True):
        tiles.append(Tile(drawing.overlay(pixels, values), f"{prediction.label} {prediction.probability:.1%}"))
    return grid(tiles, columns=min(len(tiles), 4), heading=f"Grad-CAM at {heat.layer} of {model}")


def _hottest(values: Floats) -> list[float] | None:
    """Where the map is greatest, as shares of the width and the height; None if it is zero everywhere."""
    if values.max() <= 0:
        return None
    y, x = np.unravel_index(int(values.argmax()), values.shape)
    return [round((int(x) + 0.5) / values.shape[1], 3), round((int(y) + 0.5) / values.shape[0], 3)]
