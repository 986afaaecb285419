"""``fast-style inspect layers``."""

from rich.console import Console
from rich.table import Table

from fast_style.cli.inspect import Source


def layers(*, source: Source = Source()) -> None:
    """List the layers of a network.

    Shapes are those for a picture of the size that it was trained on.

    Args:
        source: The network.
    """
    from fast_style.inspect import layer_table  # imports torch

    table = Table("layer", "kind", "output", "parameters", box=None)
    for row in layer_table(source.load()):
        table.add_row(row.name, row.kind, "×".join(map(str, row.shape)), f"{row.parameters:,}")
    Console().print(table)
