"""``fast-style inspect layers``."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from fast_style.cli.app import Flag
from fast_style.cli.inspect import Source


def layers(*, source: Source = Source(), json: Flag = False) -> None:
    """List the layers of a network.

    Shapes are those for a picture of the size that it was trained on.

    Args:
        source: The network.
        json: Print the layers as JSON.
    """
    from fast_style.inspect import layer_table  # imports torch

    # Shapes do not depend on the weights, so random ones will do: nothing needs to be downloaded.
    network = source.load(pretrained=False)
    rows = layer_table(network)
    if json:
        record = {"model": source.model, "size": network.size, "layers": [asdict(row) for row in rows]}
        print(json_module.dumps(record))
        return
    table = Table("layer", "kind", "output", "parameters", box=None)
    for row in rows:
        table.add_row(row.name, row.kind, "×".join(map(str, row.shape)), f"{row.parameters:,}")
    Console().print(table)
