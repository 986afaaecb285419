"""``fast-style sheet``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.errors import InputError
from fast_style.graph import Device
from fast_style.images import Picture, check_target, load_image, save_image
from fast_style.runtime.stylizer import Stylizer
from fast_style.sheet import Tile, grid
from fast_style.styles import shipped_styles


def sheet(
    photo: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    style: Annotated[list[str] | None, Parameter(name=["--style", "-s"], consume_multiple=True, negative="")] = None,
    size: int = 512,
    columns: int | None = None,
    device: Device = "auto",
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Lay every style on one photo, labelled.

    Args:
        photo: The photo.
        out: The sheet: .png, .jpg or .webp.
        style: Names or ONNX files; by default every shipped style.
        size: Long side of each picture, px.
        columns: Pictures in a row.
        device: auto, cpu, cuda, ….
        force: Overwrite a file that exists.
    """
    names = style or [shipped.name for shipped in shipped_styles()]
    if not names:
        raise InputError("no styles ship with this copy", hint="Give your own with --style.")
    check_target(out, force=force)
    picture = load_image(photo, size=size)
    tiles = [Tile(picture.pixels, "photo")]
    for name in names:
        stylizer = Stylizer(name, device=device)
        tiles.append(Tile(stylizer.frame(picture.pixels), stylizer.style.name))
    save_image(Picture(grid(tiles, columns=columns, text=18)), out)
    print(f"{out}")
