"""What happens beside the steps: the average, previews, figures, checkpoints, and a look at whether training failed."""

import csv
import math
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.func import functional_call

from fast_style.errors import TrainingDivergedError
from fast_style.files import make_parent, replacing, sweep
from fast_style.images import Picture, save_image, to_uint8
from fast_style.losses.loss import FIGURES
from fast_style.model.ground import make_ground
from fast_style.model.passes import count_passes
from fast_style.networks.passes import paint
from fast_style.training.module import StyleModule


class StyleCallback(pl.Callback):
    """A callback of a :class:`StyleModule` that acts every so many steps, and after the last."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Call :meth:`act` if it is due."""
        assert isinstance(pl_module, StyleModule)
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.max_steps:
            self.act(trainer, pl_module, step)

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        """Do what is due after ``step`` steps."""
        raise NotImplementedError


class Averaging(StyleCallback):
    """Update the averaged weights. Lightning calls the module's own hooks later, after a checkpoint was saved."""

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        """Update."""
        module.update_average()


# A picture this even, or with this share of its values at the ends, holds nothing of its photo. Flat paintings stay
# far from both: their pictures keep the photo's outlines.
_SMALLEST_DEVIATION = 2e-3
_LARGEST_SATURATION = 0.98
# Pictures of the first steps are noise of low contrast.
GRACE_STEPS = 50


def assert_healthy(module: StyleModule, step: int) -> None:
    """Look at what shows a failed training: the losses, the weights, and, after the first steps, the pictures.

    Raises:
        TrainingDivergedError: A loss or a weight is not finite, or the pictures are of one color or burnt out.
    """
    figures = module.figures()
    reason = None
    if not all(math.isfinite(value) for value in figures.values()):
        bad = ", ".join(name for name, value in figures.items() if not math.isfinite(value) and name != "total")
        reason = f"the loss is {figures['total']}" + (f" ({bad})" if bad else "")
    elif not torch.stack([weights.isfinite().all() for weights in module.state_dict().values()]).all():
        reason = "a weight is not finite"
    elif step >= GRACE_STEPS and module.latest_output is not None:
        pictures = module.latest_output
        burnt = ((pictures <= 0.002) | (pictures >= 0.998)).float().mean().item()
        if pictures.std().item() < _SMALLEST_DEVIATION:
            reason = "the pictures are of one color"
        elif burnt > _LARGEST_SATURATION:
            reason = f"{burnt:.0%} of the pictures is black or burnt out"
    if reason:
        raise TrainingDivergedError(
            f"training diverged at step {step}: {reason}",
            hint="Halve --learning-rate, or lower --strength. The last good checkpoint is kept.",
        )


class Checkpoints(StyleCallback):
    """Save the run, whole or not at all, under one name, and never in a bad state."""

    def __init__(self, path: Path, *, every: int) -> None:
        super().__init__(every)
        self.path = path

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        """Save, or raise TrainingDivergedError, and the file of an earlier step stays as it is."""
        assert_healthy(module, step)
        if trainer.is_global_zero:
            sweep(self.path)
        # On every process, as it waits for all of them; the first one writes.
        with replacing(self.path, durable=True) if trainer.is_global_zero else nullcontext(self.path) as place:
            trainer.save_checkpoint(place)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save where a run is stopped."""
        assert isinstance(pl_module, StyleModule)
        if trainer.global_step < trainer.max_steps:
            self.act(trainer, pl_module, trainer.global_step)


class Metrics(StyleCallback):
    """Append the losses to a CSV file; a resumed run first drops the rows that it will write again.

    ``total`` is what is minimized, the weighted sum; each term stands under its name, in its unit and not weighted.
    """

    def __init__(self, path: Path, *, every: int) -> None:
        super().__init__(every)
        self.path = path

    @staticmethod
    def columns(module: StyleModule) -> tuple[str, ...]:
        """Name the columns: those of every run first, then one for each further term and what the run has beside."""
        further = (name for name in module.terms if name not in FIGURES)
        return ("step", *FIGURES, "learning_rate", *further, *(("kept",) if module.keeping is not None else ()))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the rows up to the step that the run starts from."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, StyleModule)
        written = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        columns = ",".join(self.columns(pl_module))
        rows = written.splitlines()[1:] if written.startswith(f"{columns}\n") else []  # else of another run
        kept = [row for row in rows if (step := row.partition(",")[0]).isdigit() and int(step) <= trainer.global_step]
        with replacing(self.path) as place:
            place.write_text("\n".join([columns, *kept, ""]), encoding="utf-8")

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        """Write a row, or raise TrainingDivergedError, so that little time is lost."""
        assert_healthy(module, step)
        if not trainer.is_global_zero:
            return
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        row = {name: f"{value:.6g}" for name, value in module.figures().items()}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns(module), lineterminator="\n")
            writer.writerow({"step": step, "learning_rate": f"{rate:.3g}", **row})


class Previews(StyleCallback):
    """Write a picture of a few photos, each (1, 3, S, S), beside their results as ``step-000200.png`` and the like."""

    def __init__(self, folder: Path, photos: list[Tensor], *, every: int) -> None:
        super().__init__(every)
        self.folder = folder
        self.photos = photos

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show what a run starts from, if it is a trained network."""
        assert isinstance(pl_module, StyleModule)
        if trainer.global_step == 0 and "init" in pl_module.card:
            self.act(trainer, pl_module, 0)

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        """Stylize the photos with the averaged weights, or raise TrainingDivergedError."""
        assert_healthy(module, step)
        if not trainer.is_global_zero:
            return
        if module.average_sets is None:
            pairs = self._pairs(module, self.photos, {})
        else:  # a row for each style
            styles = (module.average_sets.one(style) for style in range(len(module.losses)))
            pairs = [pair for each in styles for pair in self._pairs(module, self.photos[:2], each)]
        path = self.folder / f"step-{step:06d}.png"
        make_parent(path)
        save_image(Picture(to_uint8(torch.cat(pairs, dim=-2).numpy())), path)

    @staticmethod
    @torch.no_grad()
    def _pairs(module: StyleModule, photos: list[Tensor], style: dict[str, Tensor]) -> list[Tensor]:
        """Draw photos; two pairs of a photo and its result side by side, so that four photos make a square."""
        rows, recipe = [], module.recipe
        ground = make_ground(recipe.ground, module.card["paintings"])
        stylize = partial(functional_call, module.average, style)
        for photo in photos:
            passes = 1 if recipe.passes == 1 else count_passes(max(photo.shape[-2:]), recipe.coarsest)
            result = paint(stylize, photo.to(module.device), passes, strength=recipe.draft_strength, ground=ground)
            rows.append(torch.cat([photo, result.clamp(0.0, 1.0).float().cpu()], dim=-1))
        return [torch.cat(rows[first : first + 2], dim=-1) for first in range(0, len(rows) - len(rows) % 2, 2)] or rows
