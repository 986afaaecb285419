"""The photos: found in any folder tree, cropped at random, and the same for the same seed and step."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fast_style.errors import DatasetError, ImageError
from fast_style.images import Pixels, find_photos, load_image, to_float
from fast_style.training.stopping import leave_signals

# Crops take this share of a photo's short side, so that subjects come in several sizes: a crop of 384 px is 0.4 of a
# picture of 1,024 px.
CROP_SCALE = (0.4, 1.0)
# Photos are enlarged at most so many times. Pictures of the size that people use are smoother than small photos, and a
# network that has seen none of their smooth parts paints those faintly.
LARGEST_MAGNIFICATION = 2.0
# Photos are decoded no larger than this many times the crop: a JPEG of 12 Mpx then opens eight times as fast.
_DECODE_FACTOR = 4


class PhotoDraws(Dataset[tuple[Tensor, list[str]]]):
    """An endless, reproducible sequence of random crops: draw n is a function of the seed and n alone.

    So a resumed run, or one of several processes, sees exactly the photos it would have seen otherwise. ``size`` and
    ``seed`` are those of :class:`PhotoData`.
    """

    def __init__(self, paths: list[Path], *, size: int, seed: int) -> None:
        self.paths, self.size, self.seed = paths, size, seed
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def __getitem__(self, draw: int) -> tuple[Tensor, list[str]]:
        """Return a crop (3, size, size), RGB in [0, 1], and the paths that had to be skipped to get it.

        Raises:
            DatasetError: No photo could be used.
        """
        skipped: list[str] = []
        epoch, position = divmod(draw, len(self.paths))
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.paths))
        order = self._order[1]
        random = np.random.default_rng([self.seed, 1, draw])
        for attempt in range(len(self.paths)):
            path = self.paths[order[(position + attempt) % len(self.paths)]]
            try:
                return random_crop(load_photo(path, at_least=self.size), self.size, random), skipped
            except ImageError:
                skipped.append(str(path))
        raise self.unusable()

    def reason(self, path: str) -> str:
        """Say why a photo was skipped."""
        try:
            load_photo(Path(path), at_least=self.size)
        except ImageError as error:
            return str(error)
        return f"{path} could not be read at the time"

    def unusable(self) -> DatasetError:
        """Return the error that not one photo could be used."""
        return DatasetError(
            f"none of {len(self.paths)} photos could be used, the first being {self.paths[0]}",
            hint=f"Photos must be readable and at least {self.size // 2} px on each side.",
        )


def load_photo(path: Path, *, at_least: int) -> Pixels:
    """Read a photo as (H, W, 3) uint8, shrunk if it is far larger than needed.

    Raises:
        ImageError: It cannot be read, or a side is under half of ``at_least`` px.
    """
    pixels = load_image(path, size=at_least * _DECODE_FACTOR, opaque=True).pixels
    if min(pixels.shape[:2]) < at_least // 2:  # it is small, or so long that shrinking it went too far
        long = at_least * max(pixels.shape[:2]) // min(pixels.shape[:2])
        pixels = load_image(path, size=long, opaque=True).pixels
    if min(pixels.shape[:2]) < at_least // 2:
        raise ImageError(f"{path} of {pixels.shape[1]}×{pixels.shape[0]} px is too small for crops of {at_least} px")
    return pixels


def random_crop(photo: Pixels, size: int, random: np.random.Generator) -> Tensor:
    """Cut a random square of (H, W, 3), mirror it half of the time, and resample it to (3, size, size) in [0, 1]."""
    height, width = photo.shape[:2]
    side = max(1, round(min(height, width) * random.uniform(*CROP_SCALE)))
    side = min(max(side, round(size / LARGEST_MAGNIFICATION)), height, width)
    top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
    crop = _resample(photo[top : top + side, left : left + side], size)
    return crop.flip(-1) if random.random() < 0.5 else crop


def center_crop(photo: Pixels, size: int) -> Tensor:
    """Cut the middle square of (H, W, 3) and resample it to (3, size, size) in [0, 1]."""
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _resample(photo[top : top + side, left : left + side], size)


def _resample(crop: Pixels, size: int) -> Tensor:
    square = torch.from_numpy(to_float(crop))
    if crop.shape[0] == size:
        return square[0]
    resized = F.interpolate(square, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0.0, 1.0)


class DrawSampler(Sampler[int]):
    """Count draws from a step onwards, for ever; of several processes, each takes its own share of every step."""

    def __init__(self, *, first_step: int, batch: int, rank: int, world: int) -> None:
        self.first_step, self.batch, self.rank, self.world = first_step, batch, rank, world

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of the draws."""
        for step in itertools.count(self.first_step):
            first = (step * self.world + self.rank) * self.batch
            yield from range(first, first + self.batch)


class PhotoData(pl.LightningDataModule):
    """Photos for training, a few for calibrating the loss and a few for previews.

    Args:
        folder: Searched at any depth for JPEG, PNG, WebP, AVIF, HEIC, BMP and TIFF.
        size: Side of the crops, px.
        batch: Photos in a step, on each device.
        seed: Seed of order, crops and flips.
        workers: Processes that decode; None takes one for each two cores, eight at most.

    Raises:
        DatasetError: The folder does not exist or holds no photos.
    """

    def __init__(self, folder: Path, *, size: int, batch: int, seed: int, workers: int | None = None) -> None:
        super().__init__()
        self.paths = find_photos(folder)
        self.draws = PhotoDraws(self.paths, size=size, seed=seed)
        self.batch = batch
        self.workers = min(8, max(1, (os.cpu_count() or 2) // 2)) if workers is None else workers
        self.skipped: set[str] = set()

    def sample(self, count: int, *, size: int) -> list[Tensor]:
        """Return the middle squares (1, 3, size, size) of the first usable photos of the shuffled order.

        Raises:
            DatasetError: Not one photo could be used.
        """
        order = np.random.default_rng([self.draws.seed, 2]).permutation(len(self.paths))
        found: list[Tensor] = []
        for path in (self.paths[index] for index in order):
            if len(found) == count:
                break
            try:
                found.append(center_crop(load_photo(path, at_least=self.draws.size), size)[None])
            except ImageError:
                self.skipped.add(str(path))
        if not found:
            raise self.draws.unusable()
        return found

    def train_dataloader(self) -> DataLoader[tuple[Tensor, list[str]]]:
        """Load from the step the trainer is at, so that a resumed run goes on with the photos that come next."""
        trainer = self.trainer
        assert trainer is not None
        return self.loader(first_step=trainer.global_step, rank=trainer.global_rank, world=trainer.world_size)

    def loader(self, *, first_step: int, rank: int = 0, world: int = 1) -> DataLoader[tuple[Tensor, list[str]]]:
        """Load batches (N, 3, size, size), RGB in [0, 1], and the paths that were skipped, from a step onwards."""
        return DataLoader(
            self.draws,
            batch_size=self.batch,
            sampler=DrawSampler(first_step=first_step, batch=self.batch, rank=rank, world=world),
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if self.workers else None,
            worker_init_fn=leave_signals,
        )


def _collate(draws: list[tuple[Tensor, list[str]]]) -> tuple[Tensor, list[str]]:
    return torch.stack([photo for photo, _ in draws]), [path for _, skipped in draws for path in skipped]
