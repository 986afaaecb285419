"""``fast-style inspect``: one module a verb, loaded only when that verb is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from fast_style.images import Picture, save_image

if TYPE_CHECKING:
    from fast_style.images import Pixels

Target = Annotated[Path, Parameter(name=["--out", "-o"])]
OptionalTarget = Annotated[Path | None, Parameter(name=["--out", "-o"])]
Flag = Annotated[bool, Parameter(negative="")]
Names = Annotated[list[str], Parameter(name="--layer")]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
ColorName = Literal["fire", "rainbow", "grey"]
PoolingName = Literal["avg", "max"]

VERBS = {
    "features": "Show what each channel of a layer sees in a photo.",
    "maximize": "Make the picture that excites a channel most, from noise or from a photo.",
    "classify": "Name what is in a photo.",
    "gradcam": "Show where in a photo a class is seen.",
    "layers": "List the layers that can be asked for, or those that tell a painting from a photo.",
}

inspect = App(name="inspect", help="Look inside the perceptual network, and into torchvision's classifiers.")
for _verb, _help in VERBS.items():
    inspect.command(f"fast_style.cli.inspect.{_verb}:{_verb}", name=_verb, help=_help)


def split_names(names: list[str]) -> list[str]:
    """Take ``--layer a --layer b`` and ``--layer a,b`` alike; each name once."""
    return list(dict.fromkeys(part.strip() for name in names for part in name.split(",") if part.strip()))


def save(pixels: Pixels, out: Path) -> None:
    """Write a picture."""
    save_image(Picture(pixels), out, quality=85)
