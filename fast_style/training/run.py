"""A training run from end to end: painting and photos in; checkpoint, verified ONNX file and card out."""

import tempfile
import time
import timeit
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only

from fast_style.checkpoint import Checkpoint, load_checkpoint
from fast_style.device import find_device
from fast_style.errors import CheckpointError, DatasetError, FastStyleError, InputError, check_least, is_out_of_memory
from fast_style.export import Verification, export_checkpoint, write_card
from fast_style.export.card import training_card
from fast_style.files import check_writable, is_plain_name, make_parent
from fast_style.images import Picture, Pixels, save_image, to_uint8
from fast_style.images.find import INCLUDED
from fast_style.losses import PerceptualLoss, load_vgg
from fast_style.model.checksum import read_checked
from fast_style.model.ground import Forms
from fast_style.model.table import base_checksum, read_sets
from fast_style.recipe import Recipe
from fast_style.sheet import Tile, grid
from fast_style.styles.adapter import SUFFIX, Adapter, save_adapter
from fast_style.stylize.stylizer import Stylizer
from fast_style.training.callbacks import Averaging, Checkpoints, Metrics, Previews
from fast_style.training.module import StyleModule
from fast_style.training.paintings import Painting, find_paintings, name_styles, read_painting, style_name
from fast_style.training.photos import PhotoData
from fast_style.training.start import (
    NEAREST,
    SCRATCH,
    Start,
    count_drawn,
    load_start,
    nearest_start,
    nearest_style_of,
    shipped_starts,
)
from fast_style.training.stopping import GentleStop, lightning_runs

