"""``fast-style inspect features``."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fast_style.cli.app import Flag, Out
from fast_style.cli.inspect import Channels, Source
from fast_style.errors import InputError, check_least
from fast_style.images import Picture, Pixels, check_target, load_image, save_image
from fast_style.sheet import Tile, beside, grid

if TYPE_CHECKING:
    from fast_style.inspect.features import Maps

# Long side of a map in the grid, px.
TILE = 128


def features(
    photo: Path,
    *,
    layer: list[str],
    out: Out,
    channel: Channels = None,
    top: int | None = None,
    size: int = 512,
    source: Source = Source(),
    force: Flag = False,
) -> None:
    """Show what each channel of a layer sees in a photo.

    One layer gives a grid beside the photo; several give a strip with a column for each. Each map is stretched from its
    minimum to its maximum.

    Args:
        photo: The photo.
        layer: Name of a layer; several as --layer A --layer B or --layer A,B.
        out: The picture to write.
        channel: A channel; several as --channel 1 --channel 2. By default the most active ones.
        top: Number of most active channels; by default 16, or 4 of each of several layers.
        size: Shrink the photo's long side to this many px first.
        source: The network.
        force: Overwrite OUT.
    """
    check_target(out, force=force, inputs=[photo])
    names = list(dict.fromkeys(part.strip() for name in layer for part in name.split(",") if part.strip()))
    if channel and top is not None:
        raise InputError("--channel names the channels, --top counts the most active ones; give one of them")
    top = top if top is not None else 16 if len(names) == 1 else 4
    check_least(1, size=size, top=top)
    pixels = load_image(photo, size=size, opaque=True).pixels

    from fast_style import inspect as look  # imports torch

    network = source.load(names)
    batches = look.feature_maps(network, look.to_tensor(pixels, network.device), *names)
    layers = {name: batch[0] for name, batch in batches.items()}
    for name, maps in layers.items():
        for number in channel or ():
            look.check_channel(number, len(maps), name)
    chosen = {name: channel or look.rank_channels(maps)[:top] for name, maps in layers.items()}
    save_image(Picture(_sheet(pixels, layers, chosen, source.model)), out, quality=85)
    for name, maps in layers.items():
        print(f"{name}: {_shape(maps)} (channels × height × width), most active {look.rank_channels(maps)[:5]}")
    print(out)


def _sheet(pixels: Pixels, layers: dict[str, Maps], chosen: dict[str, list[int]], model: str) -> Pixels:
    """Draw one layer beside the photo, or a column for each of several."""
    from fast_style.inspect import drawing, normalize_maps

    thumb = drawing.within(pixels, TILE)
    # Borders and odd sizes make the shape of maps differ from the photo's by a pixel.
    size = thumb.shape[1], thumb.shape[0]
    columns = [
        [
            Tile(drawing.resized(drawing.colorize(values), size), f"{name} ch {channel}")
            for channel, values in zip(chosen[name], normalize_maps(maps[chosen[name]]), strict=True)
        ]
        for name, maps in layers.items()
    ]
    heading = f"{model}: " + ", ".join(f"{name} {_shape(maps)}" for name, maps in layers.items())
    if len(columns) == 1:
        thumb = drawing.within(pixels, 2 * TILE)
        maps = grid(columns[0], columns=4 if len(columns[0]) <= 16 else 8, heading=heading)
    else:
        rows = itertools.zip_longest(*columns, fillvalue=Tile(np.full_like(thumb, 255)))
        maps = grid([tile for row in rows for tile in row], columns=len(columns), heading=heading)
    return beside(grid([Tile(thumb, "the photo")]), maps)


def _shape(maps: Maps) -> str:
    return "×".join(map(str, maps.shape))
