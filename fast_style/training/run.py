"""A training run from end to end: painting and photos in; checkpoint, verified ONNX file and card out."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from fast_style import __version__
from fast_style.errors import InputError
from fast_style.export import Verification, export_onnx
from fast_style.images import load_image, replacing
from fast_style.perceptual import PerceptualLoss, load_vgg
from fast_style.training.callbacks import Averaging, Checkpoints, DivergenceAlarm, Metrics, Previews
from fast_style.training.checkpoint import Checkpoint, load_checkpoint
from fast_style.training.module import StyleModule
from fast_style.training.painting import Box, find_canvas, load_painting
from fast_style.training.photos import PhotoData
from fast_style.training.recipe import Precision, Recipe
from fast_style.training.start import NEAREST, nearest_style, start_from

CALIBRATION_PHOTOS = 32
NEARNESS_PHOTOS = 4
PREVIEW_PHOTOS = 4
PREVIEW_SIZE = 256
METRICS_EVERY = 10


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        checkpoint: ``DIR/N.ckpt``.
        model: ``DIR/N.onnx``, or None where the run was interrupted.
        card: ``DIR/N.json``, likewise.
        step: Steps done.
        skipped: Photos that could not be used.
        verification: Of the ONNX file.
    """

    checkpoint: Path
    model: Path | None
    card: Path | None
    step: int
    skipped: tuple[str, ...]
    verification: Verification | None


