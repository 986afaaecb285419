"""A whole evaluation: models, and pictures from elsewhere, on a folder of photos."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from fast_style.errors import DatasetError, FastStyleError, ImageError, InputError, ModelError
from fast_style.evaluate.evaluation import Evaluation, evaluate
from fast_style.evaluate.flicker import Flicker, filmed, mean, measure_motion, steadily
from fast_style.evaluate.models import Model, check_size, open_model
from fast_style.evaluate.motion import KINDS, play
from fast_style.evaluate.reference import Course, Reference, default_cache
from fast_style.evaluate.report import draw_sheet, write_html
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
from fast_style.optimize import preset
from fast_style.optimize.run import scaled
from fast_style.painting import find_canvas
from fast_style.stylize.contract import Range

# The grids' windows and the deepest layers need so many px.
SMALLEST = 128
# Three smooth photos alone would make roughness count several times what it did in the training.
UNIT_PHOTOS = 24
# Scenes to measure flicker on are made of so many of the photos.
MOVED_PHOTOS = 3


@dataclass(frozen=True)
class Options:
    """How styles are evaluated.

    Attributes:
        size: Side of the squares cut from the photos' middles, px.
        limit: How many photos are scored, evenly spread over the folder. At least 24 set the objective's units.
        iterations: How far the reference goes.
        style_size: Long side of the painting, px: the one of the training.
        preset: The objective: that of the models' training, so balanced for johnson.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        keep_frame: The painting was trained with the frame or border around it.
        value_range: The values that an ONNX file from elsewhere takes and gives.
        strength: Strengths, at each of which the models are measured, if they learned that.
        flicker: Measure flicker, too, on pans, zooms and layers of three of the photos, whose motion is exactly known.
        cache: Folder of the reference's pictures; by default one in the user's cache.

    Raises:
        InputError: A number is out of range.
    """

    size: int = 256
    limit: int = 8
    iterations: int = 200
    style_size: int = 640
    preset: Literal["bold", "balanced", "gatys", "johnson", "d2l"] = "bold"
    vgg: str = "caffe-vgg19"
    keep_frame: bool = False
    value_range: Range | None = None
    strength: tuple[float, ...] = (1.0,)
    flicker: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low in (("size", SMALLEST), ("limit", 1), ("iterations", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {low}")


@dataclass(frozen=True)
class Report:
    """What an evaluation gave.

    Attributes:
        style: File of the painting.
        painting: (H, W, 3) uint8, as it was compared with.
        options: How it was evaluated.
        evaluation: All results.
        flicker: Figures by what was measured (``pan``, ``film pan``, ``steady pan``, …) and by model.
        failed: Models that could not be opened, and photos that could not be used.
    """

    style: Path
    painting: Pixels
    options: Options
    evaluation: Evaluation
    flicker: dict[str, dict[str, Flicker]]
    failed: tuple[FastStyleError, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        settings = asdict(self.options)
        return {
            "style": str(self.style),
            "settings": {key: settings[key] for key in ("size", "style_size", "iterations", "preset", "vgg")},
            **self.evaluation.as_dict(),
            "flicker": {
                kind: {name: {**vars(flicker), "relative": flicker.relative} for name, flicker in models.items()}
                for kind, models in self.flicker.items()
            },
            "failed": [str(error) for error in self.failed],
        }

    def flicker_lines(self) -> list[str]:
        """Say the flicker in words, one sentence for each model and scene."""
        return [
            f"Flicker of {name} on the {kind}: {flicker.error:.2f} levels inside the mask ({flicker.covered:.0%} of "
            f"the area, {flicker.pairs} pairs), the photos' own {flicker.photos:.2f}; relative to contrast "
            f"{flicker.relative:.2f} times"
            for kind, models in self.flicker.items()
            for name, flicker in models.items()
        ]

    def write(self, folder: Path) -> None:
        """Leave report.html, report.json and sheet.png in a folder.

        Raises:
            FileError: They cannot be written.
        """
        record = self.as_dict()
        notes = [
            f"Settings: {', '.join(f'{key} {value}' for key, value in record['settings'].items())}.",
            f"The reference took {self.evaluation.reference_seconds:.2f} s an iteration when it was computed.",
            *self.flicker_lines(),
        ]
        page = write_html(self.evaluation, self.painting, title=f"Evaluation of {self.style.stem}", notes=notes)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "report.html") as partial:
            partial.write_text(page, encoding="utf-8")
        save_image(Picture(draw_sheet(self.evaluation)), folder / "sheet.png")
        with replacing(folder / "report.json") as partial:
            partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def evaluate_styles(
    models: Sequence[str],
    style: Path,
    photos: Path,
    options: Options | None = None,
    *,
    pictures: Mapping[str, Path] | None = None,
    on_error: Callable[[FastStyleError], None] = lambda error: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Report:
    """Measure trained styles against the per-image reference.

    Args:
        models: Shipped names, .onnx and .ckpt files, and mixtures such as ten#udnie.
        style: The painting they were trained on.
        photos: A folder of photos, best of those that were not trained on.
        options: How.
        pictures: Name to a folder of pictures of the same photos from elsewhere; each is named like its photo, or
            NAME-PHOTO.
        on_error: Called with each model and each photo that is left out.
        on_note: Called with each sentence about the painting and about the progress of the reference.

    Raises:
        InputError: Pictures are missing, or two results would have one name.
        DatasetError: No photo can be used.
        ModelError: No model can be evaluated, or one failed.
        WeightsError: The perceptual weights cannot be had.
    """
    options = options or Options()
    if options.flicker:
        import_module("cv2")  # fails now, not after the reference's minutes
    units, failed = _load_photos(photos, size=options.size, limit=max(options.limit, UNIT_PHOTOS))
    for error in failed:
        on_error(error)
    names = list(units)
    chosen = {names[index]: units[names[index]] for index in _spread(len(names), options.limit)}
    others = {
        name: _load_pictures(name, folder, list(chosen), size=options.size) for name, folder in (pictures or {}).items()
    }
    opened, unusable = _open_models(models, options, next(iter(chosen.values())))
    for problem in unusable:
        on_error(problem)
    if models and not opened:
        raise ModelError("none of the models can be evaluated")
    for model in opened:
        if model.name in others:
            raise InputError(f"a model and a folder of pictures are both called {model.name}")
    painting, note = _load_painting(style, options)
    if note:
        on_note(f"{style}: {note}")
    reference = Reference(
        painting,
        list(units.values()),
        objective=preset(options.preset),
        vgg=options.vgg,
        iterations=options.iterations,
        cache=options.cache or default_cache(),
    )

    def on_photo(name: str, course: Course) -> None:
        how = "from the cache" if course.cached else f"{course.seconds * options.iterations:.0f} s"
        on_note(f"reference {list(chosen).index(name) + 1}/{len(chosen)}  {name}  {how}")

    evaluation = evaluate(opened, chosen, reference, pictures=others, on_photo=on_photo)
    flicker = measure_films(opened, list(chosen.values())[:MOVED_PHOTOS]) if options.flicker else {}
    return Report(style, painting, options, evaluation, flicker, (*unusable, *failed))


def measure_films(models: Sequence[Model], photos: Sequence[Pixels]) -> dict[str, dict[str, Flicker]]:
    """Measure flicker on scenes made of photos, for each kind of scene and each way to draw a film.

    Args:
        models: What to measure.
        photos: (H, W, 3) uint8.

    Returns:
        ``pan`` with each frame by itself, ``film pan`` as ``stylize`` draws films if fast-style exported the model,
        ``steady pan`` with ``--steady``, and so on for each kind of scene; the means over the photos, by model.
    """
    films = {kind: [list(play(kind, photo)) for photo in photos] for kind in KINDS}
    measured: dict[str, dict[str, Flicker]] = {}
    for model in models:
        for way, begin in _ways(model).items():
            for kind, scenes in films.items():
                parts = [measure_motion(begin(), scene) for scene in scenes]
                measured.setdefault(way + kind, {})[model.name] = mean(parts)
    return measured


def _ways(model: Model) -> dict[str, Callable[[], Callable[[Pixels], Pixels]]]:
    """The ways to draw a film; each value begins a film."""

    def stylize(pixels: Pixels) -> Pixels:
        return to_uint8(model.stylize(to_float(pixels)))

    stylizer = model.stylizer
    if stylizer is None:
        return {"": lambda: stylize, "steady ": lambda: steadily(stylize)}
    return {
        "": lambda: stylize,
        "film ": lambda: filmed(stylizer),
        "steady ": lambda: filmed(stylizer, steady=True),
    }


def _spread(total: int, limit: int) -> list[int]:
    """Indices of at most ``limit`` out of ``total``, evenly spaced."""
    count = min(limit, total)
    return [index * total // count for index in range(count)]


def _load_photos(folder: Path, *, size: int, limit: int) -> tuple[dict[str, Pixels], list[ImageError]]:
    """Cut the middle squares of photos spread over a folder."""
    paths = find_photos(folder)
    chosen = [paths[index] for index in _spread(len(paths), limit)]
    squares: dict[str, Pixels] = {}
    errors: list[ImageError] = []
    for path in chosen:
        try:
            squares[str(path.relative_to(folder))] = _middle_square(path, size)
        except ImageError as error:
            errors.append(error)
    if not squares:
        raise DatasetError(f"none of {len(chosen)} photos in {folder} could be used: {errors[0]}")
    return squares, errors


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


def _load_pictures(name: str, folder: Path, photos: Sequence[str], *, size: int) -> list[Pixels]:
    """Read one picture for each photo, found by the photo's name without its suffix."""
    stems = [Path(photo).stem for photo in photos]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"two photos are called {twice}, so that pictures cannot be matched to them by name")
    paths = {path.stem: path for path in find_images(folder)}
    matched = [paths.get(stem, paths.get(f"{name}-{stem}")) for stem in stems]
    missing = [stem for stem, path in zip(stems, matched, strict=True) if path is None]
    if missing:
        raise InputError(
            f"{folder} holds no picture of {', '.join(missing)}",
            hint=f"Name each like its photo: {missing[0]}.png or {name}-{missing[0]}.png. "
            "--photos and --limit choose the photos.",
        )
    return [_middle_square(path, size) for path in matched if path is not None]


