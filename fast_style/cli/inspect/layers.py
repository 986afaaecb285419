"""``fast-style inspect layers``."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from fast_style.cli.inspect import Flag, OptionalTarget, Source, save, split_names
from fast_style.errors import InputError
from fast_style.images import Picture, Pixels, check_target, load_image
from fast_style.sheet import Tile, beside, grid

SOURCE = Source()


def layers(
    *,
    source: Source = SOURCE,
    size: int | None = None,
    style: Path | None = None,
    photo: Path | None = None,
    style_size: int = 512,
    layer: Annotated[list[str] | None, Parameter(name="--layer")] = None,
    out: OptionalTarget = None,
    force: Flag = False,
    json: Flag = False,
) -> None:
    """List the layers that can be asked for; or, with --style and --photo, how the two differ at each.

    The difference is that of their Gram matrices, |P - S|² / (|P|² + |S|²): 0 is equal, 1 nothing in common.

    Args:
        source: The network.
        size: Side of the picture that the table is for, px (224); with a photo, its long side (512).
        style: A painting.
        photo: A photo.
        style_size: Shrink the painting's long side to this many px.
        layer: Layers to compare at; several as --layer A --layer B or --layer A,B. By default every ReLU of a VGG,
            every convolution of another network.
        out: A picture with bars to write.
        force: Overwrite OUT.
        json: Print the figures for machines.
    """
    if (style is None) != (photo is None):
        raise InputError("--style and --photo go together", hint="Give both, or neither for the table.")
    if (size is not None and size < 1) or style_size < 1:
        raise InputError("expected a --size and a --style-size of 1 px or more")
    if style is None or photo is None:
        if out is not None or layer:
            raise InputError("the table of layers is text; -o and --layer are for --style and --photo")
        _table(source, size or 224, json=json)
        return
    if out is not None:
        check_target(out, force=force)
    painting = load_image(style, size=style_size, opaque=True)
    picture = load_image(photo, size=size or 512, opaque=True)

    from fast_style import inspect as look  # imports torch

    names = split_names(layer or [])
    network = source.load(names)
    first, second = (look.to_tensor(image.pixels, network.device) for image in (picture, painting))
    differences = look.gram_differences(network, first, second, names or None)
    if out is not None:
        shown = {f"{photo.name}, {max(picture.size)} px": picture, f"{style.name}, {max(painting.size)} px": painting}
        save(_bars(shown, differences, f"how far their Gram matrices are apart ({source.model})"), out)
    if json:
        record = {"model": source.model, "style": str(style), "photo": str(photo), "differences": differences}
        print(json_module.dumps(record))
        return
    table = Table("layer", "difference", box=None)
    for name, value in differences.items():
        table.add_row(name, f"{value:.3f}")
    Console().print(table)
    if out is not None:
        print(out)


def _bars(pictures: dict[str, Picture], differences: dict[str, float], heading: str) -> Pixels:
    from fast_style.inspect import drawing

    tiles = [Tile(drawing.within(picture.pixels, 200), title) for title, picture in pictures.items()]
    rows = [(name, value, f"{value:.3f}") for name, value in differences.items()]
    return beside(grid(tiles, columns=1), drawing.bars(rows, heading=heading))


def _table(source: Source, size: int, *, json: bool) -> None:
    from fast_style.inspect import layer_table  # imports torch

    # Random weights will do: shapes do not depend on them, and nothing need be downloaded.
    rows = layer_table(source.load(pretrained=False), size=size)
    if json:
        print(json_module.dumps({"model": source.model, "size": size, "layers": [row.as_dict() for row in rows]}))
        return
    table = Table("layer", "kind", "output", "sees, px", "parameters", "M multiply-adds", box=None)
    for row in rows:
        sees = "all" if row.receptive_field is None else "×".join(map(str, dict.fromkeys(row.receptive_field)))
        table.add_row(
            row.name, row.kind, "×".join(map(str, row.shape)), sees, f"{row.parameters:,}", f"{row.macs / 1e6:,.1f}"
        )
    Console().print(table)
