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
    found = describe_model(path)
    if json:
        print(json_module.dumps(found.as_dict()))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{found.path}, {found.bytes / 1e6:.2f} MB")
    table.add_row("sha256", found.sha256)
    for key, value in sorted(found.metadata.items()):
        if key not in _LONG:
            table.add_row(key.replace("_", " "), value)
    for kind, values in (("input", found.inputs), ("output", found.outputs)):
        for name, signature in values.items():
            table.add_row(kind, f"{name}: {signature}")
    table.add_row("operators", ", ".join(f"{name} {count}" for name, count in found.cost.operators.items()))
    width, height = found.size
    table.add_row("parameters", f"{found.cost.parameters:,} in convolutions")
    table.add_row(
        "cost",
        f"{found.cost.multiplications / 1e9:.2f} G multiply-adds at {width}×{height}, "
        f"{found.multiplications_per_pixel / 1e3:.1f} k a pixel",
    )
    if found.reach is not None:
        table.add_row("reach", f"{max(found.reach.before, found.reach.after)} px around a pixel, given the statistics")
    Console(markup=False, highlight=False).print(table)
