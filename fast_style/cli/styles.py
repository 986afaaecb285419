"""``fast-style styles``."""

from __future__ import annotations

import json as json_module

from rich.console import Console
from rich.table import Column, Table

from fast_style.cli.app import Flag
from fast_style.styles.catalog import find_style, own_paths, shipped_styles


def styles(*, json: Flag = False) -> None:
    """List the styles of fast-style and of the studio.

    Args:
        json: Print the cards as JSON.
    """
    listed = [*map(find_style, own_paths()), *shipped_styles()]
    if json:
        print(json_module.dumps([{"name": style.name, "path": str(style.path), **style.card} for style in listed]))
        return
    # In a narrow window the painting's title gives way: the style's name is what a user types.
    table = Table(Column("style", no_wrap=True), "painting", "artist", "year", "network", "size", box=None)
    for style in listed:
        paintings = list(style.paintings.values())
        painting = paintings[0] if len(paintings) == 1 else {"title": ", ".join(style.styles)}
        table.add_row(
            style.name,
            *(str(painting.get(key, "")) for key in ("title", "artist", "year")),
            str(style.card.get("network", "")),
            f"{style.path.stat().st_size / 1e6:.1f} MB",
        )
    Console().print(table)
