"""The progress bar of a training run."""

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
from rich.console import Console

from fast_style.cli.ui.progress import LossProgress
from fast_style.training.module import StyleModule


def silence_lightning() -> None:
    """Keep off the terminal what Lightning reports by itself: what a user must know comes as our own words."""
    # Lightning 2.6 calls what torch 2.15 deprecates; a user can do nothing about it.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
    # It reports devices and tips at this level.
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


class TrainingProgress(pl.Callback):
    """Shows steps, losses and the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: LossProgress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        if trainer.is_global_zero:
            self.bar = LossProgress(self.console, "training", "step", trainer.max_steps, done=trainer.global_step)
            self.bar.progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar."""
        assert isinstance(pl_module, StyleModule)
        step = trainer.global_step
        if self.bar is not None and (step % 5 == 0 or step == trainer.max_steps):
            self.bar.advance(pl_module.figures(), steps=step - self.bar.done)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the bar."""
        if self.bar is not None:
            self.bar.progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Remove the bar."""
        self.on_train_end(trainer, pl_module)
