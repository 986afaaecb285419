"""The Lightning module: a transformer network, its running average, and the loss it learns from."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.func import functional_call

from fast_style import __version__
from fast_style.checkpoint import CHECKPOINT_FORMAT
from fast_style.losses import LossTerms, PerceptualLoss
from fast_style.losses.loss import WeightedSum
from fast_style.losses.second_view import Motion
from fast_style.losses.terms.border import Border
from fast_style.losses.terms.content import Content
from fast_style.losses.terms.steady import Steady
from fast_style.losses.window import Window, draw_window
from fast_style.model.passes import count_fitting
from fast_style.networks import StyleSets, build_network
from fast_style.networks.passes import paint
from fast_style.recipe import Recipe
from fast_style.training.keeping import Keeping, kept_at
from fast_style.training.muon import Muon
from fast_style.training.paintings import finish_for
from fast_style.training.sharpening import soften
from fast_style.training.start import Start

# The style's weight rises from this share of it: see the recipe's style_warmup.
FIRST_STYLE_SHARE = 0.25


def training_losses(loss: PerceptualLoss, recipe: Recipe) -> list[WeightedSum]:
    """Return what the steps minimize in turn: one sum, or four if the terms that draw a second time count in turns.

    It is the calibrated objective of a picture, whose targets are shared, with the style rising, and the second views.
    """
    rising = [
        term.with_weight(replace(term.weight, first=FIRST_STYLE_SHARE, until=recipe.style_warmup))
        for term in loss.terms.values()
        if term.against == "painting"
    ]

    def with_second_views(border: float, steady: float) -> WeightedSum:
        return WeightedSum(
            loss.vgg, [*loss.terms.values(), *rising, Border(border), Steady(steady, since=recipe.steady_since)]
        )

    if not recipe.in_turns:
        return [with_second_views(recipe.border_weight, recipe.steady_weight)]
    steadily = with_second_views(0.0, 2 * recipe.steady_weight)
    return [with_second_views(0.0, 0.0), with_second_views(4 * recipe.border_weight, 0.0), steadily, steadily]


class StyleModule(pl.LightningModule):
    """Train one transformer network on one style, or on several: each step then draws one of them.

    The checkpoint holds the network, the average of its weights, the optimizer and the recipe; the perceptual
    network keeps itself out, having neither parameters nor persistent buffers.

    Args:
        recipe: What to train and how.
        losses: One for each of the card's ``styles``, calibrated; :func:`training_losses` adds to each what only
            training needs.
        card: Plain values about the style that go into the checkpoint: name, styles and paintings.
        start: The weights to train on; None takes fresh ones.
    """

    def __init__(
        self, recipe: Recipe, losses: Sequence[PerceptualLoss], *, card: dict[str, Any], start: Start | None = None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.card = card
        self.network = build_network(recipe.network) if start is None else start.network.train()
        if recipe.tune == "network":
            # Trained through coring, a network learns to draw its mesh three times as strong, which passes; through
            # accents, to draw the opposite colors.
            self.network.set_finish(coring=False, accents=False)
        self.sets: StyleSets | None = None
        if len(losses) > 1:
            self.sets = StyleSets(self.network, card["styles"])
            if start is not None:
                start.give(self.sets)
        self.average, self.average_sets = copy.deepcopy((self.network, self.sets))
        if recipe.tune == "network":
            finish = finish_for(card.get("paintings", {}).values())  # for what is shown and exported
            self.average.set_finish(coring=finish["coring"], accents=finish["accents"] and recipe.accents)
        self.average.requires_grad_(False)
        if self.average_sets is not None:
            self.average_sets.requires_grad_(False)
        self.network.requires_grad_(recipe.tune != "adapter")
        for layer in self.network.modules():
            if isinstance(layer, nn.InstanceNorm2d):
                # Where there are sets, the layers' own scales and shifts play no part.
                layer.requires_grad_(self.sets is None)
        self.calibrations = [each.calibration for each in losses]
        turns = nn.ModuleList(nn.ModuleList(training_losses(each, recipe)) for each in losses)
        self.losses = cast("Sequence[Sequence[WeightedSum]]", turns)
        self.keeping: Keeping | None = None
        if recipe.kept:
            self.keeping = Keeping(kept_at(recipe.kept, recipe.objective.strength), styles=len(losses))
        self.latest_style = 0
        self.latest_kept: Tensor | None = None
        self.latest: LossTerms | None = None
        self.latest_output: Tensor | None = None
        self.skipped: set[str] = set()

    def training_step(self, batch: tuple[Tensor, list[str]], batch_idx: int) -> Tensor:
        """Stylize a batch and score it."""
        photos, skipped = batch
        self.skipped.update(skipped)
        photos = photos.contiguous(memory_format=torch.channels_last)
        output = self.draw(photos)
        scored = soften(output, self.recipe.sharpening)
        self.latest_style = self.drawn()
        loss = self.loss_of(self.latest_style)
        side = photos.shape[-1]
        window = self.window(side)
        targets, features = loss.content_targets(photos, window=window), loss.features(scored, window=window)
        terms: LossTerms = loss(
            scored,
            targets,
            features=features,
            window=window,
            photo=photos,
            draw=lambda view: soften(self.draw(view), self.recipe.sharpening),
            motion=Motion.drawn(self._random(7), side, side) if "steady" in loss.terms else None,
            progress=self.global_step / self.recipe.step_count,
            seed=self.global_step,
        )
        if self.keeping is not None:
            terms = terms.with_content_times(self.keeping.factor(self.latest_style))
            self.latest_kept = cast("Content", loss.terms["content"]).kept(features, targets)
            of_all = cast("Tensor", self.all_gather(self.latest_kept)).mean()  # devices have photos of their own
            self.keeping.update(self.latest_style, of_all)
        # Kept as tensors: reading a figure would make a GPU wait, so callbacks do it only now and then.
        self.latest = terms.detach()
        self.latest_output = output.detach()
        return terms.total

    def draw(self, photos: Tensor) -> Tensor:
        """Stylize with the network as it is in training; (N, 3, H, W) to the same shape, float32.

        A step draws from how many passes it paints, and only the last of them learns.
        """
        places = self.network.random_places(self._random(4))
        style = {} if self.sets is None else self.sets.one(self.drawn())

        def stylize(image: Tensor) -> Tensor:
            image = image.contiguous(memory_format=torch.channels_last)
            pictures: Tensor = functional_call(self.network, style, (image, places))
            return pictures.float()

        most = count_fitting((photos.shape[-1], photos.shape[-2]), self.recipe.passes)
        return paint(stylize, photos, int(self._random(8).integers(most)) + 1)

    def _random(self, purpose: int) -> np.random.Generator:
        """Make the random numbers of this step for one purpose; they do not depend on other steps and purposes."""
        return np.random.default_rng([self.recipe.seed, purpose, self.global_step])

    def loss_of(self, style: int) -> WeightedSum:
        """Return what this step minimizes if it draws the style of that number."""
        turns = self.losses[style]
        return turns[self.global_step % len(turns)]

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of all terms, whichever step they count in."""
        return tuple(dict.fromkeys(name for turn in self.losses[0] for name in turn.terms))

    def drawn(self) -> int:
        """The number of the style that this step is about."""
        return int(self._random(6).integers(len(self.losses)))

    def window(self, side: int) -> Window:
        """The square of this step's pictures that is scored."""
        return draw_window(self._random(3), side, side - 2 * (side // 8) - side // 16)

    def figures(self) -> dict[str, float]:
        """The latest step's ``total``, which is minimized, and each term's value, unweighted; empty before a step.

        Last, if the recipe asks for it, how much of the photos was ``kept``.
        """
        figures = self.latest.figures() if self.latest is not None else {}
        return figures if self.latest_kept is None else {**figures, "kept": float(self.latest_kept)}

    def update_average(self) -> None:
        """Move the average towards the weights, faster in the first steps, which start from noise.

        Not ``torch.optim.swa_utils.AveragedModel``: each style's set has a share of its own.
        """
        decay = min(self.recipe.averaging, self.global_step / (self.global_step + 10))
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, 1.0 - decay)
            if self.sets is not None and self.average_sets is not None:
                # A set is drawn less often than what all share, so each of its steps counts for more.
                share = 1.0 - decay ** len(self.losses)
                self.average_sets.values[self.latest_style].lerp_(self.sets.values[self.latest_style], share)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Muon and Adam with a linear warm-up, then a cosine down to zero."""
        rate = self.recipe.peak_learning_rate
        groups: list[dict[str, Any]] = []
        if trained := [weight for weight in self.network.parameters() if weight.requires_grad]:
            groups.append({"params": trained})
        if self.sets is not None:
            # Each drawn less often than what they share, they may learn faster.
            faster = min(self.recipe.style_rate, float(len(self.losses)))
            groups.append({"params": list(self.sets.parameters()), "lr": rate * faster})
        optimizer = Muon(groups, rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        warmup = max(1.0, self.recipe.warmup * self.recipe.step_count)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = (step - warmup) / max(1.0, self.recipe.step_count - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember what earlier parts of the run skipped."""
        self.skipped.update(checkpoint["fast_style"].get("skipped", ()))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is needed to continue and to export."""
        units = zip(self.card["styles"], self.calibrations, strict=True)
        checkpoint["fast_style"] = {
            "format": CHECKPOINT_FORMAT,
            "version": __version__,
            "recipe": self.recipe.as_dict(),
            "card": self.card,
            "calibrations": {style: known for style, known in units if known is not None},
            "losses": self.figures(),
            "skipped": sorted(self.skipped),
        }
