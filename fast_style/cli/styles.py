"""``fast-style styles``."""

from rich.console import Console
from rich.table import Column, Table

from fast_style.errors import ModelError
from fast_style.styles.card import read_card
from fast_style.styles.catalog import Style, own_paths, shipped_paths


def styles() -> None:
    """List the styles of fast-style and of the studio."""
    # In a narrow window the painting's title gives way: the style's name is what a user types.
    table = Table(Column("style", no_wrap=True), "painting", "artist", "year", "network", "size", box=None)
    for name, path in (own_paths() | shipped_paths()).items():
        try:
            style = Style(name, path, read_card(path))
        except ModelError as error:
            table.add_row(name, f"{error}. {error.hint}")
            continue
        paintings = list(style.paintings.values())
        painting = paintings[0] if len(paintings) == 1 else {"title": ", ".join(style.styles)}
        table.add_row(
            style.name,
            *(str(painting.get(key, "")) for key in ("title", "artist", "year")),
            str(style.card.get("network", "")),
            f"{style.path.stat().st_size / 1e6:.1f} MB",
        )
    console = Console(markup=False, emoji=False)  # what a card says is not rich's to read
    if not console.is_terminal:
        console.width = 10_000  # grep and files need whole titles
    console.print(table)
