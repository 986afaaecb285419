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
        print(json_module.dumps(description.as_dict()))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{description.path}, {description.bytes / 1e6:.2f} MB")
    table.add_row("sha256", description.sha256)
    for key, value in sorted(description.metadata.items()):
        if key not in _LONG:
            table.add_row(key.replace("_", " "), value)
    for kind, values in (("input", description.inputs), ("output", description.outputs)):
        for name, signature in values.items():
            table.add_row(kind, f"{name}: {signature}")
    table.add_row("operators", ", ".join(f"{name} {count}" for name, count in description.cost.operators.items()))
    width, height = description.size
    table.add_row("parameters", f"{description.cost.parameters:,} in convolutions")
    table.add_row(
        "cost",
        f"{description.cost.multiplications / 1e9:.2f} G multiply-adds at {width}×{height}, "
        f"{description.multiplications_per_pixel / 1e3:.1f} k a pixel",
    )
    if description.reach is not None:
        reach = max(description.reach.before, description.reach.after)
        table.add_row("reach", f"{reach} px around a pixel, given the statistics")
    Console(markup=False, highlight=False).print(table)