CALIBRATION_PHOTOS = 32
NEARNESS_PHOTOS = 4
# Photos on which a finished style shows its grounds, among how many they are sought, and their largest side, px.
GROUND_PHOTOS, GROUND_CANDIDATES, GROUND_SIDE = 2, 12, 1024
# Steps that an estimate takes, of which the first and the last are not timed.
ESTIMATE_STEPS = 4
# The export and its proof take about as long as so many steps, measured with fast on a CPU.
EXPORT_STEPS = 8


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        checkpoint: ``OUT/NAME.ckpt``.
        step: Steps done, over all of the run's parts.
        finished: Whether these are all steps of the recipe.
        skipped: Photos that could not be used, and why.
        model: ``OUT/NAME.onnx``; this and what follows are None if nothing was exported.
        card: ``OUT/NAME.json``.
        verification: Verification of the ONNX file.
        adapter: ``OUT/NAME.safetensors``, if only an adapter was tuned.
        grounds: ``OUT/previews/grounds.png``, the style over each ground, if it is a single one that paints in passes.
    """

    checkpoint: Path
    step: int
    finished: bool
    skipped: Mapping[str, str]
    model: Path | None = None
    card: Path | None = None
    verification: Verification | None = None
    adapter: Path | None = None
    grounds: Path | None = None


def train_style(
    painting: str | Path | Sequence[str | Path],
    photos: str | Path | None,
    out: str | Path,
    *,
    name: str | None = None,
    recipe: Recipe | None = None,
    init: str | Path | None = None,
    resume: str | Path | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    workers: int | None = None,
    preview_every: int | None = None,
    keep_frame: bool = False,
    details: Mapping[str, Any] | None = None,
    export: bool = True,
    on_note: Callable[[str], None] = lambda note: None,
    callbacks: Sequence[pl.Callback] = (),
) -> Outcome:
    """Train a style and export it, as ``fast-style train`` does.

    Args:
        painting: The style image. Several, or a folder of them, make one file of as many styles.
        photos: A folder of photos, searched at any depth; None takes those that come with fast-style.
        out: Folder for the checkpoint, the ONNX file, the card, previews and metrics.
        name: Name of the style; None takes that of the run to resume, or the painting's file name. Of several, each is
            called after its file.
        recipe: What to train and how; None takes that of ``fast``. When resuming, None or one that differs only in
            ``steps``.
        init: A checkpoint, an exported style or the name of a shipped one, whose network to start from; FILE#STYLE is
            one of several in a file. ``nearest`` finds the nearest shipped one, see
            :func:`fast_style.training.start.nearest_start`, and ``scratch`` takes fresh weights. None takes the
            nearest for one painting if a style of the network ships, and fresh weights otherwise.
        resume: A checkpoint to continue from, exactly.
        devices: Processes on each node, one for each device.
        nodes: Machines that train together.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        workers: Processes that decode photos; 0 decodes between the steps. None takes one for each two cores, eight
            at most.
        preview_every: Steps between previews and checkpoints; None takes a twentieth of the run, at least 25.
        keep_frame: Take the painting's picture whole; otherwise a frame or border around it is cut off, see
            :func:`find_canvas`, and the card says where the painting is.
        details: Plain values for the card and the ONNX metadata: title, artist, license … Of several paintings, a
            table under a painting's name is about that one.
        export: Write the ONNX file and the card after the last step.
        on_note: Called before the first step with what a user should know: what was cut off, where the run starts.
        callbacks: Lightning's, such as a progress bar.

    Returns:
        What was written. After Ctrl-C the model is None and the checkpoint can be resumed.

    Raises:
        ImageError: The painting cannot be read.
        DatasetError: There are no usable photos.
        DeviceError: There is no such accelerator.
        InputError: A number is out of range, the name has a folder in it, there is no painting, or the options
            contradict one another or the recipe of the checkpoint to resume.
        WeightsError: The perceptual weights cannot be had.
        CheckpointError: ``init`` or ``resume`` cannot be used.
        TrainingDivergedError: The run failed; its last good checkpoint is kept.
        ExportError: The ONNX file could not be made, or was not equal.
        FileError: A file could not be written.
    """
    check_least(1, devices=devices, nodes=nodes, preview_every=preview_every)
    check_least(0, workers=workers)
    sources = [Path(path) for path in ([painting] if isinstance(painting, str | Path) else painting)]
    paths = find_paintings(sources)
    device = find_device(accelerator, apple=True)  # Apple's GPU is Lightning's own choice, too
    previous = None if resume is None else load_checkpoint(resume)
    name = name or (style_name(sources) if previous is None else previous.card["name"])
    if not is_plain_name(name):  # it may come from a checkpoint that somebody else made
        raise InputError(f"the name {name!r} is not that of a file", hint="Give a name without a folder.")
    checkpoint = Path(out) / f"{name}.ckpt"
    for path in (checkpoint, *([] if resume is None else [resume])):
        if "::" in str(path):  # Lightning's file systems take it for an address, and write elsewhere
            raise InputError(f"{path} has '::' in it", hint="Rename it; --name names the style.")
    if photos is None and previous is not None and not previous.card.get("included_photos"):
        raise InputError(f"{resume} was trained on other photos", hint="Give their folder.")
    if previous is None:
        recipe, init = _begun(recipe, init, device, several=len(paths) > 1, processes=devices * nodes)
    else:
        recipe, init = _continued(recipe, previous), None
    paintings = [
        read_painting(
            path, style, recipe.style_size, recipe.grain, previous=previous, keep_frame=keep_frame, details=details
        )
        for path, style in zip(paths, name_styles(paths, name, previous), strict=True)
    ]
    folder = INCLUDED if photos is None else Path(photos)
    data = PhotoData(folder, size=recipe.size, batch=recipe.batch, seed=recipe.seed, workers=workers)
    # Fails here, before anything is written, if the weights do not fit; Lightning loads them again, with all else.
    start = None
    if previous is not None:
        start = Start(previous.card.get("init"), previous.network())
        _check_steps_left(previous, recipe, checkpoint)
    check_writable(checkpoint)  # fails now, not after the calibration
    pl.seed_everything(recipe.seed, verbose=False)
    losses = _calibrated_losses(paintings, data, recipe, previous)
    if init is not None:
        start = _find_start(init, paintings, losses, data, recipe)
    notes = [note for each in paintings for note in each.notes]
    if photos is None:
        notes.append("learning on the photos that come with fast-style; a folder of a few hundred makes a better style")
    for note in notes if start is None else (*notes, *start.notes):
        rank_zero_only(on_note)(note)
    facts = {painting.style: painting.facts for painting in paintings}
    card = {"name": name, "styles": list(facts), "paintings": facts}
    if photos is None:
        card["included_photos"] = True
    if start is not None and start.name is not None:
        card["init"] = start.name
    module = StyleModule(recipe, losses, card=card, start=start)
    make_parent(checkpoint)
    trainer = _trainer(module, data, checkpoint, device, preview_every, callbacks, devices=devices, nodes=nodes)
    return _fit(trainer, module, data, checkpoint, resume, export=export)


@dataclass(frozen=True)
class Estimate:
    """How long a training takes on this machine.

    Attributes:
        around: Time before the first step and after the last one, s.
        step: Time of a step, s.
        steps: Number of steps.
    """

    around: float
    step: float
    steps: int

    @property
    def seconds(self) -> float:
        """The time from the start to the exported file, s."""
        return self.around + self.steps * self.step


def estimate_duration(
    recipe: Recipe | None = None,
    *,
    init: str | Path | None = None,
    resume: str | Path | None = None,
    accelerator: str = "auto",
) -> Estimate:
    """Estimate how long a training on one painting takes on this machine.

    A few steps are taken as in a training, on noise; the estimate itself takes about ten seconds on two cores.

    Args:
        recipe: None takes that of ``fast``.
        init: As for :func:`train_style`.
        resume: The checkpoint of a run whose remaining steps are meant.
        accelerator: As for :func:`train_style`.

    Raises:
        InputError: As :func:`train_style`.
        CheckpointError: The checkpoint to resume is unusable.
        DeviceError: There is no such accelerator.
        WeightsError: The perceptual weights cannot be had.
    """
    device, done = find_device(accelerator, apple=True), 0
    if resume is None:
        recipe, init = _begun(recipe, init, device, several=False, processes=1)
    else:
        previous = load_checkpoint(resume)
        recipe, init, done = _continued(recipe, previous), None, previous.step
    brief = replace(recipe, steps=ESTIMATE_STEPS)
    noise = torch.rand(1, 3, recipe.size, recipe.size, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, about so short a training
        save_image(Picture(to_uint8(noise.numpy())), Path(folder) / "noise.png")
        data = PhotoData(Path(folder), size=recipe.size, batch=recipe.batch, seed=0, workers=0)
        loss = PerceptualLoss(load_vgg(recipe.vgg, recipe.objective), noise, recipe.objective)
        loss.calibrate([noise])
        began = time.perf_counter()
        loss.calibrate([noise])
        scored = time.perf_counter() - began
        module = StyleModule(brief, [loss], card={"name": "noise", "styles": ["noise"], "paintings": {}})
        pace = _Pace()
        trainer = _trainer(module, data, Path(folder) / "noise.ckpt", device, None, [pace], devices=1, nodes=1)
        with lightning_runs():
            trainer.fit(module, datamodule=data)
    drawn = CALIBRATION_PHOTOS + (count_drawn(recipe.network, NEARNESS_PHOTOS) if init == NEAREST else 0)
    return Estimate(drawn * scored + EXPORT_STEPS * pace.seconds, pace.seconds, max(0, recipe.step_count - done))


class _Pace(pl.Callback):
    """Notes when steps begin; the first is slower than the others, and the last ends with a checkpoint."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *details: Any) -> None:
        """Note when a step begins, after a GPU has done the one before."""
        assert isinstance(pl_module, StyleModule)
        pl_module.figures()
        self.starts.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """The time of a step, s."""
        return (self.starts[-1] - self.starts[1]) / (len(self.starts) - 2)


