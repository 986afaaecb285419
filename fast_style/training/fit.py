"""The steps: a prepared run taken to its end, or to where Ctrl-C stops it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from fast_style.device import find_device
from fast_style.recipe import Precision
from fast_style.training.callbacks import Averaging, Checkpoints, DivergenceAlarm, Metrics, Previews
from fast_style.training.prepare import Prepared

PREVIEW_PHOTOS = 4
PREVIEW_SIZE = 256
METRICS_EVERY = 10


@dataclass(frozen=True)
class Fitted:
    """What the steps left.

    Attributes:
        checkpoint: ``OUT/NAME.ckpt``.
        step: Steps done, over all of the run's parts.
        finished: Whether these are all steps of the recipe.
        seconds: Duration of this part of the run.
        photos: How many photos the folder holds.
        skipped: Those that could not be used.
    """

    checkpoint: Path
    step: int
    finished: bool
    seconds: float
    photos: int
    skipped: tuple[str, ...]


def fit(
    run: Prepared,
    out: Path,
    *,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    precision: Precision = "auto",
    preview_every: int | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> Fitted:
    """Take the steps; arguments and errors as of :func:`fast_style.training.train_style`.

    Leaves the checkpoint, the losses as CSV and the previews in ``out``, also after Ctrl-C.
    """
    recipe = run.module.recipe
    # Apple's GPU is Lightning's own choice, too.
    device = find_device(accelerator, apple=True)
    out.mkdir(parents=True, exist_ok=True)
    every = preview_every or max(25, recipe.steps // 20)
    checkpoints = Checkpoints(out / f"{run.name}.ckpt", every=every)
    bf16 = uses_bf16(precision, device)
    if bf16:
        run.module.loss.vgg.compute_in(torch.bfloat16)
    trainer = pl.Trainer(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        # Every process has the perceptual network's buffers already; sending them at each step would cost 80 MB.
        # Of several styles, a step is about one.
        strategy=DDPStrategy(broadcast_buffers=False, find_unused_parameters=run.module.sets is not None)
        if devices * nodes > 1
        else "auto",
        precision="bf16-mixed" if bf16 else "32-true",
        max_steps=recipe.steps,
        max_epochs=-1,
        gradient_clip_val=recipe.gradient_clip,
        logger=_loggers(out),
        callbacks=[
            Averaging(),
            DivergenceAlarm(every=METRICS_EVERY),
            Metrics(out / f"{run.name}.csv", every=METRICS_EVERY),
            Previews(out / "previews", run.data.sample(PREVIEW_PHOTOS, size=PREVIEW_SIZE), every=every),
            checkpoints,
            *callbacks,
        ],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    start = time.monotonic()
    with _stopping_gently(trainer):
        trainer.fit(run.module, datamodule=run.data, ckpt_path=run.resume, weights_only=True)
    seconds = time.monotonic() - start
    finished = trainer.global_step >= recipe.steps
    if not finished:
        checkpoints.act(trainer, run.module, trainer.global_step)
    skipped = tuple(sorted(run.module.skipped | run.data.skipped))
    return Fitted(checkpoints.path, trainer.global_step, finished, seconds, len(run.data.paths), skipped)


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: ``auto`` does so where the device is faster at it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
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