def _load_painting(path: Path, options: Options) -> tuple[Pixels, str]:
    """Read the painting as the training does, and say what was cut off."""
    painting = load_image(path, opaque=True).pixels
    canvas = find_canvas(painting)
    if canvas.box is None or options.keep_frame:
        return scaled(painting, options.style_size), ""
    left, top, right, bottom = canvas.box
    return scaled(painting[top:bottom, left:right], options.style_size), canvas.note or ""


def _open_models(texts: Sequence[str], options: Options, photo: Pixels) -> tuple[list[Model], list[FastStyleError]]:
    """Open each model at each strength, and stylize one photo: what fails then fails before the reference's minutes."""
    opened: list[Model] = []
    failed: list[FastStyleError] = []
    for text, strength in ((text, strength) for text in texts for strength in options.strength):
        try:
            model = open_model(text, value_range=options.value_range, strength=strength)
            check_size(model, options.size)
            model.stylize(to_float(photo))
            opened.append(model)
        except FastStyleError as error:
            failed.append(error)
    return _distinct(opened), failed


def _distinct(models: list[Model]) -> list[Model]:
    """Name apart what would have one name in the report: x.onnx and x.ckpt."""
    names = [model.name for model in models]
    apart = [replace(m, name=f"{m.name}.{m.kind}") if names.count(m.name) > 1 else m for m in models]
    names = [model.name for model in apart]
    return [replace(m, name=str(m.path)) if names.count(m.name) > 1 else m for m in apart]