def _begun(
    recipe: Recipe | None, init: str | Path | None, device: torch.device, *, several: bool, processes: int
) -> tuple[Recipe, str | Path | None]:
    """Decide once for all parts of a run what its recipe leaves open and what it starts from: None is fresh weights."""
    recipe = recipe or Recipe()
    if init is None and recipe.tune == "network" and not several and shipped_starts(recipe.network):
        init = NEAREST
    elif init == SCRATCH:
        init = None
    if init is None and recipe.tune == "adapter":
        raise InputError("an adapter needs a network to adapt", hint="Give --init with a shipped style, for example.")
    if recipe.precision == "auto":
        recipe = replace(recipe, precision="bf16" if _bf16_is_faster(device, measure=processes == 1) else "32")
    return replace(recipe, steps=recipe.step_count) if init is None else recipe.from_trained(), init


def _continued(recipe: Recipe | None, previous: Checkpoint) -> Recipe:
    """Return the recipe of a resumed run: the checkpoint's, with perhaps another number of steps."""
    if recipe is None:
        return previous.recipe
    steps = previous.recipe.steps if recipe.steps is None else recipe.steps
    if "init" in previous.card:
        recipe = recipe.from_trained()
    old, new = previous.recipe.as_dict(), recipe.as_dict()
    left_open = {"precision": "auto", "steps": new["steps"]}
    changed = [key for key in old if old[key] != new[key] and new[key] != left_open.get(key, old[key])]
    if changed:
        raise InputError(
            f"{previous.path} was trained with another {', '.join(changed)}; a resumed run has the same recipe",
            hint="Leave these options out, or start a new run with --init.",
        )
    return replace(previous.recipe, steps=steps)


