"""``fast-style inspect features``."""

from __future__ import annotations

import itertools
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fast_style.cli.inspect import (
    ColorName,
    DeviceName,
    Flag,
    Names,
    PoolingName,
    Target,
    save,
    split_names,
)
from fast_style.errors import InputError
from fast_style.images import Pixels, check_target, load_image
from fast_style.sheet import Tile, beside, grid

if TYPE_CHECKING:
    from fast_style.inspect.features import Maps

Normalization = Literal["each", "joint", "logistic"]

_HOW = {
    "each": "each map from its own least to its own greatest value",
    "joint": "all maps on one scale",
    "logistic": "each map standardized, then the logistic function",
}


def features(
    photo: Path,
    *,
    layer: Names,
    out: Target,
    channels: str | None = None,
    show: Literal["grid", "map", "overlay"] = "grid",
    normalize: Normalization = "each",
    colors: ColorName | None = None,
    photo_size: Flag = False,
    size: int = 512,
    tile: int = 128,
    columns: int | None = None,
    model: str = "caffe-vgg19",
    pooling: PoolingName = "avg",
    device: DeviceName = "auto",
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Show what each channel of a layer sees in a photo.

    One layer gives a grid beside the photo; several give a strip, a column for each.

    Args:
        photo: The photo.
        layer: A layer's name; several as --layer A --layer B or --layer A,B.
        out: The picture to write.
        channels: all, top:16 (the most active on average), or numbers and ranges: 3, 0-63, 1,5,8-11. By default
            top:16, and top:4 of each of several layers.
        show: grid; map: one channel alone, at its own size; overlay: one channel over the photo.
        normalize: each map on its own, all jointly, or by the logistic function of the standardized map.
        colors: By default fire for a grid, grey for a map, rainbow for an overlay.
        photo_size: Enlarge a map to the photo's size.
        size: Shrink the photo's long side to this many px first.
        tile: Long side of a map in the grid, px.
        columns: Columns of the grid.
        model: caffe-vgg19, efficientnet-lite0, a VGG's .pth, or a torchvision classifier.
        pooling: avg or max, of the VGG.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
        json: Print shapes and means for machines.
    """
    check_target(out, force=force)
    names = split_names(layer)
    if size < 1 or not 16 <= tile <= 1024 or (columns is not None and columns < 1):
        raise InputError("expected a size and columns from 1 up, and a tile of 16 to 1024 px")
    pixels = load_image(photo, size=size, opaque=True).pixels

    from fast_style import inspect as look  # imports torch
    from fast_style.inspect import drawing

    network = look.load_network(model, layers=names, pooling=pooling, device=look.pick_device(device))
    image = look.to_tensor(pixels, network.device)
    found = {name: maps[0] for name, maps in look.feature_maps(network, image, *names).items()}
    wanted = channels or ("top:16" if len(names) == 1 else "top:4")
    chosen = {name: look.parse_channels(wanted, maps, name) for name, maps in found.items()}

    if show == "grid":
        thumb = drawing.within(pixels, tile)
        tiles = {
            name: _tiles(name, maps, chosen[name], thumb, normalize=normalize, colors=colors or "fire")
            for name, maps in found.items()
        }
        shapes = {name: "×".join(map(str, maps.shape)) for name, maps in found.items()}
        if len(names) == 1:
            heading = f"{names[0]} of {model}, {shapes[names[0]]} (channels × height × width); {_HOW[normalize]}"
            left = drawing.within(pixels, max(2 * tile, 256))
            sheet = _grid(tiles[names[0]], left, heading, columns=columns)
        else:
            heading = f"{model}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            sheet = _strip(list(tiles.values()), thumb, heading)
    else:
        picked = chosen[names[0]]
        if len(names) > 1 or (len(picked) > 1 and channels is not None):
            raise InputError(f"--show {show} takes one layer and one channel", hint="Such as --channels 12.")
        chosen = {names[0]: picked[:1]}
        scaled = look.normalize_maps(found[names[0]][picked[:1]], normalize)[0]
        if show == "overlay":
            over = drawing.overlay(pixels, scaled, colors or "rainbow")
            sheet = grid([Tile(over, f"{names[0]} channel {picked[0]} of {model}")])
        else:
            height, width = pixels.shape[:2]
            sheet = drawing.colorize(
                drawing.enlarge(scaled, (width, height)) if photo_size else scaled, colors or "grey"
            )
    save(sheet, out)
    if json:
        print(
            json_module.dumps(
                {"photo": str(photo), "model": model, "layers": _figures(found, chosen), "output": str(out)}
            )
        )
    else:
        for name, maps in found.items():
            shape = "×".join(map(str, maps.shape))
            print(f"{name}: {shape} (channels × height × width), most active {look.rank_channels(maps)[:5]}")
        print(out)


def _figures(found: dict[str, Maps], chosen: dict[str, list[int]]) -> dict[str, Any]:
    return {
        name: {
            "shape": list(maps.shape),
            "channels": [
                {"channel": c, "mean": float(maps[c].mean()), "max": float(maps[c].max())} for c in chosen[name]
            ],
        }
        for name, maps in found.items()
    }


def _tiles(
    name: str, maps: Maps, channels: list[int], thumb: Pixels, *, normalize: Normalization, colors: ColorName
) -> list[Tile]:
    """The chosen maps of one layer, coloured, at the thumbnail's size."""
    from fast_style.inspect import drawing, normalize_maps

    scaled = normalize_maps(maps[channels], normalize)
    return [
        Tile(_like(drawing.colorize(values, colors), thumb), f"{name} ch {channel}")
        for channel, values in zip(channels, scaled, strict=True)
    ]


def _grid(tiles: list[Tile], photo: Pixels, heading: str, *, columns: int | None) -> Pixels:
    """The photo, and beside it the maps of one layer."""
    left = grid([Tile(photo, "the photo")], columns=1)
    return beside(left, grid(tiles, columns=columns or (4 if len(tiles) <= 16 else 8), heading=heading))


def _strip(layers: list[list[Tile]], photo: Pixels, heading: str) -> Pixels:
    """A column for each layer, and the photo before them."""
    blank = Tile(np.full_like(photo, 255))
    rows = itertools.zip_longest(*layers, fillvalue=blank)
    sheet = grid([shown for row in rows for shown in row], columns=len(layers), heading=heading)
    return beside(grid([Tile(photo, "the photo")]), sheet)


def _like(pixels: Pixels, thumb: Pixels) -> Pixels:
    """Bring a map to the photo's shape in the sheet: borders and odd sizes make theirs differ by a pixel."""
    from fast_style.inspect import drawing

    return drawing.resized(pixels, (thumb.shape[1], thumb.shape[0]))
