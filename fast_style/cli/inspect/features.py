"""``fast-style inspect features``."""

from __future__ import annotations

import itertools
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fast_style.cli.inspect import (
    ColorName,
    Flag,
    Names,
    Source,
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

# Long side of a map in the grid, px.
TILE = 128
SOURCE = Source()


def features(
    photo: Path,
    *,
    layer: Names,
    out: Target,
    channels: str | None = None,
    show: Literal["grid", "map", "overlay"] = "grid",
    normalize: Normalization = "each",
    colors: ColorName | None = None,
    size: int = 512,
    source: Source = SOURCE,
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
        size: Shrink the photo's long side to this many px first.
        source: The network.
        force: Overwrite OUT.
        json: Print shapes and means for machines.
    """
    check_target(out, force=force)
    names = split_names(layer)
    if size < 1:
        raise InputError(f"size is {size}; expected at least 1")
    pixels = load_image(photo, size=size, opaque=True).pixels

    from fast_style import inspect as look  # imports torch

    network = source.load(names)
    found = {
        name: maps[0]
        for name, maps in look.feature_maps(network, look.to_tensor(pixels, network.device), *names).items()
    }
    wanted = channels or ("top:16" if len(names) == 1 else "top:4")
    chosen = {name: look.parse_channels(wanted, maps, name) for name, maps in found.items()}
    if show == "grid":
        sheet = _sheet(pixels, found, chosen, source.model, normalize, colors or "fire")
    else:
        picked = chosen[names[0]]
        if len(names) > 1 or (len(picked) > 1 and channels is not None):
            raise InputError(f"--show {show} takes one layer and one channel", hint="Such as --channels 12.")
        chosen = {names[0]: picked[:1]}
        scaled = look.normalize_maps(found[names[0]][picked[:1]], normalize)[0]
        title = f"{names[0]} channel {picked[0]} of {source.model}"
        sheet = _overlay(pixels, scaled, colors, title) if show == "overlay" else _map(scaled, colors)
    save(sheet, out)
    if json:
        record = {"photo": str(photo), "model": source.model, "layers": _figures(found, chosen), "output": str(out)}
        print(json_module.dumps(record))
        return
    for name, maps in found.items():
        shape = "×".join(map(str, maps.shape))
        print(f"{name}: {shape} (channels × height × width), most active {look.rank_channels(maps)[:5]}")
    print(out)


def _map(scaled: Maps, colors: ColorName | None) -> Pixels:
    from fast_style.inspect import drawing

    return drawing.colorize(scaled, colors or "grey")


def _overlay(pixels: Pixels, scaled: Maps, colors: ColorName | None, title: str) -> Pixels:
    from fast_style.inspect import drawing

    return grid([Tile(drawing.overlay(pixels, scaled, colors or "rainbow"), title)])


def _sheet(
    pixels: Pixels,
    found: dict[str, Maps],
    chosen: dict[str, list[int]],
    model: str,
    normalize: Normalization,
    colors: ColorName,
) -> Pixels:
    """One layer beside the photo, or a column for each of several."""
    from fast_style.inspect import drawing

    thumb = drawing.within(pixels, TILE)
    tiles = {
        name: _tiles(name, maps, chosen[name], thumb, normalize=normalize, colors=colors)
        for name, maps in found.items()
    }
    shapes = {name: "×".join(map(str, maps.shape)) for name, maps in found.items()}
    if len(tiles) > 1:
        heading = f"{model}: " + ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        return _strip(list(tiles.values()), thumb, heading)
    ((name, only),) = tiles.items()
    heading = f"{name} of {model}, {shapes[name]} (channels × height × width); {_HOW[normalize]}"
    photo = grid([Tile(drawing.within(pixels, 2 * TILE), "the photo")], columns=1)
    return beside(photo, grid(only, columns=4 if len(only) <= 16 else 8, heading=heading))


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
