"""How ``fast-style info MODEL.onnx`` shows a model."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fast_style.model.metadata import describe_model

# Kept for machines; too long to read.
_LONG = ("recipe", "losses", "paintings")


def print_model(path: Path, *, json: bool) -> None:
    """Print what an ONNX file says of itself, its operators and its cost; errors as of ``describe_model``."""
    description = describe_model(path)
    if json:
        print(json_module.dumps(description))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{path}, {description['bytes'] / 1e6:.2f} MB")
    table.add_row("sha256", description["sha256"])
    for key, value in sorted(description["metadata"].items()):
        if key not in _LONG:
            table.add_row(key.replace("_", " "), value)
    for kind in ("input", "output"):
        for name, signature in description[f"{kind}s"].items():
            table.add_row(kind, f"{name}: {signature}")
    table.add_row("operators", ", ".join(f"{name} {count}" for name, count in description["operators"].items()))
    cost = description["cost"]
    table.add_row("parameters", f"{cost['parameters']:,} in convolutions")
    table.add_row(
        "cost",
        f"{cost['multiplications'] / 1e9:.2f} G multiply-adds at {cost['width']}×{cost['height']}, "
        f"{cost['multiplications_per_pixel'] / 1e3:.1f} k a pixel",
    )
    if description["reach"] is not None:
        table.add_row("reach", f"{description['reach']} px around a pixel, given the statistics")
    Console(markup=False, highlight=False).print(table)
