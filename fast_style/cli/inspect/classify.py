"""``fast-style inspect classify``."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from fast_style.cli.inspect import DeviceName
from fast_style.images import load_image


def classify(photo: Path, *, model: str = "efficientnet-lite0", top: int = 5, device: DeviceName = "auto") -> None:
    """Name what is in a photo.

    Args:
        photo: The photo.
        model: efficientnet-lite0 (no download), or a torchvision classifier such as googlenet.
        top: Number of classes.
        device: auto, cpu, cuda or mps.
    """
    picture = load_image(photo, opaque=True)

    # These import torch.
    from fast_style import inspect as look
    from fast_style.device import find_device

    network = look.load_network(model, device=find_device(device))
    (classes,) = look.classify(network, network.class_input(picture), top=top)
    table = Table("class", "number", "probability", box=None)
    for prediction in classes:
        table.add_row(prediction.label, str(prediction.index), f"{prediction.probability:.1%}")
    Console().print(table)
