"""``fast-style optimize``."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from fast_style.cli.app import DONE, INTERRUPTED, print_error
from fast_style.errors import InputError
from fast_style.images import Picture, check_target, load_image, save_image, to_uint8

if TYPE_CHECKING:
    from fast_style.losses import Objective
    from fast_style.optimize import Outcome, Settings, Step


@Parameter(name="*")
@dataclass(frozen=True)
class Changes:
    """What is changed in the preset; None changes nothing.

    Args:
        strength: Multiplies the style: 0.5 a hint, 2 bold.
        content_weight: Instead of the preset's.
        style_weight: Instead of the preset's.
        tv_weight: Instead of the preset's; larger is smoother.
        content_layers: Instead of the preset's, such as relu3_3,relu4_2.
        style_layers: Instead of the preset's, such as relu1_1,relu2_1.
        content_layer_weights: One for each content layer.
        style_layer_weights: One for each style layer; equal ones if only other layers are given.
        pooling: avg or max, instead of the preset's.
    """

    strength: float | None = None
    content_weight: float | None = None
    style_weight: float | None = None
    tv_weight: float | None = None
    content_layers: str | None = None
    style_layers: str | None = None
    content_layer_weights: str | None = None
    style_layer_weights: str | None = None
    pooling: Literal["avg", "max"] | None = None

    def given(self) -> dict[str, Any]:
        """Those that were given, as the objective takes them."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        for key in values:
            if key.endswith("_layers"):
                values[key] = tuple(name.strip() for name in values[key].split(",") if name.strip())
            elif key.endswith("_layer_weights"):
                values[key] = _numbers(values[key], key)
        if "style_layers" in values:  # the preset's weights are of its own layers
            values.setdefault("style_layer_weights", (1.0,) * len(values["style_layers"]))
        return values


@Parameter(name="*")
@dataclass(frozen=True)
class Course:
    """How the picture is optimised.

    Args:
        optimizer: lbfgs or adam.
        iterations: Iterations at the coarsest scale; each finer one gets half as many.
        size: Long side of the result, px; a smaller photo keeps its size.
        style_size: Long side of the paintings, px: larger gives larger strokes.
        init: Start from the photo, from noise, or from the painting.
        scales: How many sizes, each twice the one before; by default above 512 px it starts with half.
        learning_rate: Adam's.
        seed: Seed of the noise.
    """

    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    iterations: int = 200
    size: int = 512
    style_size: int = 512
    init: Literal["photo", "noise", "style"] = "photo"
    scales: int | None = None
    learning_rate: float = 0.02
    seed: int = 0


def optimize(
    content: Path,
    /,
    *styles: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    preset: Literal["bold", "balanced", "gatys", "johnson", "d2l"] = "bold",
    course: Course = Course(),
    style_shares: str | None = None,
    changes: Changes = Changes(),
    vgg: str = "caffe-vgg19",
    precision: Literal["32", "bf16"] = "32",
    device: str = "auto",
    keep_colors: Annotated[bool, Parameter(negative="")] = False,
    snapshots: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Optimise one picture after Gatys et al.: slow, any painting, and the reference a trained style is held to.

    Ctrl-C stops and saves the best picture so far. Lists are separated by commas.

    Args:
        content: The photo.
        styles: One painting or several.
        out: The picture to write.
        preset: bold is what 'train' minimises, balanced what it does for johnson; gatys, johnson and d2l are the
            papers' and the book's.
        course: How the picture is optimised.
        style_shares: Share of each painting, such as 2,1.
        changes: What is changed in the preset.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        precision: bf16 runs the perceptual network in bfloat16.
        device: auto, cpu, cuda, …
        keep_colors: Take only brightness from the style.
        snapshots: A folder for a picture every ten iterations, losses.csv and losses.png.
        force: Overwrite results that exist.
        json: Print what was done for machines.
    """
    if not styles:
        raise InputError("no painting was given", hint="fast-style optimize PHOTO PAINTING -o OUT.png")
    check_target(out, force=force)
    if snapshots is not None and (snapshots / "losses.csv").exists() and not force:
        raise InputError(f"{snapshots} holds another run's snapshots", hint="Give --force to overwrite them.")
    photo = load_image(content)
    paintings = [load_image(path, opaque=True).pixels for path in styles]

    # These import torch.
    from fast_style.optimize import Settings, optimize_picture, write_curve, write_losses
    from fast_style.optimize import preset as find_preset

    objective = replace(find_preset(preset), **changes.given())
    settings = Settings(objective=objective, vgg=vgg, precision=precision, device=device, **asdict(course))
    if snapshots is not None:
        snapshots.mkdir(parents=True, exist_ok=True)
    with _Progress(settings, max(photo.size), snapshots) as progress:
        outcome = optimize_picture(
            photo.pixels,
            paintings,
            settings,
            style_shares=_numbers(style_shares, "style_shares"),
            colors=keep_colors,
            on_step=progress,
        )
    save_image(Picture(outcome.pixels, icc_profile=photo.icc_profile, exif=photo.exif), out)
    if snapshots is not None:
        write_losses(outcome.steps, snapshots / "losses.csv")
        write_curve(outcome.steps, snapshots / "losses.png")
    print(json_module.dumps(_record(outcome, out, objective)) if json else out)
    if outcome.interrupted:
        print_error(f"interrupted after {len(outcome.steps)} iterations; {out} holds the best so far", None)
        return INTERRUPTED
    return DONE


def _record(outcome: Outcome, out: Path, objective: Objective) -> dict[str, Any]:
    last = outcome.steps[-1] if outcome.steps else None
    return {
        "output": str(out),
        "iterations": len(outcome.steps),
        "interrupted": outcome.interrupted,
        "losses": last.terms if last else None,
        "seconds": round(last.seconds, 3) if last else 0.0,
        "objective": asdict(objective),
    }


class _Progress:
    """A bar with the losses on a terminal, a line now and then elsewhere; and the snapshots."""

    LINES, SNAPSHOT_EVERY = 10, 10

    def __init__(self, settings: Settings, long_side: int, snapshots: Path | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from fast_style.optimize import scale_sizes
        from fast_style.optimize.run import iterations_total

        self.console = Console(stderr=True)
        self.total = iterations_total(settings, len(scale_sizes(min(settings.size, long_side), settings.scales)))
        self.snapshots, self.done = snapshots, 0
        self.progress = Progress(
            TextColumn("optimizing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.progress.add_task("", total=self.total, losses="")

    def __enter__(self) -> _Progress:
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.progress.stop()

    def __call__(self, step: Step) -> None:
        self.done += 1
        losses = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
        self.progress.update(self.task, completed=self.done, losses=losses)
        if not self.console.is_terminal and self.done % max(1, self.total // self.LINES) == 0:
            self.console.print(f"iteration {self.done}/{self.total}  {losses}", highlight=False)
        if self.snapshots is not None and self.done % self.SNAPSHOT_EVERY == 0:
            pixels = to_uint8(step.image.cpu().numpy())
            save_image(Picture(pixels), self.snapshots / f"{self.done:05d}.png")


def _numbers(given: str | None, option: str) -> tuple[float, ...] | None:
    try:
        return None if given is None else tuple(float(number) for number in given.split(","))
    except ValueError as error:
        raise InputError(f"{option} is {given!r}; expected numbers separated by commas, such as 2,1") from error
