"""``fast-style train``."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter
from rich.console import Console

from fast_style.cli.app import DONE, INTERRUPTED, Flag, Out
from fast_style.cli.options import MACHINE
from fast_style.errors import InputError
from fast_style.files import check_new
from fast_style.model.ground import Forms
from fast_style.model.passes import check_strength
from fast_style.styles.adapter import SUFFIX as ADAPTER_SUFFIX
from fast_style.styles.card import check_places

if TYPE_CHECKING:
    from fast_style.training import Recipe

START = Group("Start", sort_key=1)
RECIPE = Group("Recipe", sort_key=2)
PAINTING = Group("Painting", sort_key=3)
SKIPPED_SHOWN = 20
_IN_RECIPE = Parameter(group=RECIPE)


@Parameter(name="*")
@dataclass(frozen=True)
class Changes:
    """What is changed in the recipe; None changes nothing.

    Args:
        network: fast (the default), tiny for small machines, fine for crisper pictures, or johnson.
        steps: Optimizer steps; by default 250 from a trained network and 1,000 from nothing.
        strength: How much of the photo is painted over: 0.25 is a hint of the painting, 1 the default, 4 leaves little
            of the photo.
        style_size: Long side of the painting in training, px: larger gives larger strokes. By default 640, less for a
            painting of large forms.
        grain: Keep the painting's grain, as of canvas, or smooth it first: networks make a mesh of it. By default it is
            smoothed if it is strong everywhere.
        ground: Forms that the finished style lays under flat places such as skies: flow, for strokes that turn;
            panes, for cells between dark lines; or rings. By default none.
        tune: network (the default), or adapter: only the scales and shifts of its normalizations, which needs --init.
        size: Side of the training crops, px.
        batch: Photos in a step, on each device.
        learning_rate: The highest learning rate of the schedule.
        vgg: caffe-vgg19, torchvision-vgg16, torchvision-vgg19, or a .pth file.
        precision: bf16 computes in bfloat16; auto does so if that is measured to be faster as the run begins.
        seed: Seed of weights, order, crops and flips.
    """

    network: Literal["fast", "tiny", "fine", "johnson"] | None = None
    steps: int | None = None
    strength: float | None = None
    style_size: int | None = None
    grain: Annotated[bool | None, Parameter(group=PAINTING)] = None
    ground: Annotated[Forms | None, Parameter(group=PAINTING)] = None
    tune: Annotated[Literal["network", "adapter"] | None, Parameter(group=START)] = None
    size: Annotated[int | None, _IN_RECIPE] = None
    batch: Annotated[int | None, _IN_RECIPE] = None
    learning_rate: Annotated[float | None, _IN_RECIPE] = None
    vgg: Annotated[str | None, _IN_RECIPE] = None
    precision: Annotated[Literal["auto", "32", "bf16"] | None, _IN_RECIPE] = None
    seed: Annotated[int | None, _IN_RECIPE] = None


@Parameter(name="*", group=MACHINE)
@dataclass(frozen=True)
class Hardware:
    """What the training runs on.

    Args:
        devices: Processes on each node, one for each device.
        nodes: Machines that train together; each runs this command, see docs/train.md.
        accelerator: auto, cpu or gpu.
        workers: Processes that decode photos.
    """

    devices: int = 1
    nodes: int = 1
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    workers: int | None = None


@Parameter(name="*", group=PAINTING)
@dataclass(frozen=True)
class Details:
    """What the card says of the painting.

    Args:
        title: Title of the painting, for the card.
        artist: Who painted it.
        year: When it was painted.
        license: License of the picture, such as "public domain".
    """

    title: str | None = None
    artist: str | None = None
    year: str | None = None
    license: str | None = None


def train(
    painting: Path,
    photos: Path | None = None,
    *more: Path,
    out: Out,
    name: str | None = None,
    changes: Changes = Changes(),
    resume: Path | None = None,
    init: Annotated[str | None, Parameter(group=START)] = None,
    adapter_of: Annotated[str | None, Parameter(group=START)] = None,
    config: Annotated[Path | None, _IN_RECIPE] = None,
    preview_every: Annotated[int | None, _IN_RECIPE] = None,
    keep_frame: Annotated[Flag, Parameter(group=PAINTING)] = False,
    details: Details = Details(),
    hardware: Hardware = Hardware(),
    estimate: Flag = False,
    force: Flag = False,
) -> int:
    """Train a style on a painting and a folder of photos, and export it.

    Several paintings, or a folder of them, make one file of as many styles, to be mixed.

    Leaves NAME.ckpt (resumes exactly), NAME.onnx (proved equal), NAME.json (the card), NAME.csv (the losses)
    and previews/ in OUT. Ctrl-C stops after the current step and leaves a checkpoint to resume from.

    Args:
        painting: The style image, or a folder of them.
        photos: A folder of photos, searched at any depth; a few hundred make a better style than those that come with
            fast-style, which are taken without one.
        more: If several paintings are given, the photos come last.
        out: Folder for the results.
        name: Name of the style; by default the painting's file name.
        changes: What is changed in the recipe.
        resume: A checkpoint from which to continue exactly.
        init: The network to start from: a .ckpt, an ONNX style or a shipped style; "nearest", the default for one
            painting, finds the nearest shipped style of this network; "scratch" starts with fresh weights.
        adapter_of: A style whose network stays as it is. Only scales and shifts are learned, for a small file
            NAME.safetensors; use it with --style STYLE+NAME.safetensors. Of a file of several styles, such as ten, the
            run starts from the nearest; ten#udnie chooses one.
        config: A TOML file with the recipe; options on the command line override it.
        preview_every: Steps between previews and checkpoints; by default a twentieth of the run, at least 25.
        keep_frame: Keep a frame or border around the painting; by default one that is found is cut off.
        details: What the card says of the painting.
        hardware: What the training runs on.
        estimate: Only measure, for ten seconds, how long training one painting would take here.
        force: Overwrite a style of that name in OUT.
    """
    from fast_style.cli.ui.training_progress import TrainingProgress, silence_lightning  # imports torch
    from fast_style.training import estimate_duration, style_name, train_style

    paths = [painting, *([] if photos is None else [photos]), *more]
    if len(paths) > 1:
        *paths, photos = paths
    elif painting.is_dir():
        raise InputError(f"{painting} is a folder; expected a painting, or a folder of photos behind it")
    if adapter_of is not None:
        if init is not None or (changes.tune or "adapter") != "adapter":
            raise InputError("--adapter-of sets both what to start from and what to tune; leave --init and --tune out")
        init, changes = adapter_of, replace(changes, tune="adapter")
    if resume is not None and init is not None:
        raise InputError("--resume continues a run, --init starts a new one; give one of them")
    silence_lightning()
    if estimate and (hardware.devices, hardware.nodes) != (1, 1):
        raise InputError("--estimate measures one process", hint="Leave --devices and --nodes out.")
    if estimate:
        recipe = _recipe(changes, config, resume)
        needed = estimate_duration(recipe, init=init, resume=resume, accelerator=hardware.accelerator)
        parts = f"{needed.around:.1f} s before and after the steps, {needed.step:.3f} s for each of {needed.steps}"
        minutes = max(1, round(needed.seconds / 60))
        print(f"about {minutes} minute{'' if minutes == 1 else 's'}: {parts}")  # the studio reads this line
        return DONE
    name = name or (style_name(paths) if resume is None else resume.stem)
    _check_places(paths, out / f"{name}.ckpt", resume, force=force)
    console = Console(stderr=True)

    def note(text: str) -> None:
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    outcome = train_style(
        paths,
        photos,
        out,
        name=name,
        recipe=_recipe(changes, config, resume),
        init=init,
        resume=resume,
        **asdict(hardware),
        preview_every=preview_every,
        keep_frame=keep_frame,
        details=_given(details),
        on_note=note,
        callbacks=[TrainingProgress(console)],
    )
    for reason in [*outcome.skipped.values()][:SKIPPED_SHOWN]:
        note(f"skipped: {reason}")
    if (others := len(outcome.skipped) - SKIPPED_SHOWN) > 0:
        note(f"skipped: {others} more")
    if not outcome.finished:
        print(f"interrupted at step {outcome.step}; continue with --resume {outcome.checkpoint}")
        return INTERRUPTED
    if outcome.verification is not None:  # of several processes, one publishes
        print(f"{outcome.model}  equal to the network within {outcome.verification.largest:.1e}")
        print(*filter(None, (outcome.card, outcome.adapter, outcome.checkpoint, outcome.grounds)), sep="\n")
    return DONE


def _check_places(paintings: list[Path], checkpoint: Path, resume: Path | None, *, force: bool) -> None:
    """Refuse missing paintings, and to overwrite another run."""
    for path in paintings:
        if not path.exists():
            raise InputError(f"{path} is not a file; expected the painting")
    force = force or (resume is not None and resume.resolve() == checkpoint.resolve())
    check_new(checkpoint, force=force, hint="Give --resume to continue it, --force to overwrite it, or a --name.")
    hint = "Give --force to overwrite it, or a --name."
    check_places(checkpoint.with_suffix(".onnx"), force=force, hint=hint)
    for suffix in (".csv", ADAPTER_SUFFIX):
        check_new(checkpoint.with_suffix(suffix), force=force, hint=hint)


def _recipe(changes: Changes, config: Path | None, resume: Path | None) -> Recipe:
    """Lay the options over the file's values, and these over the recipe of the network or of the run to continue."""
    from fast_style.training import Recipe, load_checkpoint

    read = {} if config is None else read_toml(config)
    base = Recipe(changes.network or read.get("network", "fast")) if resume is None else load_checkpoint(resume).recipe
    values = base.as_dict()
    if config is not None:
        _merge(values, read, get_type_hints(Recipe), config)
    options = _given(changes)
    if (strength := options.pop("strength", None)) is not None:
        check_strength(strength)
        values["objective"]["strength"] = strength
    return Recipe.from_dict({**values, **options})


