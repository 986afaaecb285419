"""``fast-style inspect layers``."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from fast_style.cli.inspect import Flag, OptionalTarget, Source, save, split_names
from fast_style.errors import InputError
from fast_style.images import Picture, check_target, load_image
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
    """List the layers of a network; or, with --style and --photo, how much the two differ at each.

    The difference is that of their Gram matrices, |P - S|² / (|P|² + |S|²): 0 is equal, 1 nothing in common.

    Args:
        source: The network.
        size: Side of the picture for the table, px (224); with a photo, its long side (512).
        style: A painting.
        photo: A photo.
        style_size: Shrink the painting's long side to this many px.
        layer: Layers to compare; several as --layer A --layer B or --layer A,B. By default every ReLU of a VGG,
            every convolution of another network.
        out: A bar chart to write.
        force: Overwrite OUT.
        json: Print the figures as JSON.
    """
    if (style is None) != (photo is None):
        raise InputError("--style and --photo go together", hint="Give both, or neither for the table.")
    if (size is not None and size < 1) or style_size < 1:
        raise InputError("expected a --size and a --style-size of at least 1 px")
    if style is not None and photo is not None:
        if out is not None:
            check_target(out, force=force)
        painting = load_image(style, size=style_size, opaque=True)
        picture = load_image(photo, size=size or 512, opaque=True)
        differences = _compare(source, picture, painting, split_names(layer or []))
        if out is not None:
            titles = [f"{path.name}, {max(image.size)} px" for path, image in ((photo, picture), (style, painting))]
            _draw(dict(zip(titles, (picture, painting), strict=True)), differences, source.model, out)
        record = {"model": source.model, "style": str(style), "photo": str(photo), "differences": differences}
        table = Table("layer", "difference", box=None)
        for name, value in differences.items():
            table.add_row(name, f"{value:.3f}")
    elif out is not None or layer:
        raise InputError("the table of layers is text; -o and --layer are for --style and --photo")
    else:
        record, table = _table(source, size or 224)
    if json:
        print(json_module.dumps(record))
        return
    Console().print(table)
    if out is not None:
        print(out)


def _compare(source: Source, photo: Picture, painting: Picture, names: list[str]) -> dict[str, float]:
    from fast_style.inspect import gram_differences, to_tensor  # imports torch

    network = source.load(names)
    first, second = (to_tensor(picture.pixels, network.device) for picture in (photo, painting))
    return gram_differences(network, first, second, names or None)


def _draw(pictures: dict[str, Picture], differences: dict[str, float], model: str, out: Path) -> None:
    from fast_style.inspect import drawing

    tiles = [Tile(drawing.within(picture.pixels, 200), title) for title, picture in pictures.items()]
    rows = [(name, value, f"{value:.3f}") for name, value in differences.items()]
    bars = drawing.bars(rows, heading=f"how far their Gram matrices are apart ({model})")
    save(beside(grid(tiles, columns=1), bars), out)


def _table(source: Source, size: int) -> tuple[dict[str, Any], Table]:
    from fast_style.inspect import layer_table  # imports torch

    # Shapes do not depend on the weights, so random ones will do: nothing needs to be downloaded.
    rows = layer_table(source.load(pretrained=False), size=size)
    table = Table("layer", "kind", "output", "sees, px", "parameters", "M multiply-adds", box=None)
    for row in rows:
        sees = "all" if row.receptive_field is None else "×".join(map(str, dict.fromkeys(row.receptive_field)))
        table.add_row(
            row.name, row.kind, "×".join(map(str, row.shape)), sees, f"{row.parameters:,}", f"{row.macs / 1e6:,.1f}"
        )
    return {"model": source.model, "size": size, "layers": [asdict(row) for row in rows]}, table
