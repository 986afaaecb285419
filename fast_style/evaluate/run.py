"""A whole evaluation: models, and pictures of other programs, on a folder of photos."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

from fast_style.errors import DatasetError, FastStyleError, FileError, ImageError, InputError, ModelError, check_least
from fast_style.evaluate.evaluation import Evaluation, evaluate
from fast_style.evaluate.flicker import Flicker, measure_films
from fast_style.evaluate.reference import Reference, default_cache
from fast_style.evaluate.report import draw_sheet, write_text
from fast_style.files import check_writable, make_parent, replacing
from fast_style.images import Picture, Pixels, find_images, find_photos, load_image, resize, save_image, to_uint8
from fast_style.optimize import PRESETS
from fast_style.styles.mixture import mixture_name
from fast_style.stylize.contract import Range
from fast_style.stylize.stylizer import Stylizer

# Smallest side of the squares, px: the grids' windows and the deepest layers need it.
SMALLEST = 128
# Photos that set the objective's units: with only three smooth ones, roughness would count several times too much.
UNIT_PHOTOS = 24
# Photos that the scenes for flicker are made of.
MOVED_PHOTOS = 3

Item = TypeVar("Item")


@dataclass(frozen=True)
class Options:
    """How styles are evaluated.

    Attributes:
        size: Side of the squares cut from the photos' middles, px.
        limit: Number of photos that are scored, evenly spread over the folder. At least 24 set the objective's units.
        iterations: Number of the reference's iterations.
        style_size: Long side of the painting, px, as in the training.
        preset: The objective, as in the training: balanced for johnson.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        keep_frame: Keep a frame or border around the painting, if the training did.
        grain: Keep the painting's grain, if the training did. By default it is smoothed if it is strong everywhere.
        range: Range of the pixel values of an ONNX file from elsewhere.
        strength: Strengths to measure the models at.
        flicker: Measure flicker, too, on pans, zooms and layers of three of the photos, whose motion is exactly known.
        cache: Folder for the reference's pictures; by default in the user's cache.

    Raises:
        InputError: A number is out of range.
    """

    size: int = 256
    limit: int = 8
    iterations: int = 200
    style_size: int = 640
    preset: Literal["bold", "balanced", "gatys", "johnson"] = "bold"
    vgg: str = "caffe-vgg19"
    keep_frame: bool = False
    grain: bool | None = None
    range: Range | None = None
    strength: tuple[float, ...] = (1.0,)
    flicker: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_least(SMALLEST, size=self.size)
        check_least(1, limit=self.limit, iterations=self.iterations)


@dataclass(frozen=True)
class Report:
    """The results of an evaluation.

    Attributes:
        style: File of the painting.
        options: How it was evaluated.
        evaluation: All results.
        flicker: Figures by scene and way to draw (``pan``, ``film pan``, ``no-steady pan``, …) and by model.
        failed: Photos and models that could not be used.
    """

    style: Path
    options: Options
    evaluation: Evaluation
    flicker: dict[str, dict[str, Flicker]]
    failed: tuple[FastStyleError, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "style": str(self.style),
            "settings": {key: vars(self.options)[key] for key in ("size", "style_size", "iterations", "preset", "vgg")},
            **self.evaluation.as_dict(),
            "flicker": {
                kind: {name: {**vars(flicker), "relative": flicker.relative} for name, flicker in models.items()}
                for kind, models in self.flicker.items()
            },
            "failed": [str(error) for error in self.failed],
        }

    def text(self) -> str:
        """Return what report.md says."""
        settings = self.as_dict()["settings"]
        notes = [
            f"Settings: {', '.join(f'{key} {value}' for key, value in settings.items())}.",
            f"The reference took {self.evaluation.reference_seconds:.2f} s an iteration when it was computed.",
        ]
        notes += [
            f"Flicker of {name} on the {kind}: {flicker.error:.2f} levels inside the mask ({flicker.covered:.0%} of "
            f"the area, {flicker.pairs} pairs), of the photos {flicker.photos:.2f}; relative to contrast "
            f"{flicker.relative:.2f} times"
            for kind, models in self.flicker.items()
            for name, flicker in models.items()
        ]
        return write_text(self.evaluation, title=f"Evaluation of {self.style.stem}", notes=notes)

    def write(self, folder: Path) -> None:
        """Write report.md, report.json and sheet.png to a folder.

        Raises:
            FileError: They cannot be written.
        """
        make_parent(folder / "sheet.png")
        save_image(Picture(draw_sheet(self.evaluation)), folder / "sheet.png")
        record = json.dumps(self.as_dict(), indent=2) + "\n"
        for name, content in (("report.md", self.text()), ("report.json", record)):
            with replacing(folder / name) as partial:
                partial.write_text(content, encoding="utf-8", errors="backslashreplace")  # names of files


def evaluate_styles(
    models: Sequence[str],
    style: Path,
    photos: Path,
    options: Options = Options(),
    *,
    pictures: Mapping[str, Path] | None = None,
    on_error: Callable[[FastStyleError], None] = lambda error: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> Report:
    """Measure trained styles against the per-image reference.

    Args:
        models: Shipped names, .onnx files, and mixtures such as ten#udnie.
        style: The painting they were trained on.
        photos: A folder of photos, best of those that were not trained on.
        options: How they are evaluated.
        pictures: Name to a folder of another program's pictures of the same photos, each named like its photo.
        on_error: Called with the error of each model and each photo that is left out.
        on_note: Called with each sentence about the painting and the progress of the reference.

    Raises:
        ImageError: The painting cannot be read, or is too small.
        InputError: Pictures are missing, or two results would have the same name.
        DatasetError: No photo can be used.
        ModelError: No model can be evaluated, or one failed.
        WeightsError: The perceptual weights cannot be loaded.
        FileError: The cache cannot be written.
    """
    from fast_style.training.paintings import read_painting  # imports Lightning, which the help needs not wait for

    if options.flicker and not models:
        raise InputError("flicker is that of a model's films, and no model is given", hint="Leave --flicker out.")
    if options.flicker:
        import_module("cv2")  # fails now, not after the reference's minutes
    failed: list[FastStyleError] = []

    cache = options.cache or default_cache()
    try:
        check_writable(cache / "course")  # fails now, not after the iterations
    except FileError as error:
        raise FileError(str(error), hint="Give --cache FOLDER.") from error

    def leave_out(error: FastStyleError) -> None:
        failed.append(error)
        on_error(error)

    units = _load_photos(photos, options, leave_out)
    chosen = {name: units[name] for name in _spread(list(units), options.limit)}
    others = {name: _load_pictures(folder, [*chosen], size=options.size) for name, folder in (pictures or {}).items()}
    opened = _open_models(models, options, next(iter(chosen.values())), leave_out)
    if shared := opened.keys() & others.keys():
        raise InputError(f"a model and a folder of pictures are both called {min(shared)}")
    painting = read_painting(style, style.stem, options.style_size, options.grain, keep_frame=options.keep_frame)
    for note in painting.notes:
        on_note(note)
    reference = Reference(
        to_uint8(painting.image.numpy()),
        list(units.values()),
        objective=PRESETS[options.preset],
        vgg=options.vgg,
        iterations=options.iterations,
        cache=cache,
    )
    evaluation = evaluate(opened, chosen, reference, pictures=others, on_note=on_note)
    flicker = measure_films(opened, list(chosen.values())[:MOVED_PHOTOS]) if options.flicker else {}
    return Report(style, options, evaluation, flicker, tuple(failed))


def _spread(items: Sequence[Item], limit: int) -> list[Item]:
    """Choose at most ``limit`` items, evenly spaced."""
    count = min(limit, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _load_photos(folder: Path, options: Options, on_error: Callable[[FastStyleError], None]) -> dict[str, Pixels]:
    """Cut the middle squares of photos spread over a folder."""
    loaded: dict[str, Pixels] = {}
    for path in _spread(find_photos(folder), max(options.limit, UNIT_PHOTOS)):
        try:
            loaded[str(path.relative_to(folder))] = _middle_square(path, options.size)
        except ImageError as error:
            on_error(error)
    if not loaded:
        raise DatasetError(f"{folder} holds no photo that can be used")
    return loaded


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


def _load_pictures(folder: Path, photos: Sequence[str], *, size: int) -> list[Pixels]:
    """Read one picture for each photo, found by the photo's name without its suffix."""
    stems = [Path(photo).stem for photo in photos]
    if twice := sorted(stem for stem in set(stems) if stems.count(stem) > 1):
        raise InputError(f"two photos are called {twice[0]}, so that pictures cannot be matched to them by name")
    found = find_images(folder)
    paths = {path.stem: path for path in found}
    if several := [path.stem for path in found if path.stem in stems and path != paths[path.stem]]:
        raise InputError(f"{folder} holds several pictures called {several[0]}", hint="Leave one of each name there.")
    if missing := [stem for stem in stems if stem not in paths]:
        raise InputError(
            f"{folder} holds no picture of {', '.join(missing)}",
            hint=f"Name each like its photo: {missing[0]}.png. --photos and --limit choose the photos.",
        )
    return [_middle_square(paths[stem], size) for stem in stems]


def _open_models(
    texts: Sequence[str], options: Options, photo: Pixels, on_error: Callable[[FastStyleError], None]
) -> dict[str, Stylizer]:
    """Open each model at each strength, and stylize a photo: a failure then comes before the reference's minutes."""
    names = [mixture_name(text) for text in texts]
    opened: dict[str, Stylizer] = {}
    for (text, name), strength in itertools.product(zip(texts, names, strict=True), options.strength):
        try:
            stylizer = Stylizer(text, value_range=options.range, strength=strength)
            contract = stylizer.network.contract
            if {contract.width, contract.height} - {None, options.size}:
                raise InputError(
                    f"{text} takes only pictures of {contract.width}×{contract.height} px",
                    hint="Give --size, or export it with free sides.",
                )
            stylizer(photo)
        except FastStyleError as error:
            on_error(error)
            continue
        # In the report, models of one name, such as a/x.onnx and b/x.onnx, are called as they were given.
        label = text if names.count(name) > 1 else name
        opened[label + (f" {strength:g}" if strength != 1.0 else "")] = stylizer
    if texts and not opened:
        raise ModelError("none of the models can be evaluated")
    return opened