def _check_steps_left(previous: Checkpoint, recipe: Recipe, path: Path) -> None:
    """Raise InputError if no step is left, unless what the run has left at ``path`` is only to be exported."""
    left = recipe.step_count - previous.step
    if left < 0 or (left == 0 and path.resolve() != previous.path.resolve()):
        raise InputError(
            f"{previous.path} has taken {previous.step} of {recipe.step_count} steps",
            hint=f"Give more --steps, or export it: fast-style export {previous.path}",
        )


def _calibrated_losses(
    paintings: Sequence[Painting], data: PhotoData, recipe: Recipe, previous: Checkpoint | None
) -> list[PerceptualLoss]:
    """Build the loss of each painting, in the units that the checkpoint has or that photos score."""
    vgg = load_vgg(recipe.vgg, recipe.objective)
    known = {} if previous is None else previous.calibrations
    losses = []
    for painting in paintings:
        loss = PerceptualLoss(vgg, painting.image, recipe.objective, calibration=known.get(painting.style))
        if loss.calibration is None and recipe.objective.weighting == "balanced":
            loss.calibrate(data.sample(CALIBRATION_PHOTOS, size=recipe.size))
        losses.append(loss)
    return losses


def _find_start(
    init: str | Path, paintings: Sequence[Painting], losses: Sequence[PerceptualLoss], data: PhotoData, recipe: Recipe
) -> Start:
    """Load what a run starts from: what is named, or what is nearest to the first painting."""
    if init == NEAREST:
        return nearest_start(losses[0], data.sample(NEARNESS_PHOTOS, size=recipe.size), network=recipe.network)
    start = load_start(init, network=recipe.network)
    if recipe.tune != "adapter" or len(start.sets) < 2 or start.style is not None:
        return start
    # One photo is enough: an adapter learns in seconds what more photos would tell.
    photos = data.sample(1, size=recipe.size)
    if len(paintings) == 1:
        return nearest_style_of(start, losses[0], photos)
    sets, notes = dict(start.sets), []
    for painting, loss in zip(paintings, losses, strict=True):
        if painting.style not in start.sets:
            nearest = nearest_style_of(start, loss, photos)
            sets[painting.style] = sets[str(nearest.style)]
            notes.append(f"{painting.style} starts from {nearest.name}, the nearest style")
    return replace(start, sets=sets, notes=tuple(notes))


