"""``fast-style evaluate``."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from fast_style.cli.app import DONE, SOME_FAILED, report_error
from fast_style.errors import DatasetError, FastStyleError, ImageError, InputError, ModelError
from fast_style.files import replacing
from fast_style.images import (
    Picture,
    Pixels,
    find_images,
    find_photos,
    load_image,
    resize,
    save_image,
    to_float,
    to_uint8,
)

if TYPE_CHECKING:
    from rich.table import Table

    from fast_style.evaluate.evaluation import Evaluation
    from fast_style.evaluate.flicker import Flicker
    from fast_style.evaluate.models import Model
    from fast_style.evaluate.motion import Moment

# A clip's frames; two pictures of one scene and how far each pixel moves from one to the other.
Scenes = tuple[list[Pixels] | None, tuple[Pixels, Pixels, Any] | None]

SMALLEST = 128
MOVED_PHOTOS = 3
UNIT_PHOTOS = 24


def evaluate(
    *models: str,
    style: Path,
    photos: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("evaluation"),
    size: int = 256,
    limit: int = 8,
    iterations: int = 200,
    style_size: int = 640,
    preset: Literal["bold", "balanced", "gatys", "johnson", "d2l"] = "bold",
    vgg: str = "caffe-vgg19",
    keep_frame: Annotated[bool, Parameter(negative="")] = False,
    precision: Literal["32", "bf16"] = "32",
    value_range: Literal["0-1", "0-255", "-1-1"] | None = None,
    pictures: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    video: Path | None = None,
    frames: int = 30,
    steady: Annotated[bool, Parameter(negative="")] = False,
    stereo: Annotated[bool, Parameter(negative="")] = False,
    motion: Annotated[bool, Parameter(negative="")] = False,
    scene: Path | None = None,
    strength: Annotated[list[float] | None, Parameter(consume_multiple=True, negative="")] = None,
    cache: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Measure trained styles against the per-image reference, on photos they have not seen.

    Leaves report.html, report.json and sheet.png in OUT. The reference's pictures are cached, so that the first
    evaluation is slow and the next ones are quick.

    Args:
        models: Shipped names, .onnx and .ckpt files, and mixtures such as ten#udnie.
        style: The painting they were trained on.
        photos: A folder; use photos that were not trained on.
        out: Folder for the report.
        size: Side of the squares cut from the photos' middles, px.
        limit: How many photos are scored, evenly spread over the folder. At least 24 set the objective's units.
        iterations: How far the reference goes.
        style_size: Long side of the painting, px: the one of the training.
        preset: The objective: that of the models' training, so balanced for johnson.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        keep_frame: The painting was trained with the frame or border around it.
        precision: bf16 computes the reference in bfloat16; scores are always in float32.
        value_range: The values that an ONNX file from elsewhere takes and gives.
        pictures: NAME=FOLDER, once or several times: pictures of the same photos from another program, network or
            day, to be measured beside the models. Each is named like its photo, or NAME-PHOTO; its middle square is
            taken, as the photo's.
        video: A clip to measure flicker on.
        frames: How many frames of the clip are measured.
        steady: Measure flicker as 'stylize' draws films, too, without and with --steady; otherwise each frame is drawn
            by itself.
        stereo: Measure flicker on scikit-image's stereo pair, whose correspondence is exactly known.
        motion: Measure flicker on pans, zooms and layers of three of the photos, whose motion is exactly known.
        scene: A scene of scripts/render_scene to measure flicker on, whose motion is exactly known.
        strength: Strengths, at each of which the models are measured, if they learned that.
        cache: Folder of the reference's pictures; by default one in the user's cache.
        force: Overwrite a report in OUT.
        json: Print the report for machines.
    """
    if not models and not pictures:
        raise InputError("no model was given", hint="fast-style evaluate MODEL… --style PAINTING --photos DIR")
    for name, value, low in (("size", size, SMALLEST), ("limit", limit, 1), ("frames", frames, 2)):
        if value < low:
            raise InputError(f"{name} is {value}; expected at least {low}")
    if steady and video is None and scene is None and not motion:
        raise InputError("--steady is measured on moving pictures", hint="Give a clip with --video, or --motion.")
    if (out / "report.json").exists() and not force:
        raise InputError(f"{out} holds a report", hint="Give --force to overwrite it, or another -o.")
    scenes = _load_scenes(video, frames, stereo=stereo)  # fails now, not after the reference's minutes
    known = _load_motion(scene, motion=motion)
    # Three smooth photos alone would make roughness count several times what it did in the training.
    units, skipped = _load_photos(photos, size=size, limit=max(limit, UNIT_PHOTOS))
    for error in skipped:
        report_error(error)
    names = list(units)
    chosen = {names[index]: units[names[index]] for index in _spread(len(names), limit)}
    others = _load_pictures(pictures, list(chosen), size=size)

    # These import torch.
    from fast_style.evaluate.evaluation import evaluate as evaluate_models
    from fast_style.evaluate.models import check_size, open_model
    from fast_style.evaluate.reference import Course, Reference, default_cache
    from fast_style.optimize import preset as find_preset
    from fast_style.optimize.run import scaled
    from fast_style.training import find_canvas

    opened: list[Model] = []
    failures: list[FastStyleError] = []
    for given, shown in ((given, shown) for given in models for shown in strength or [1.0]):
        try:
            model = open_model(given, value_range=value_range, strength=shown)
            check_size(model, size)
            model.stylize(to_float(next(iter(chosen.values()))))  # fails now, not after the reference's minutes
            opened.append(model)
        except FastStyleError as error:
            failures.append(error)
            report_error(error)
    if models and not opened:
        raise ModelError("none of the models can be evaluated")
    opened = _distinct(opened)
    for model in opened:
        if model.name in others:
            raise InputError(f"a model and a folder of pictures are both called {model.name}")

    console = Console(stderr=True)
    painting = load_image(style, opaque=True).pixels
    canvas = find_canvas(painting)
    if canvas.box is not None and not keep_frame:  # as the training does
        left, top, right, bottom = canvas.box
        painting = painting[top:bottom, left:right]
        console.print(f"{style}: {canvas.note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    painting = scaled(painting, style_size)
    reference = Reference(
        painting,
        list(units.values()),
        objective=find_preset(preset),
        vgg=vgg,
        iterations=iterations,
        precision=precision,
        cache=cache or default_cache(),
    )
    done = 0

    def on_photo(name: str, course: Course) -> None:
        nonlocal done
        done += 1
        how = "from the cache" if course.cached else f"{course.seconds * iterations:.0f} s"
        console.print(f"reference {done}/{len(chosen)}  {name}  {how}", highlight=False, markup=False)

    evaluation = evaluate_models(opened, chosen, reference, pictures=others, on_photo=on_photo)
    if motion:
        known |= _move(list(chosen.values())[:MOVED_PHOTOS])
    flicker = _measure_flicker(opened, scenes, known, steady=steady)
    record = {
        "style": str(style),
        "settings": {
            "size": size,
            "style_size": style_size,
            "iterations": iterations,
            "preset": preset,
            "vgg": vgg,
            "precision": precision,
        },
        **evaluation.as_dict(),
        "flicker": flicker,
        "failed": [str(error) for error in (*failures, *skipped)],
    }
    _write(out, evaluation, painting, record)
    if json:
        print(json_module.dumps(record))
    else:
        _print(evaluation, flicker)
        print(out / "report.html")
    return SOME_FAILED if failures or skipped else DONE


def _spread(total: int, limit: int) -> list[int]:
    """Indices of at most ``limit`` out of ``total``, evenly spaced."""
    count = min(limit, total)
    return [index * total // count for index in range(count)]


def _load_photos(folder: Path, *, size: int, limit: int) -> tuple[dict[str, Pixels], list[ImageError]]:
    """Cut the middle squares of photos spread over a folder."""
    paths = find_photos(folder)
    chosen = [paths[index] for index in _spread(len(paths), limit)]
    found: dict[str, Pixels] = {}
    errors: list[ImageError] = []
    for path in chosen:
        try:
            found[str(path.relative_to(folder))] = _middle_square(path, size)
        except ImageError as error:
            errors.append(error)
    if not found:
        raise DatasetError(f"none of {len(chosen)} photos in {folder} could be used: {errors[0]}")
    return found, errors


def _middle_square(path: Path, size: int) -> Pixels:
    """Read a picture's middle square and bring it to a side of ``size`` px."""
    pixels = load_image(path, opaque=True).pixels
    height, width = pixels.shape[:2]
    side = min(height, width)
    if side < size // 2:
        raise ImageError(f"{path} of {width}×{height} px is too small for squares of {size} px")
    top, left = (height - side) // 2, (width - side) // 2
    square = Picture(pixels[top : top + side, left : left + side].copy())
    return resize(square, (size, size)).pixels


def _load_pictures(given: Sequence[str], photos: Sequence[str], *, size: int) -> dict[str, list[Pixels]]:
    """Read the pictures of each NAME=FOLDER, one for each photo, found by the photo's name without its suffix."""
    stems = [Path(photo).stem for photo in photos]
    if given and len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"two photos are called {twice}, so that --pictures cannot be matched to them by name")
    found: dict[str, list[Pixels]] = {}
    for entry in given:
        name, equals, folder = entry.partition("=")
        if not name or not equals or name in found or not Path(folder).is_dir():
            raise InputError(
                f"cannot read the pictures {entry!r}",
                hint="Give --pictures NAME=FOLDER, each name once and each folder one that exists.",
            )
        paths = {path.stem: path for path in find_images(Path(folder))}
        matched = [paths.get(stem, paths.get(f"{name}-{stem}")) for stem in stems]
        missing = [stem for stem, path in zip(stems, matched, strict=True) if path is None]
        if missing:
            raise InputError(
                f"{folder} holds no picture of {', '.join(missing)}",
                hint=f"Name each like its photo: {missing[0]}.png or {name}-{missing[0]}.png. "
                "--photos and --limit choose the photos.",
            )
        found[name] = [_middle_square(path, size) for path in matched if path is not None]
    return found


def _distinct(models: list[Model]) -> list[Model]:
    """Name apart what would have one name in the report: x.onnx and x.ckpt."""
    names = [model.name for model in models]
    apart = [replace(m, name=f"{m.name}.{m.kind}") if names.count(m.name) > 1 else m for m in models]
    names = [model.name for model in apart]
    return [replace(m, name=str(m.path)) if names.count(m.name) > 1 else m for m in apart]


def _load_scenes(video: Path | None, frames: int, *, stereo: bool) -> Scenes:
    """What flicker is measured on: the frames of a clip, and a stereo pair with its correspondence."""
    from fast_style.evaluate.flicker import motorcycle, read_clip

    if video is not None or stereo:
        import_module("cv2")  # the measure needs it
    clip = read_clip(video, frames=frames, size=640) if video is not None else None
    return clip, motorcycle() if stereo else None


def _load_motion(scene: Path | None, *, motion: bool) -> dict[str, list[list[Moment]]]:
    """The rendered scene, if one is given, by what is shown of it."""
    if motion or scene is not None:
        import_module("cv2")
    if scene is None:
        return {}
    from fast_style.evaluate.motion import load_scene

    return {"rendered scene": [load_scene(scene)]}


def _move(photos: Sequence[Pixels]) -> dict[str, list[list[Moment]]]:
    """Scenes made of photos, by their kind."""
    from fast_style.evaluate.motion import KINDS, play

    return {kind: [list(play(kind, photo)) for photo in photos] for kind in KINDS}


def _measure_flicker(
    models: list[Model], scenes: Scenes, known: Mapping[str, Sequence[Sequence[Moment]]] | None = None, *, steady: bool
) -> dict[str, Any]:
    """Figures by what was measured (``video``, ``stereo``, ``pan``, ``film pan``, ``steady pan`` …) and by model."""
    from fast_style.evaluate.flicker import (
        filmed,
        mean,
        measure_flicker,
        measure_motion,
        measure_stereo,
        steadily,
    )

    found: dict[str, Any] = {}
    clip, pair = scenes

    def measure(way: str, model: Model, begin: Callable[[], Callable[[Pixels], Pixels]]) -> None:
        """Measure one way to draw films; each film begins anew."""

        def keep(kind: str, measured: Flicker) -> None:
            found.setdefault(way + kind, {})[model.name] = _told(measured)

        if clip is not None:
            keep("video", measure_flicker(begin(), clip))
        for kind, films in (known or {}).items():
            keep(kind, mean([measure_motion(begin(), film) for film in films]))

    for model in models:

        def stylize(pixels: Pixels, model: Model = model) -> Pixels:
            return to_uint8(model.stylize(to_float(pixels)))

        measure("", model, partial(_alone, stylize))
        if pair is not None:
            found.setdefault("stereo", {})[model.name] = _told(measure_stereo(stylize, *pair))
        if steady and model.stylizer is not None:
            measure("film ", model, partial(filmed, model.stylizer))
            measure("steady ", model, partial(filmed, model.stylizer, steady=True))
        elif steady:
            measure("steady ", model, partial(steadily, stylize))
    return found


def _alone(stylize: Callable[[Pixels], Pixels]) -> Callable[[Pixels], Pixels]:
    """Begin a film whose frames know nothing of one another."""
    return stylize


def _told(measured: Flicker) -> dict[str, float]:
    return {**vars(measured), "relative": measured.relative}


def _flicker_lines(flicker: dict[str, Any]) -> list[str]:
    return [
        f"Flicker of {name} on the {kind}: {m['error']:.2f} levels inside the mask ({m['covered']:.0%} of the area, "
        f"{m['pairs']} pairs), the photos' own {m['photos']:.2f}; relative to contrast {m['relative']:.2f} times"
        for kind, by_model in flicker.items()
        for name, m in by_model.items()
    ]


def _write(out: Path, evaluation: Evaluation, painting: Pixels, record: dict[str, Any]) -> None:
    from fast_style.evaluate.report import draw_sheet, write_html

    out.mkdir(parents=True, exist_ok=True)
    settings = ", ".join(f"{key} {value}" for key, value in record["settings"].items())
    notes = [
        f"Settings: {settings}.",
        f"The reference took {evaluation.reference_seconds:.2f} s an iteration when it was computed.",
        *_flicker_lines(record["flicker"]),
    ]
    page = write_html(evaluation, painting, title=f"Evaluation of {Path(record['style']).stem}", notes=notes)
    with replacing(out / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
    save_image(Picture(draw_sheet(evaluation)), out / "sheet.png")
    with replacing(out / "report.json") as partial:
        partial.write_text(json_module.dumps(record, indent=2) + "\n", encoding="utf-8")


def _tabulate(lines: Sequence[Sequence[str]], width: int) -> Table:
    """The lines, the first of them the head, as a table; on its side if it would be wider than ``width``."""
    from rich.table import Table

    columns = list(zip(*lines, strict=True))
    if sum(max(map(len, column)) + 1 for column in columns) > width:
        lines = columns
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(lines[0][0], no_wrap=True)
    for name in lines[0][1:]:
        table.add_column(name, justify="right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    return table


def _print(evaluation: Evaluation, flicker: dict[str, Any]) -> None:
    from fast_style.evaluate.report import table_rows, verdict

    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    head, rows = table_rows(evaluation)
    console.print(_tabulate([head, *rows], console.width), highlight=False)
    for model in evaluation.models:
        print(f"{model.name} {verdict(model, len(evaluation.curve) - 1)}")
        for fault in model.warnings:
            print(f"{model.name} shows {fault}")
    for line in _flicker_lines(flicker):
        print(line)
