"""The script that makes the styles that ship, driven as a user would, with small paintings and few steps."""

import hashlib
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from fast_style import Stylizer
from fast_style.styles.catalog import find_style
from fast_style.training import train_style
from tests.conftest import random_state

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "zoo"


class Zoo:
    """The script, its folders, and what it asked of the trainer."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.asked, self.stop_at = root, [], None
        self.script = runpy.run_path(str(SCRIPT), run_name="zoo")
        self.shipped = root / "shipped"
        random = np.random.default_rng(0)
        for folder, names in (("paintings", self.script["TEN"]), ("photos", ("a", "b", "c"))):
            (root / folder).mkdir()
            for name in names:
                blocks = random.integers(0, 255, (12, 12, 3), np.uint8)
                Image.fromarray(blocks).resize((144, 144)).save(root / folder / f"{name}.jpg")
        self.shipped.mkdir()
        torch.save(random_state(), root / "narrow.pth")
        monkeypatch.setitem(self.script["make"].__globals__, "train_style", self._train)

    asked: list[dict[str, Any]]
    stop_at: int | None

    def _train(self, *arguments: Any, **options: Any) -> Any:
        zoo = self

        class Stop(pl.Callback):
            def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
                trainer.should_stop = trainer.should_stop or trainer.global_step == zoo.stop_at

        self.asked.append(options)
        return train_style(*arguments, **options, accelerator="cpu", callbacks=[Stop()])

    def __call__(self, *only: str, steps: int = 2) -> None:
        folders = [self.root / "paintings", self.root / "photos", "--runs", self.root / "runs"]
        small = ["--size", 64, "--style-size", 64, "--batch", 1, "--vgg", self.root / "narrow.pth", "--workers", 0]
        words = [*folders, "--checkpoints", self.shipped, "--steps", steps, *small, "--only", *only]
        self.script["main"](list(map(str, words)))


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    return Zoo(tmp_path, monkeypatch)


def test_a_style_goes_on_from_the_file_that_ships_and_is_made_once(zoo: Zoo) -> None:
    shutil.copy(find_style("the-scream-tiny").path, zoo.shipped)
    zoo("the-scream-tiny")
    assert {path.name for path in zoo.shipped.iterdir()} == {"the-scream-tiny.onnx", "the-scream-tiny.json"}
    card = json.loads((zoo.shipped / "the-scream-tiny.json").read_text())
    assert (card["recipe"]["steady_weight"], card["paintings"]["the-scream-tiny"]["artist"]) == (10, "Edvard Munch")
    assert card["init"] == "the-scream-tiny.onnx"
    zoo("the-scream-tiny")
    assert len(zoo.asked) == 1


def test_a_style_that_does_not_ship_yet_starts_from_nothing(zoo: Zoo) -> None:
    zoo("udnie-tiny")
    assert "init" not in json.loads((zoo.shipped / "udnie-tiny.json").read_text())


def test_ten_paintings_make_one_file(zoo: Zoo) -> None:
    zoo("ten")
    network = Stylizer(zoo.shipped / "ten.onnx").network
    assert network.styles == zoo.script["TEN"]
    photo = Image.open(zoo.root / "photos/a.jpg")
    alone = Stylizer(zoo.shipped / "water-lilies.onnx")(photo)
    together = Stylizer(zoo.shipped / "ten.onnx")(photo, styles={"water-lilies": 1.0})
    assert np.abs(np.asarray(alone, np.int16) - np.asarray(together, np.int16)).max() <= 1


def test_stopped_and_called_again_it_continues(zoo: Zoo) -> None:
    zoo.stop_at = 1
    with pytest.raises(SystemExit, match="stopped at step 1 of udnie-tiny; call this again to continue"):
        zoo("udnie-tiny", steps=3)
    assert not (zoo.shipped / "udnie-tiny.onnx").exists()
    zoo.stop_at = None
    zoo("udnie-tiny", steps=3)
    assert [options["resume"] is None for options in zoo.asked] == [True, False]
    assert json.loads((zoo.shipped / "udnie-tiny.json").read_text())["training"]["steps"] == 3


def test_the_projects_own_paintings_come_along(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    taught = []

    def stop(paintings: list[Path], *_: object, **__: object) -> None:
        taught.append(hashlib.sha256(paintings[0].read_bytes()).hexdigest())
        raise SystemExit

    monkeypatch.setitem(zoo.script["make"].__globals__, "train_style", stop)
    own = ("stained-glass", "engraving", "halftone")
    for name in own:
        with pytest.raises(SystemExit):
            zoo(name)
    cards = [json.loads((ROOT / "checkpoints" / f"{name}.json").read_text())["paintings"][name] for name in own]
    assert taught == [card["sha256"] for card in cards]
    assert {card["license"] for card in cards} == {"CC0-1.0"}


def test_the_list_is_what_ships(zoo: Zoo) -> None:
    shipped = {path.stem for path in (SCRIPT.parents[1] / "checkpoints").glob("*.onnx")}
    runs = zoo.script["RUNS"]
    assert {run.name for run in runs} | {name for run in runs for name in run.alone} == shipped


def test_a_part_of_a_scan_is_taught(zoo: Zoo) -> None:
    scan = np.zeros((100, 200, 3), np.uint8)
    scan[:, 90:187] = np.random.default_rng(1).integers(0, 255, (100, 97, 3))
    Image.fromarray(scan).save(zoo.root / "paintings" / "cherry-trees.jpg", quality=100, subsampling=0)
    zoo("cherry-trees", steps=1)
    with Image.open(zoo.root / "runs/cherry-trees/cherry-trees.png") as taught:
        pixels = np.asarray(taught)
    assert pixels.shape == (100, 97, 3)
    assert abs(pixels.astype(int) - scan[:, 90:187]).mean() < 4
    assert json.loads((zoo.shipped / "cherry-trees.json").read_text())["recipe"]["objective"]["strength"] == 1.5