def _trainer(
    module: StyleModule,
    data: PhotoData,
    path: Path,
    device: torch.device,
    preview_every: int | None,
    callbacks: Sequence[pl.Callback],
    *,
    devices: int,
    nodes: int,
) -> pl.Trainer:
    """Make the trainer, which writes figures and previews into the folder of the checkpoint's path, which exists."""
    recipe = module.recipe
    every = preview_every or max(25, recipe.step_count // 20)
    if recipe.precision == "bf16":
        module.loss_of(0).vgg.compute_in(torch.bfloat16)
    module.to(memory_format=torch.channels_last)
    # Every process has the perceptual network's buffers already; sending them at each step would cost 80 MB.
    # Of several styles, a step is about one.
    parallel = DDPStrategy(broadcast_buffers=False, find_unused_parameters=module.sets is not None)
    return pl.Trainer(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy=parallel if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_steps=recipe.step_count,
        max_epochs=-1,
        gradient_clip_val=recipe.gradient_clip,
        logger=False,
        callbacks=[
            Averaging(every=1),
            Metrics(path.with_suffix(".csv"), every=10),
            Previews(path.parent / "previews", data.sample(4, size=256), every=every),
            Checkpoints(path, every=every),
            *callbacks,
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _fit(
    trainer: pl.Trainer, module: StyleModule, data: PhotoData, path: Path, resume: str | Path | None, *, export: bool
) -> Outcome:
    """Take the steps, and publish what they made if they are all done."""
    began, stopping = time.monotonic(), GentleStop()
    trainer.callbacks.append(stopping)  # type: ignore[attr-defined]  # Lightning sets it by name
    try:
        with stopping.listening():
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    except DatasetError as error:
        raise data.draws.unusable() from error  # a worker's message is its traceback
    except Exception as error:  # Lightning takes over what it finds, and raises nearly anything
        begun = resume is None or module.latest is not None
        if begun or isinstance(error, FastStyleError) or is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"training cannot continue from {resume}: {reason}", hint="Give a .ckpt file that 'fast-style train' wrote."
        ) from error
    seconds = time.monotonic() - began
    finished = trainer.global_step >= module.recipe.step_count
    skipped = {each: data.draws.reason(each) for each in sorted(module.skipped | data.skipped)}
    outcome = Outcome(path, trainer.global_step, finished, skipped)
    if not (finished and export):
        return outcome
    training = {"photos": len(data.paths), "seconds_of_this_run": round(seconds), "skipped": len(outcome.skipped)}
    # Of several processes, one publishes.
    return rank_zero_only(_publish)(outcome, training, data) or outcome


def _publish(outcome: Outcome, training: dict[str, Any], data: PhotoData) -> Outcome:
    """Write the ONNX file, its card and its grounds beside the checkpoint, and the adapter, if only that was tuned."""
    checkpoint = load_checkpoint(outcome.checkpoint)
    model = outcome.checkpoint.with_suffix(".onnx")
    verification = export_checkpoint(checkpoint, model)
    card = write_card(checkpoint, model, verification, training=training)
    adapter = grounds = None
    if checkpoint.recipe.tune == "adapter" and len(checkpoint.styles) == 1:
        adapter, content = model.with_suffix(SUFFIX), read_checked(model)
        ((style, values),) = read_sets(content).items()
        save_adapter(Adapter(style, base_checksum(content), values, training_card(checkpoint)), adapter)
    side = 3 * checkpoint.recipe.coarsest  # three passes
    if checkpoint.recipe.passes > 1 and side <= GROUND_SIDE and len(checkpoint.styles) == 1:
        grounds = model.parent / "previews" / "grounds.png"
        _show_grounds(model, data, grounds, side=side)
    return replace(outcome, model=model, card=card, verification=verification, adapter=adapter, grounds=grounds)


def _show_grounds(model: Path, data: PhotoData, path: Path, *, side: int) -> None:
    """Paint the flattest of some photos over each ground, for a user to see whether one suits."""

    def detail(photo: Pixels) -> float:  # of each fourth pixel, as small photos were enlarged
        return float(np.median(np.abs(np.diff(photo[::4, ::4].astype(np.int16), axis=0)).sum(axis=-1)))

    photos = sorted((to_uint8(photo.numpy()) for photo in data.sample(GROUND_CANDIDATES, size=side)), key=detail)
    stylizer, tiles = Stylizer(model), []
    for photo in photos[:GROUND_PHOTOS]:
        tiles.append(Tile(photo, "photo"))
        for forms in get_args(Forms):
            tiles.append(Tile(stylizer.mixed(ground=forms).picture(Picture(photo)).pixels, forms))
    make_parent(path)
    save_image(Picture(grid(tiles, columns=1 + len(get_args(Forms)), text=18)), path)


def _bf16_is_faster(device: torch.device, *, measure: bool) -> bool:
    """Whether a device computes faster in bfloat16.

    Processors are asked by timing a convolution of the perceptual network, which is cheaper than a table of them, and
    only if there is one process: several could come to different answers.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu" or not measure:
        return False

    def seconds(dtype: torch.dtype) -> float:
        shapes = (1, 128, 96, 96), (128, 128, 3, 3)
        image, weight = (torch.rand(shape).to(dtype, memory_format=torch.channels_last) for shape in shapes)
        return min(timeit.repeat(lambda: torch.nn.functional.conv2d(image, weight, padding=1), repeat=6, number=1))

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)
