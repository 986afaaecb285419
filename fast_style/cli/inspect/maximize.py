"""``fast-style inspect maximize``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from fast_style.cli.app import Flag, Out
from fast_style.cli.inspect import Channels, Source
from fast_style.images import Picture, check_target, load_image, save_image, to_uint8
from fast_style.inspect import Growth, drawing, feature_maps, rank_channels, to_tensor
from fast_style.inspect import maximize as grow
from fast_style.sheet import Tile, grid

# Number of channels shown of those most active in a photo.
UNITS = 10


def maximize(
    photo: Path | None = None,
    *,
    layer: str,
    out: Out,
    channel: Channels = None,
    growth: Annotated[Growth, Parameter(name="*")] = Growth(),
    source: Source = Source(),
    force: Flag = False,
) -> None:
    """Make the picture that excites a channel most.

    It grows from noise in STEPS steps. With a PHOTO: pictures for the ten channels most active in it.

    Args:
        photo: The photo whose most active channels to take.
        layer: Name of the layer.
        out: The picture to write.
        channel: The channel; several as --channel 1 --channel 2.
        growth: How the picture is grown.
        source: The network.
        force: Overwrite OUT.
    """
    check_target(out, force=force, inputs=[photo] if photo is not None else [])
    picture = load_image(photo, size=384, opaque=True) if photo is not None else None
    network = source.load([layer])
    if picture is not None and not channel:
        image = to_tensor(picture.pixels, network.device)
        channel = rank_channels(feature_maps(network, image, layer)[layer][0])[:UNITS]
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("growing", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        result = grow(network, layer, channel or [], growth, progress=progress)
    tiles, lines = [], []
    for pixels, number, rms, raw in zip(result.pictures, result.channels, result.scores, result.reached, strict=True):
        tiles.append(Tile(to_uint8(pixels[None]), f"{layer} channel {number}\nrms {_short(rms)}"))
        lines.append(f"{layer} channel {number}: root mean square {_short(rms)}, unclamped {_short(raw)}")
    columns, heading = 5, source.model
    if picture is not None:
        tiles.insert(0, Tile(drawing.within(picture.pixels, result.pictures.shape[-1]), "the photo"))
        columns, heading = 6, f"{source.model}: the channels of {layer} most active in the photo"
    sheet = grid(tiles, columns=min(len(tiles), columns), heading=heading)
    save_image(Picture(sheet), out, quality=85)
    print(*lines, out, sep="\n")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
