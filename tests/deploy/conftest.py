"""A checkpoint, photos and a painting, small enough to export in seconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from fast_style.cli import main
from fast_style.images import Pixels
from fast_style.networks import build_network
from fast_style.training import Recipe

SIZES = ((128, 96), (97, 131), (64, 200))  # (width, height), px


def packaged(name: str) -> Pixels:
    """A picture that scikit-image carries."""
    return np.asarray(getattr(data, name)())


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deploy")


@pytest.fixture(scope="session")
def frames() -> list[Pixels]:
    """One photo at each of three sizes, (H, W, 3) uint8."""
    photos = [packaged("astronaut"), packaged("chelsea"), packaged("coffee")]
    return [np.asarray(Image.fromarray(photo).resize(size)) for photo, size in zip(photos, SIZES, strict=True)]


@pytest.fixture(scope="session")
def photos(folder: Path) -> Path:
    """A folder of eight photos."""
    place = folder / "photos"
    place.mkdir()
    for number, photo in enumerate(
        [packaged("astronaut"), packaged("chelsea"), packaged("coffee"), packaged("rocket")]
    ):
        image = Image.fromarray(photo)
        for part, box in enumerate([(0, 0, 200, 200), (150, 100, 350, 300)]):
            image.crop(box).resize((96, 96)).save(place / f"{number}{part}.png")
    return place


@pytest.fixture(scope="session")
def painting(folder: Path) -> Path:
    path = folder / "painting.png"
    Image.fromarray(packaged("immunohistochemistry")).resize((128, 128)).save(path)
    return path


@pytest.fixture(scope="session")
def checkpoint(folder: Path, painting: Path) -> Path:
    """As ``fast-style train`` writes it, with random weights and more contrast than they have at first."""
    torch.manual_seed(0)
    network = build_network("tiny")
    with torch.no_grad():
        list(network.parameters())[-2].mul_(4.0)
    sha = hashlib.sha256(painting.read_bytes()).hexdigest()
    path = folder / "small.ckpt"
    torch.save(
        {
            "global_step": 7,
            "state_dict": {f"average.{key}": value for key, value in network.state_dict().items()},
            "fast_style": {
                "recipe": Recipe(network="tiny", style_size=128).as_dict(),
                "card": {"name": "small", "painting": {"file": painting.name, "sha256": sha, "licence": "CC0"}},
                "losses": {"total": 1.0},
                "calibration": {
                    "content": {"relu3_3": 4e4},
                    "style": {"relu1_1": 1e6, "relu2_1": 8e7, "relu3_1": 7e7, "relu4_1": 4e9},
                    "tv": 0.01,
                },
            },
        },
        path,
    )
    return path


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Path:
    """Its float32 ONNX file, written by the command."""
    assert main(["export", str(checkpoint)]) == 0
    return checkpoint.with_suffix(".onnx")


@pytest.fixture(scope="session")
def pixels_model(checkpoint: Path) -> Path:
    """The same with pixels in and out."""
    assert main(["export", str(checkpoint), "--io", "uint8"]) == 0
    return checkpoint.with_name("small-uint8.onnx")
