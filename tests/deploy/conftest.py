"""A checkpoint, photos and a painting, small enough to export in seconds."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from fast_style.cli import main
from fast_style.images import Pixels, load_image, resize
from fast_style.losses import Objective
from fast_style.model.opening import INPUT
from fast_style.model.session import open_session
from fast_style.networks import StyleSets, build_network
from fast_style.training import Recipe, load_checkpoint
from tests.conftest import PAINTING, PHOTOS

SIZES = ((128, 96), (97, 131), (64, 200))  # (width, height), px


def run(model: onnx.ModelProto | Path, pictures: Iterable[Any]) -> list[NDArray[np.float32]]:
    """Run a graph on the CPU, once for each picture; styles may stand beside it."""
    session = open_session(model if isinstance(model, Path) else model.SerializeToString())
    feeds = (picture if isinstance(picture, dict) else {INPUT: picture} for picture in pictures)
    return [session.run(None, feed)[0] for feed in feeds]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deploy")


@pytest.fixture(scope="session")
def frames() -> list[Pixels]:
    """One photo at each of three sizes, (H, W, 3) uint8."""
    names = ("astronaut", "chelsea", "coffee")
    return [resize(load_image(PHOTOS[name]), size).pixels for name, size in zip(names, SIZES, strict=True)]


@pytest.fixture(scope="session")
def photos(folder: Path) -> Path:
    """A folder of eight photos."""
    place = folder / "photos"
    place.mkdir()
    for number, name in enumerate(("astronaut", "chelsea", "coffee", "rocket")):
        image = Image.open(PHOTOS[name])
        for part, box in enumerate([(0, 0, 200, 200), (150, 100, 350, 300)]):
            image.crop(box).resize((96, 96)).save(place / f"{number}{part}.png")
    return place


@pytest.fixture(scope="session")
def painting(folder: Path) -> Path:
    path = folder / "painting.png"
    Image.open(PAINTING).convert("RGB").resize((128, 128)).save(path)
    return path


@pytest.fixture(scope="session")
def checkpoint(folder: Path, painting: Path) -> Path:
    """As ``fast-style train`` writes it, with random weights and more contrast than they have at first."""
    torch.manual_seed(0)
    return write_checkpoint(folder / "small.ckpt", build_network("tiny"), painting)


def write_checkpoint(path: Path, network: torch.nn.Module, painting: Path, *, name: str = "tiny") -> Path:
    with torch.no_grad():
        list(network.parameters())[-2].mul_(4.0)
    sha = hashlib.sha256(painting.read_bytes()).hexdigest()
    torch.save(
        {
            "global_step": 7,
            "state_dict": {f"average.{key}": value for key, value in network.state_dict().items()},
            "fast_style": {
                "format": 1,
                "recipe": Recipe(name, style_size=128, objective=Objective()).as_dict(),
                "card": {
                    "name": "small",
                    "styles": ["small"],
                    "paintings": {"small": {"file": painting.name, "sha256": sha, "license": "CC0"}},
                },
                "losses": {"total": 1.0},
                "calibrations": {
                    "small": {
                        "content": {"relu3_3": 4e4},
                        "style": {"relu1_1": 1e6, "relu2_1": 8e7, "relu3_1": 7e7, "relu4_1": 4e9},
                        "tv": {"tv": 0.01},
                    }
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


@pytest.fixture
def two_styles(checkpoint: Path, tmp_path: Path) -> Path:
    """The same network with two styles, whose own strength is 2."""
    stored = torch.load(checkpoint, weights_only=True)
    network = load_checkpoint(checkpoint).network()
    sets = StyleSets(network, ("one", "other"))
    torch.manual_seed(1)
    for index, values in enumerate(sets.values):
        change = torch.randn_like(values) * 0.1 * index
        stored["state_dict"][f"average_sets.values.{index}"] = values.detach() + change
    stored["fast_style"]["recipe"] |= {"draft_strength": 2.0}
    facts = stored["fast_style"]["card"]["paintings"]["small"]
    paintings = {"one": {**facts, "sha256": "another"}, "other": facts}
    stored["fast_style"]["card"] = {"name": "two", "styles": ["one", "other"], "paintings": paintings}
    (units,) = stored["fast_style"]["calibrations"].values()
    stored["fast_style"]["calibrations"] = {"one": units, "other": units}
    path = tmp_path / "two.ckpt"
    torch.save(stored, path)
    return path


@pytest.fixture(scope="session")
def grounded(checkpoint: Path) -> Path:
    """Its float32 ONNX file that paints in three passes over a ground."""
    assert main(["export", str(checkpoint), "--passes", "3", "--ground", "flow"]) == 0
    return checkpoint.with_name("small-3-passes-flow-ground.onnx")


@pytest.fixture(scope="session")
def painter(checkpoint: Path) -> Path:
    """Its float32 ONNX file that paints in three passes by itself."""
    assert main(["export", str(checkpoint), "--passes", "3"]) == 0
    return checkpoint.with_name("small-3-passes.onnx")
