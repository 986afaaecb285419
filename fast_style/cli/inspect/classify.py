"""``fast-style inspect classify``."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fast_style.cli.inspect import DeviceName, Flag, OptionalTarget, save
from fast_style.images import check_target, load_image
from fast_style.sheet import Tile, beside, grid


def classify(
    photo: Path,
    *,
    model: str = "efficientnet-lite0",
    top: int = 5,
    out: OptionalTarget = None,
    device: DeviceName = "auto",
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Name what is in a photo.

    Args:
        photo: The photo.
        model: efficientnet-lite0 (no download), or a torchvision classifier such as googlenet.
        top: Number of classes.
        out: A bar chart to write.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
        json: Print the classes as JSON.
    """
    if out is not None:
        check_target(out, force=force)
    picture = load_image(photo, opaque=True)

    # These import torch.
    from fast_style import inspect as look
    from fast_style.device import find_device
    from fast_style.inspect import drawing

    network = look.load_network(model, device=find_device(device))
    (classes,) = look.classify(network, network.class_input(picture), top=top)
    if out is not None:
        rows = [(p.label, p.probability, f"{p.probability:.1%}") for p in classes]
        shown = Tile(drawing.within(picture.pixels, 256), photo.name)
        save(beside(grid([shown]), drawing.bars(rows, heading=f"classes by {model}")), out)
    if json:
        print(json_module.dumps({"photo": str(photo), "model": model, "classes": [asdict(p) for p in classes]}))
        return
    table = Table("class", "number", "probability", box=None)
    for prediction in classes:
        table.add_row(prediction.label, str(prediction.index), f"{prediction.probability:.1%}")
    Console().print(table)
    if out is not None:
        print(out)