def train_style(
    painting: str | Path,
    photos: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    recipe: Recipe | None = None,
    init: str | Path | None = None,
    resume: str | Path | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    precision: Precision = "auto",
    workers: int | None = None,
    preview_every: int | None = None,
    keep_frame: bool = False,
    details: dict[str, Any] | None = None,
    on_note: Callable[[str], None] | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> Outcome:
    """Train a style and export it.

    Args:
        painting: The style image.
        photos: A folder of photos, searched at any depth.
        out: Folder for the checkpoint, the ONNX file, the card, previews and metrics.
        name: Of the style; the painting's file name where None.
        recipe: What to train and how. When resuming, None or one that differs only in ``steps``.
        init: A checkpoint, an exported style or the name of a shipped one, whose network to start from;
            ``nearest`` finds the shipped one that is, see :func:`nearest_style`.
        resume: A checkpoint to go on from, exactly.
        devices: Processes, one for each device.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        precision: ``bf16`` computes in bfloat16 with float32 weights and losses, ``auto`` does so where that
            is measured to be faster.
        workers: Processes that decode photos.
        preview_every: Steps between previews and checkpoints; a twentieth of the run where None.
        keep_frame: Take the painting's picture whole; otherwise a frame or border around it is cut off, see
            :func:`find_canvas`, and the card says where the painting is.
        details: Plain values for the card and the ONNX metadata: title, artist, licence …
        on_note: Called before the first step with what a user should know: what was cut off, where the run starts.
        callbacks: Lightning's, such as a progress bar.

    Returns:
        What was written. After Ctrl-C the model is None and the checkpoint can be resumed.

    Raises:
        ImageError: The painting cannot be read.
        DatasetError: There are no usable photos.
        WeightsError: The perceptual weights cannot be had.
        CheckpointError: ``init`` or ``resume`` cannot be used.
        TrainingDivergedError: The run failed; its last good checkpoint is kept.
        ExportError: The ONNX file could not be written, or was not equal.
    """
    painting, out = Path(painting), Path(out)
    previous = load_checkpoint(resume) if resume is not None else None
    if previous is not None:
        previous.network()  # fails here, and clearly, where the weights do not fit
    recipe = _settle_recipe(recipe, previous)
    if recipe.tune == "adapter" and init is None and previous is None:
        raise InputError("an adapter needs a network to adapt", hint="Give --init with a shipped style, for one.")
    if init is not None:
        recipe = replace(recipe, style_warmup=0.0)
    name = name or painting.stem
    box, note = _settle_box(painting, previous, keep_frame=keep_frame)
    picture = load_painting(painting, recipe.style_size, box=box)
    data = PhotoData(Path(photos), size=recipe.size, batch=recipe.batch, seed=recipe.seed, workers=workers)

    pl.seed_everything(recipe.seed, verbose=False)
    vgg = load_vgg(recipe.vgg, recipe.objective)
    loss = PerceptualLoss(vgg, [picture], recipe.objective, calibration=previous.calibration if previous else None)
    if loss.calibration is None and recipe.objective.weighting == "balanced":
        loss.calibrate(data.sample(CALIBRATION_PHOTOS, size=recipe.size))

    notes = [note] if note is not None else []
    if init == NEAREST:
        init = nearest_style(loss, data.sample(NEARNESS_PHOTOS, size=recipe.size), network=recipe.network)
        notes.append(f"starting from {init}, the nearest style")
    card: dict[str, Any] = {"name": name, "painting": _painting_facts(painting, box, details or {})}
    if init is not None:
        card["init"] = Path(init).name
    elif previous is not None and "init" in previous.card:
        card["init"] = previous.card["init"]
    module = StyleModule(recipe, loss, card=card)
    if init is not None:
        start_from(module, init)
    module.to(memory_format=torch.channels_last)

    out.mkdir(parents=True, exist_ok=True)
    every = preview_every or max(25, recipe.steps // 20)
    checkpoints = Checkpoints(out / f"{name}.ckpt", every=every)
    trainer = pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        # Every process has the perceptual network's buffers already; sending them at each step would cost 80 MB.
        strategy=DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto",
        precision="bf16-mixed" if _use_bf16(precision, accelerator) else "32-true",
        max_steps=recipe.steps,
        max_epochs=-1,
        gradient_clip_val=recipe.gradient_clip,
        logger=_loggers(out),
        callbacks=[
            Averaging(),
            DivergenceAlarm(every=METRICS_EVERY),
            Metrics(out / f"{name}.csv", every=METRICS_EVERY),
            Previews(out / "previews", data.sample(PREVIEW_PHOTOS, size=PREVIEW_SIZE), every=every),
            checkpoints,
            *callbacks,
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    if on_note is not None and trainer.is_global_zero:
        for told in notes:
            on_note(told)
    start = time.monotonic()
    with _stopping_gently(trainer):
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    skipped = tuple(sorted(module.skipped | data.skipped))
    if trainer.global_step < recipe.steps:
        checkpoints.act(trainer, module, trainer.global_step)
        return Outcome(checkpoints.path, None, None, trainer.global_step, skipped, None)
    if not trainer.is_global_zero:
        return Outcome(checkpoints.path, None, None, trainer.global_step, skipped, None)
    seconds = time.monotonic() - start
    checkpoint = load_checkpoint(checkpoints.path)
    model = out / f"{name}.onnx"
    verification = export_checkpoint(checkpoint, model)
    facts = {"photos": len(data.paths), "seconds_of_this_run": round(seconds), "skipped": len(skipped)}
    card_path = write_card(checkpoint, model, verification, training=facts)
    return Outcome(checkpoints.path, model, card_path, trainer.global_step, skipped, verification)


def export_checkpoint(checkpoint: Checkpoint, path: Path, *, size: tuple[int, int] | None = None) -> Verification:
    """Export a checkpoint's averaged network, with what is known about it in the metadata; arguments as there.

    The metadata's ``card_sha256`` is the checksum of the card's part that training wrote: see :func:`card_checksum`.
    """
    painting = checkpoint.card.get("painting", {})
    metadata = {
        "style": str(checkpoint.card.get("name", "")),
        "precision": "fp32",
        "licence": str(painting.get("licence", "not stated")),
        "card_sha256": card_checksum(checkpoint),
        "network": checkpoint.recipe.network,
        "version": __version__,
        "steps": str(checkpoint.step),
        "recipe": json.dumps(checkpoint.recipe.as_dict()),
        "losses": json.dumps(checkpoint.losses),
        **{f"painting_{key}": str(value) for key, value in painting.items()},
    }
    return export_onnx(checkpoint.network(), path, metadata=metadata, size=size)


def training_card(checkpoint: Checkpoint) -> dict[str, Any]:
    """What training alone decides of the card, whatever is exported from it later: the same for every file."""
    return {
        **checkpoint.card,
        "network": checkpoint.recipe.network,
        "recipe": checkpoint.recipe.as_dict(),
        "calibration": checkpoint.calibration.as_dict() if checkpoint.calibration else None,
    }


def card_checksum(checkpoint: Checkpoint) -> str:
    """SHA-256 of :func:`training_card` as JSON with sorted keys: ties every exported file to its training."""
    return hashlib.sha256(json.dumps(training_card(checkpoint), sort_keys=True).encode()).hexdigest()


def write_card(
    checkpoint: Checkpoint,
    model: Path,
    verification: Verification,
    *,
    training: dict[str, Any],
    facts: dict[str, Any] | None = None,
) -> Path:
    """Write ``NAME.json`` beside an ONNX file: what it is, where it comes from, how it was made and proved.

    Args:
        checkpoint: What was exported.
        model: The ONNX file.
        verification: Its proof.
        training: Facts about the run.
        facts: More top-level entries, such as those of a reduced precision.
    """
    card = {
        **training_card(checkpoint),
        "training": {"steps": checkpoint.step, "losses": checkpoint.losses, **training},
        "verification": {"largest_difference": verification.largest, "by_shape": dict(verification.differences)},
        "card_sha256": card_checksum(checkpoint),
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "versions": {"fast_style": __version__, "torch": torch.__version__},
        "date": datetime.now(UTC).date().isoformat(),
        **(facts or {}),
    }
    path = model.with_suffix(".json")
    with replacing(path) as partial:
        partial.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _settle_recipe(recipe: Recipe | None, previous: Checkpoint | None) -> Recipe:
    if previous is None:
        return recipe or Recipe()
    if recipe is None:
        return previous.recipe
    old, new = previous.recipe.as_dict(), recipe.as_dict()
    changed = [key for key in old if old[key] != new[key] and key != "steps"]
    if changed:
        raise InputError(
            f"{previous.path} was trained with another {', '.join(changed)}; resuming goes on with the same recipe",
            hint="Leave these options out, or start a new run with --init.",
        )
    return recipe


def _settle_box(painting: Path, previous: Checkpoint | None, *, keep_frame: bool) -> tuple[Box | None, str | None]:
    """Where the painting is in its picture, and what to tell of it; a resumed run keeps to what it began with."""
    if previous is None:
        canvas = find_canvas(load_image(painting, opaque=True).pixels)
        if keep_frame or canvas.note is None:
            return None, None
        hint = "--keep-frame keeps it" if canvas.box else "cut it off with an image editor if it is one"
        return canvas.box, f"{painting}: {canvas.note}; {hint}"
    box = previous.card.get("painting", {}).get("box")
    if box is not None and keep_frame:
        raise InputError(
            f"{previous.path} was trained without the frame; resuming goes on so", hint="Leave --keep-frame out."
        )
    return box, None


def _painting_facts(painting: Path, box: Box | None, details: dict[str, Any]) -> dict[str, Any]:
    facts = {"file": painting.name, "sha256": hashlib.sha256(painting.read_bytes()).hexdigest(), **details}
    return facts if box is None else {**facts, "box": list(box)}


def _use_bf16(precision: Precision, accelerator: str) -> bool:
    if precision != "auto":
        return precision == "bf16"
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return _bf16_is_faster_on_cpu()


def _bf16_is_faster_on_cpu() -> bool:
    """Time one convolution of the perceptual network in both types: cheaper to ask the machine than to guess."""
    image, weight = torch.rand(1, 128, 96, 96), torch.rand(128, 128, 3, 3)
    image, weight = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (image, weight))
    best: dict[torch.dtype, float] = {}
    with torch.no_grad():
        for dtype in (torch.float32, torch.bfloat16):
            x, w = image.to(dtype), weight.to(dtype)
            times = []
            for _ in range(6):
                start = time.perf_counter()
                torch.nn.functional.conv2d(x, w, padding=1)
                times.append(time.perf_counter() - start)
            best[dtype] = min(times)
    return best[torch.bfloat16] < 0.8 * best[torch.float32]


def _loggers(out: Path) -> list[Logger]:
    try:
        return [TensorBoardLogger(out, name="tensorboard", version="")]
    except ModuleNotFoundError:  # neither tensorboard nor tensorboardX is installed: the CSV has it all
        return []


@contextmanager
def _stopping_gently(trainer: pl.Trainer) -> Iterator[None]:
    """Let the first Ctrl-C finish the step at hand, so that the checkpoint is whole; the second one is Python's."""

    def stop(number: int, frame: FrameType | None) -> None:
        trainer.should_stop = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, stop)
    except ValueError:  # not in the main thread: then Ctrl-C is somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
