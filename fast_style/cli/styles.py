"""``fast-style styles``."""

from __future__ import annotations

import json as json_module
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table

from fast_style.styles.catalog import shipped_styles


def styles(*, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """List the styles that come with fast-style.

    Args:
        json: Print the list for machines.
    """
    found = shipped_styles()
    if json:
        print(json_module.dumps([{"name": style.name, "path": str(style.path), **style.card} for style in found]))
        return
    # In a narrow window the painting's name gives way: the style's is what one types.
    table = Table(Column("style", no_wrap=True), "painting", "artist", "year", "network", "size", box=None)
    for style in found:
        painting = style.card.get("painting", {})
        table.add_row(
            style.name,
            str(painting.get("title", ", ".join(style.card.get("styles", [])))),
            str(painting.get("artist", "")),
            str(painting.get("year", "")),
            str(style.card.get("network", "")),
            f"{style.path.stat().st_size / 1e6:.1f} MB",
        )
    Console().print(table)
