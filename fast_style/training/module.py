"""The Lightning module: a transformer network, its running average, and the perceptual loss it learns from."""

from __future__ import annotations

import copy
import math
from types import EllipsisType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor

from fast_style import __version__
from fast_style.checkpoint import CHECKPOINT_FORMAT
from fast_style.networks import Condition, InstanceNormalization, build_network
from fast_style.perceptual import LossTerms, PerceptualLoss, pixel_grid
from fast_style.recipe import Recipe
from fast_style.training.muon import Muon

FIRST_STYLE_SHARE = 0.25


class StyleModule(pl.LightningModule):
    """Train one transformer network on one style.

    The checkpoint holds the network, the average of its weights, the optimizer and the recipe; the perceptual
    network keeps itself out, having neither parameters nor persistent buffers.

    Args:
        recipe: What to train and how.
        loss: Built for the painting, calibrated.
        card: Plain values about the style that go into the checkpoint: name, painting, licence.
    """

    def __init__(self, recipe: Recipe, loss: PerceptualLoss, *, card: dict[str, Any]) -> None:
        super().__init__()
        self.recipe = recipe
        self.card = card
        self.network = build_network(recipe.network)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        if recipe.tune == "adapter":
            self.network.requires_grad_(False)
            for layer in self.network.modules():
                if isinstance(layer, InstanceNormalization):
                    layer.requires_grad_(True)
        self.loss = loss
        self.latest: LossTerms | None = None
        self.latest_output: Tensor | None = None
        self.skipped: set[str] = set()

    def training_step(self, batch: tuple[Tensor, list[str]], batch_idx: int) -> Tensor:
        """Stylize a batch and score it."""
        photos, skipped = batch
        self.skipped.update(skipped)
        photos = photos.contiguous(memory_format=torch.channels_last)
        condition = self.condition()
        output = self.network(photos, condition).float()
        window = self.window(photos.shape[-1])
        features = self.loss.features(output[window])
        terms: LossTerms = self.loss(output[window], self.loss.content_targets(photos[window]), features=features)
        # Kept as tensors: reading a figure would make a GPU wait, so callbacks do it only now and then.
        self.latest = LossTerms(terms.total.detach(), terms.content.detach(), terms.style.detach(), terms.tv.detach())
        self.latest_output = output.detach()
        objective = self.recipe.objective
        held_back = (1 - self.style_share()) * objective.strength * objective.style_weight * terms.style
        recipe, cell = self.recipe, self.network.stride
        total = terms.total - held_back
        if recipe.grid_weight:
            total = total + recipe.grid_weight * pixel_grid(output, cell=cell)
        if recipe.lattice_weight:
            total = total + recipe.lattice_weight * self.loss.lattice(features, cell=cell)
        if recipe.border_weight:
            total = total + recipe.border_weight * self.border(photos[window], output[window], condition)
        return total

    def border(self, photos: Tensor, inner: Tensor, condition: Condition | None = None) -> Tensor:
        """How far the border of a picture is from what is drawn there where the photo goes on.

        Args:
            photos: (N, 3, S, S), cut out of larger ones.
            inner: (N, 3, S, S), cut out of what the network made of the larger ones.
            condition: What the network is told beside the photos.

        Returns:
            The mean square of the difference between the colours of blocks of 16 px: strokes may lie elsewhere.
        """
        blocks = min(16, photos.shape[-1])
        alone = self.network(photos.contiguous(memory_format=torch.channels_last), condition).float()
        return F.mse_loss(F.avg_pool2d(alone, blocks), F.avg_pool2d(inner.detach(), blocks))

    def condition(self) -> Condition:
        """What the network is told in this step."""
        return self.network.random_condition(np.random.default_rng([self.recipe.seed, 4, self.global_step]))

    def window(self, side: int) -> tuple[EllipsisType, slice, slice]:
        """The part of this step's pictures that is scored: a square well inside, at a place that varies a little.

        A network can tell where a picture ends. Scored up to there, it puts along the border what the style asks
        for and the photo has no place for: a frame. The rim, an eighth of the side, it must treat as it does the
        middle. The place varies, so that it cannot find the edges of the square either.
        """
        rim, slack = side // 8, side // 16
        top, left = rim + np.random.default_rng([self.recipe.seed, 3, self.global_step]).integers(0, slack + 1, 2)
        scored = side - 2 * rim - slack
        return ..., slice(top, top + scored), slice(left, left + scored)

    def style_share(self) -> float:
        """Share of the style's weight that counts at this step; see :class:`Recipe`."""
        rising = self.recipe.style_warmup * self.recipe.steps
        return min(1.0, FIRST_STYLE_SHARE + (1 - FIRST_STYLE_SHARE) * self.global_step / rising) if rising else 1.0

    def figures(self) -> dict[str, float]:
        """The latest step's losses as numbers; empty before the first step."""
        if self.latest is None:
            return {}
        return {name: float(getattr(self.latest, name)) for name in ("total", "content", "style", "tv")}

    def update_average(self) -> None:
        """Move the average towards the weights, faster in the first steps, which start from noise.

        Not ``torch.optim.swa_utils.AveragedModel``: it keeps its own count of updates and calls the weights
        ``average.module.*``, so checkpoints of before would have to be translated, for three lines saved.
        """
        decay = min(self.recipe.averaging, self.global_step / (self.global_step + 10))
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, 1.0 - decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon and Adam with a linear warm-up and a cosine to zero."""
        recipe = self.recipe
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimizer = Muon(weights, recipe.peak_learning_rate, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        warmup = max(1.0, self.recipe.warmup * self.recipe.steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1.0, self.recipe.steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is needed to go on and to export, as plain values."""
        calibration = self.loss.calibration
        checkpoint["fast_style"] = {
            "format": CHECKPOINT_FORMAT,
            "version": __version__,
            "recipe": self.recipe.as_dict(),
            "calibration": calibration.as_dict() if calibration else None,
            "card": self.card,
            "losses": self.figures(),
        }
