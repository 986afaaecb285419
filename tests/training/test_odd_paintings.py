"""The default recipe on pictures that are hardly paintings, against the real perceptual network; only smaller."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor

from fast_style.images import load_image
from fast_style.losses import VGG, PerceptualLoss, load_vgg
from fast_style.painting import scale_painting
from fast_style.training import Recipe
from fast_style.training.callbacks import GRACE_STEPS, Averaging, StyleCallback, assert_healthy
from fast_style.training.module import StyleModule
from fast_style.training.photos import PhotoData
from tests.conftest import PHOTOS, SKIMAGE

# Everything that decides how large a step is stays as it is: learning rate, weights, layers, clipping, batch. The
# style counts in full from the first step, which is harder. Crops so small hold too few cells for the lattice.
RECIPE = Recipe(steps=20, size=64, style_size=128, style_warmup=0.0)


class Losses(pl.Callback):
    """Keep the objective of every step."""

    def __init__(self) -> None:
        self.totals: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StyleModule)
        self.totals.append(pl_module.figures()["total"])


class EarlyAlarm(StyleCallback):
    """Looks at the pictures of short runs, too: from step 12."""

    def act(self, trainer: pl.Trainer, module: StyleModule, step: int) -> None:
        assert_healthy(module, step + GRACE_STEPS - 12)


def odd_picture(name: str) -> Image.Image:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:96, :128]
    match name:
        case "black and white":
            return Image.open(SKIMAGE / "horse.png").convert("RGB")
        case "photograph":
            return Image.open(PHOTOS["china"]).convert("RGB")
        case "flat color":
            return Image.new("RGB", (128, 96), (200, 30, 60))
        case "noise":
            return Image.fromarray(random.integers(0, 256, (96, 128, 3), np.uint8))
        case "strip of 16 px":
            return Image.open(PHOTOS["coffee"]).convert("RGB").resize((128, 16))
        case "text":
            return Image.open(SKIMAGE / "text.png").convert("RGB")
        case _:
            return Image.fromarray(np.stack([x * 2, y * 2, 255 - x * 2], -1).astype(np.uint8))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums come out the same on every machine, and small steps need no more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def vgg() -> VGG:
    return load_vgg(RECIPE.vgg, RECIPE.objective)


@pytest.mark.parametrize(
    "name", ["black and white", "photograph", "flat color", "noise", "strip of 16 px", "text", "gradient"]
)
def test_default_settings_do_not_diverge_on_odd_paintings(
    name: str, vgg: VGG, photo_folder: Path, tmp_path: Path
) -> None:
    odd_picture(name).save(tmp_path / "odd.png")
    module, losses, trainer = train(tmp_path / "odd.png", photo_folder, vgg, RECIPE)
    assert trainer.global_step == RECIPE.steps
    assert all(np.isfinite(losses.totals))
    with torch.no_grad():
        picture: Tensor = module.average(some_photos(photo_folder)[:1])
    assert bool(torch.isfinite(picture).all())
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1


def some_photos(folder: Path) -> Tensor:
    return torch.cat(PhotoData(folder, size=48, batch=1, seed=0).sample(4, size=96))


def train(painting: Path, photos: Path, vgg: VGG, recipe: Recipe) -> tuple[StyleModule, Losses, pl.Trainer]:
    """Train as a run does, but for files, previews and the export."""
    pl.seed_everything(recipe.seed, verbose=False)
    data = PhotoData(photos, size=recipe.size, batch=recipe.batch, seed=recipe.seed, workers=0)
    image = scale_painting(load_image(painting), recipe.style_size, name="painting")
    loss = PerceptualLoss(vgg, image, recipe.objective)
    loss.calibrate(data.sample(6, size=recipe.size))
    module, losses = StyleModule(recipe, [loss], card={}), Losses()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=recipe.step_count,
        max_epochs=-1,
        gradient_clip_val=recipe.gradient_clip,
        callbacks=[Averaging(every=1), EarlyAlarm(every=1), losses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        trainer.fit(module, datamodule=data)
    return module, losses, trainer