def _given(options: Changes | Details) -> dict[str, Any]:
    return {key: value for key, value in asdict(options).items() if value is not None}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a recipe's file, or raise InputError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error


def _merge(values: dict[str, Any], changes: dict[str, Any], types: dict[str, Any], path: Path) -> None:
    """Lay a file's values over the recipe's, in place; the table [objective] goes one level down."""
    for key, value in changes.items():
        if key not in types:
            raise InputError(f"{path}: unknown key {key!r}", hint=f"A recipe has {', '.join(sorted(types))}.")
        words, fits = _expected(types[key], value)
        if not fits:
            raise InputError(f"{path}: {key} is {value!r}; expected {words}")
        if isinstance(value, dict):
            _merge(values[key], value, get_type_hints(types[key]), path)
        else:
            values[key] = value


def _expected(kind: Any, value: object) -> tuple[str, bool]:
    """Return what a field of that type takes from a file, in words, and whether the value is that."""
    if get_origin(kind) is UnionType:  # with None, which TOML does not have
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple:
        (words, _), each = _expected(get_args(kind)[0], None), value if isinstance(value, list) else [None]
        return f"a list, each {words}", all(_expected(get_args(kind)[0], item)[1] for item in each)
    if kind is str or get_origin(kind) is Literal:
        return "a string", isinstance(value, str)
    if kind is bool:
        return "true or false", isinstance(value, bool)
    if kind is int:
        return "a whole number", isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return "a number", isinstance(value, int | float) and not isinstance(value, bool)
    return "a table", isinstance(value, dict)
