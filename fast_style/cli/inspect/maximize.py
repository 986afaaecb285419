"""``fast-style inspect maximize``."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fast_style.cli.inspect import DeviceName, Flag, PoolingName, Target, save
from fast_style.errors import InputError
from fast_style.images import Picture, Pixels, check_target, load_image, to_uint8
from fast_style.sheet import Tile, grid

if TYPE_CHECKING:
    from fast_style.inspect import Maximized, Network


def maximize(
    photo: Path | None = None,
    *,
    layer: str,
    out: Target,
    channel: Annotated[list[int] | None, Parameter(name="--channel")] = None,
    units: int = 10,
    dream: Flag = False,
    strip: Flag = False,
    bare: Flag = False,
    start: int | None = None,
    steps: int | None = None,
    factor: float | None = None,
    iterations: int | None = None,
    rate: float | None = None,
    intensity: float | None = None,
    edges: float | None = None,
    jitter: int | None = None,
    rotation: float | None = None,
    seed: int | None = None,
    octaves: int = 4,
    size: int = 384,
    model: str = "caffe-vgg19",
    pooling: PoolingName = "avg",
    device: DeviceName = "auto",
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Make the picture that excites a channel most.

    From noise, grown from START px in STEPS steps. With a PHOTO: pictures for the channels most active in it; with
    --dream: the photo itself, changed (DeepDream).

    Args:
        photo: Whose most active channels to take, or to dream on.
        layer: The layer's name.
        out: The picture to write.
        channel: The channel; several as --channel 1 --channel 2.
        units: How many of the most active channels of a photo.
        dream: Change the photo; without --channel for the whole layer.
        strip: Show the picture at several of the sizes it grew through.
        bare: Write the finished picture alone, without title.
        start: Side of the first picture, px (28).
        steps: How often it grows (45).
        factor: By how much each time (1.05).
        iterations: Optimizer steps at each size (20).
        rate: Learning rate of Adam (0.4), or the dream's step (0.005).
        intensity: Penalty on pixels far from grey.
        edges: Penalty on image gradients.
        jitter: Random shift in each step, px (0; a dream: 16).
        rotation: Random turn in each step, degrees (0).
        seed: Seed of the noise (0).
        octaves: Sizes of a dream (4).
        size: Shrink the photo's long side to this many px first.
        model: caffe-vgg19, efficientnet-lite0, a VGG's .pth, or a torchvision classifier.
        pooling: avg or max, of the VGG.
        device: auto, cpu, cuda or mps.
        force: Overwrite OUT.
        json: Print the scores for machines.
    """
    check_target(out, force=force)
    picture = load_image(photo, size=size, opaque=True) if photo is not None else None
    if picture is None and (dream or not channel):
        raise InputError("nothing to maximise", hint="Give --channel, or a PHOTO (with --dream to change it).")
    if strip and dream:
        raise InputError("--strip shows a picture that grows; a dream does not")
    if units < 1 or size < 1:
        raise InputError("expected --units and --size from 1 up")
    if dream and len(channel or []) > 1:
        raise InputError("a dream takes one --channel, or none for the whole layer")

    from fast_style import inspect as look  # imports torch

    network = look.load_network(model, layers=[layer], pooling=pooling, device=look.pick_device(device))
    if dream:
        assert picture is not None
        given = {"rate": rate, "jitter": jitter, "seed": seed, "iterations": iterations}
        record = _dream(network, picture, layer, channel, out, bare, {"octaves": octaves} | _given(given))
    else:
        ranked = channel or _most_active(network, picture, layer, units)
        growth = look.Growth(
            **_given(
                {
                    "start": start,
                    "steps": steps,
                    "factor": factor,
                    "iterations": iterations,
                    "rate": rate,
                    "intensity": intensity,
                    "edges": edges,
                    "jitter": jitter,
                    "rotation": rotation,
                    "seed": seed,
                }
            )
        )
        if bare and len(ranked) > 1:
            raise InputError("--bare writes one picture; give one --channel")
        with _progress("growing") as progress:
            result = look.maximize(network, layer, ranked, growth, progress=progress)
        save(to_uint8(result.pictures) if bare else _sheet(result, layer, model, strip, picture), out)
        record = {
            "size": growth.sizes[-1],
            "channels": [
                {"channel": c, "rms": round(score, 6), "rms_unclamped": round(reached, 6)}
                for c, score, reached in zip(result.channels, result.scores, result.reached, strict=True)
            ],
        }
    if json:
        print(json_module.dumps({"model": model, "layer": layer, **record, "output": str(out)}))
    else:
        for row in record.get("channels", []):
            print(f"{layer} channel {row['channel']}: root mean square {_short(row['rms'])}")
        print(out)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given; the library has the defaults of the others."""
    return {name: value for name, value in options.items() if value is not None}


def _most_active(network: Network, picture: Picture | None, layer: str, units: int) -> list[int]:
    from fast_style.inspect import feature_maps, rank_channels, to_tensor

    assert picture is not None
    return rank_channels(feature_maps(network, to_tensor(picture.pixels, network.device), layer)[layer][0])[:units]


def _dream(
    network: Network,
    picture: Picture,
    layer: str,
    channel: list[int] | None,
    out: Path,
    bare: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    from fast_style.inspect import dream as dream_of
    from fast_style.inspect import to_tensor

    which = channel[0] if channel else None
    with _progress("dreaming") as progress:
        dreamt = dream_of(
            network, to_tensor(picture.pixels, network.device), layer, which, progress=progress, **options
        )
    pixels = to_uint8(dreamt)
    title = f"{network.name} dreams of {layer}" + ("" if which is None else f" channel {which}")
    save(pixels if bare else grid([Tile(pixels, title)]), out)
    return {"dream": True, "channel": which, "size": list(picture.size)}


def _sheet(result: Maximized, layer: str, model: str, strip: bool, photo: Picture | None) -> Pixels:
    """Titled pictures: the finished ones, or for each channel a row of its growth."""
    from fast_style.inspect import drawing

    if strip:
        side = min(160, result.pictures.shape[-1])
        tiles = [
            Tile(drawing.within(to_uint8(stage[row : row + 1]), side), f"{layer} ch {channel}\n{stage.shape[-1]} px")
            for row, channel in enumerate(result.channels)
            for stage in result.growth
        ]
        return grid(tiles, columns=len(result.growth), heading=f"{model}: growing from noise")
    tiles = [
        Tile(to_uint8(result.pictures[row : row + 1]), f"{layer} channel {channel}\nrms {_short(score)}")
        for row, (channel, score) in enumerate(zip(result.channels, result.scores, strict=True))
    ]
    if photo is None:
        return grid(tiles, columns=min(len(tiles), 5), heading=model)
    shown = Tile(drawing.within(photo.pixels, result.pictures.shape[-1]), "the photo")
    heading = f"{model}: the channels of {layer} most active in the photo"
    return grid([shown, *tiles], columns=min(len(tiles) + 1, 6), heading=heading)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr with the time left."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
