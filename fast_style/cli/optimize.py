"""``fast-style optimize``."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from fast_style.cli.app import DONE, INTERRUPTED, SOME_FAILED, Flag, Out, print_error
from fast_style.cli.ui.progress import LossProgress
from fast_style.errors import InputError
from fast_style.images import check_target, fit, load_image, save_image
from fast_style.optimize import PRESETS, Settings, optimize_picture
from fast_style.painting import check_painting_size
from fast_style.stylize import Stylizer


@Parameter(name="*")
@dataclass(frozen=True)
class Changes:
    """Changes to the preset.

    Args:
        strength: Multiplies the style: 0.5 a hint, 2 bold.
        content_weight: Weight of the content.
        style_weight: Weight of the style.
        content_layers: Layers of the content, such as relu3_3,relu4_2.
        style_layers: Layers of the style, with equal weights, such as relu1_1,relu2_1.
    """

    strength: float | None = None
    content_weight: float | None = None
    style_weight: float | None = None
    content_layers: str | None = None
    style_layers: str | None = None

    def values(self) -> dict[str, Any]:
        """Return the changes as fields of the objective."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        for key in values.keys() & {"content_layers", "style_layers"}:
            values[key] = tuple(name.strip() for name in values[key].split(",") if name.strip())
        if "style_layers" in values:  # the preset's weights belong to its layers
            values["style_layer_weights"] = (1.0,) * len(values["style_layers"])
        return values


def optimize(
    photo: Path,
    painting: Path,
    *,
    out: Out,
    preset: Literal["bold", "balanced", "gatys", "johnson"] = "bold",
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),
    from_style: str | None = None,
    changes: Changes = Changes(),
    keep_colors: Flag = False,
    force: Flag = False,
) -> int:
    """Stylize one photo by optimizing its pixels: slow, and the reference for quality.

    It is the method of Gatys et al., for any painting. Ctrl-C stops and saves the best picture so far. Lists are
    separated by commas.

    Args:
        photo: The photo.
        painting: The painting.
        out: The picture to write.
        preset: bold is the objective of 'train', balanced that of 'train --network johnson'; gatys and johnson are
            those of the papers.
        settings: How the picture is optimized.
        from_style: A style that first stylizes the photo. The optimization then refines the result, at full size only,
            and a tenth of the iterations is enough.
        changes: Changes to the preset.
        keep_colors: Take only brightness from the style.
        force: Overwrite an existing file.
    """
    if from_style is not None and settings.init != "photo":
        raise InputError("--from-style and --init both say what to start from; give one of them")
    check_target(out, force=force, inputs=[photo, painting])
    picture, style = load_image(photo, opaque=True), load_image(painting, opaque=True)
    check_painting_size(style.size, str(painting))
    objective = replace(PRESETS[preset], **changes.values())
    long_side = min(settings.size, max(picture.size))
    start = None
    if from_style is not None:
        start = Stylizer(from_style).picture(fit(picture, long_side)).pixels
    total = sum(iterations for _, iterations in settings.iterations_at(long_side, objective, refine=start is not None))
    bar = LossProgress(Console(stderr=True), "optimizing", "iteration", total)
    with bar.progress:
        outcome = optimize_picture(
            picture.pixels,
            style.pixels,
            objective,
            settings,
            start=start,
            colors=keep_colors,
            on_step=lambda step: bar.advance(step.terms),
        )
    save_image(replace(picture, pixels=outcome.pixels), out)
    print(out)
    if outcome.interrupted:
        print_error(f"interrupted after {bar.done} iterations; {out} holds the best picture so far")
    if outcome.exhausted:
        said = f"memory ran out after {bar.done} iterations; {out} holds the best picture so far"
        print_error(said, "Give a smaller --size.")
        return SOME_FAILED
    return INTERRUPTED if outcome.interrupted else DONE
