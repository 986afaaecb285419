"""``fast-style sheet``."""

import itertools
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.cli.app import Flag, Out
from fast_style.errors import InputError
from fast_style.images import Picture, check_target, load_image, save_image
from fast_style.model.ground import Forms
from fast_style.model.session import Device
from fast_style.sheet import Tile, grid
from fast_style.styles.catalog import shipped_paths
from fast_style.stylize.checks import check_size
from fast_style.stylize.stylizer import Stylizer

_SEVERAL = Parameter(consume_multiple=True, show_default=False)


def sheet(
    photo: Path,
    *,
    out: Out,
    style: Annotated[list[str] | None, Parameter(name=["--style", "-s"], consume_multiple=True)] = None,
    size: int = 512,
    strength: Annotated[tuple[float, ...], _SEVERAL] = (),
    ground: Annotated[tuple[Forms, ...], _SEVERAL] = (),
    device: Device = "auto",
    force: Flag = False,
) -> None:
    """Show one photo in every style, labeled.

    Args:
        photo: The photo.
        out: The sheet: .png, .jpg or .webp.
        style: Names, ONNX files or mixtures such as udnie:0.3,starry-night:0.7; by default every shipped style.
        size: Long side of each picture, px.
        strength: Strengths, 0.25 to 4: one picture for each.
        ground: Grounds, of none, flow, panes and rings: one picture for each; with several strengths, for each pair.
        device: auto, cpu, cuda, ….
        force: Overwrite an existing file.
    """
    names = style or list(shipped_paths())
    if not names:
        raise InputError("no styles ship with this copy", hint="Give your own with --style.")
    check_target(out, force=force, inputs=[photo])
    check_size(size)
    picture = load_image(photo, size=size, opaque=True)
    tiles = [Tile(picture.pixels, "photo")]
    looks = list(itertools.product(strength or (None,), ground or (None,)))
    for name in names:
        stylizer = Stylizer(name, device=device)
        # Of several styles in one file, the file's name would not tell which were asked for.
        title = name.replace(",", ", ") if stylizer.network.weights else stylizer.style.name
        for each in looks:
            told = [f"{one:g}" if isinstance(one, float) else one for one in each if one is not None]
            label = "  ".join([title, *told])
            tiles.append(Tile(stylizer.mixed(None, *each).picture(picture).pixels, label))
    save_image(Picture(grid(tiles, text=18)), out)
    print(out)
