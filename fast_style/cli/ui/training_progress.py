"""The progress bar of a training run."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fast_style.training.module import StyleModule


class TrainingProgress(pl.Callback):
    """A bar with steps, losses and the time left; a line now and then if the output is not a terminal."""

    REFRESH_EVERY = 5
    LINES = 20

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        if trainer.is_global_zero and self.console.is_terminal:
            self.progress.start()
        self.task = self.progress.add_task("", total=trainer.max_steps, completed=trainer.global_step, losses="")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        assert isinstance(pl_module, StyleModule)
        step = trainer.global_step
        if not trainer.is_global_zero or (step % self.REFRESH_EVERY and step != trainer.max_steps):
            return
        losses = "  ".join(f"{name} {value:.3g}" for name, value in pl_module.figures().items())
        self.progress.update(self.task, completed=step, losses=losses)
        every = max(self.REFRESH_EVERY, trainer.max_steps // self.LINES // self.REFRESH_EVERY * self.REFRESH_EVERY)
        if not self.console.is_terminal and step % every == 0:
            self.console.print(f"step {step}/{trainer.max_steps}  {losses}", highlight=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        self.progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self.progress.stop()
