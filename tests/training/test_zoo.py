"""The script that makes the styles that ship, driven as a user would, with small paintings and few steps."""

from __future__ import annotations

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
from fast_style.export import network_from_onnx
from fast_style.styles.catalog import find_style
from fast_style.training import load_checkpoint, train_style
from tests.conftest import random_state

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "zoo"


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


def test_a_style_is_trained_after_what_it_starts_from_and_made_once(zoo: Zoo) -> None:
    zoo("the-scream-tiny")
    assert {path.name for path in zoo.shipped.iterdir()} == {"the-scream-tiny.onnx", "the-scream-tiny.json"}
    card = json.loads((zoo.shipped / "the-scream-tiny.json").read_text())
    assert (card["recipe"]["steady_weight"], card["paintings"]["the-scream-tiny"]["artist"]) == (25, "Edvard Munch")
    assert card["init"] == "shared-tiny.onnx#the-scream"
    assert [options["name"] for options in zoo.asked] == ["shared-tiny", "the-scream-tiny"]
    shared = load_checkpoint(zoo.root / "runs/shared-tiny/shared-tiny.ckpt")
    assert shared.card["paintings"]["udnie"]["artist"] == "Francis Picabia"
    style = Stylizer(zoo.root / "runs/shared-tiny/shared-tiny.onnx")
    assert style.network.styles == zoo.script["TEN"]
    zoo("the-scream-tiny")
    assert len(zoo.asked) == 2

    path = zoo.script["write_alone"](zoo.root / "runs/shared-tiny/shared-tiny.onnx", "udnie")
    photo = Image.open(zoo.root / "photos/a.jpg")
    alone, together = Stylizer(path)(photo), style(photo, styles={"udnie": 1.0})
    assert np.abs(np.asarray(alone, np.int16) - np.asarray(together, np.int16)).max() <= 1
    card = json.loads(path.with_suffix(".json").read_text())
    assert (card["name"], card["styles"], card["paintings"]["udnie"]["artist"]) == (
        "udnie",
        ["udnie"],
        "Francis Picabia",
    )


def test_a_style_that_goes_on_from_ten_ships_as_a_mean_of_before_and_after(zoo: Zoo) -> None:
    shutil.copy(find_style("ten").path, zoo.shipped / "ten.onnx")
    zoo("shipwreck")
    before = network_from_onnx(zoo.shipped / "ten.onnx", style="shipwreck").state_dict()
    state = torch.load(zoo.root / "runs/shipwreck/shipwreck.ckpt", weights_only=True)["state_dict"]
    found = network_from_onnx(zoo.shipped / "shipwreck.onnx").state_dict()
    for key, value in found.items():
        after = state[f"average.{key}"]
        torch.testing.assert_close(value, 0.65 * before[key] + 0.35 * after, atol=1e-6, rtol=1e-4)
    assert any(not torch.equal(before[key], state[f"average.{key}"]) for key in found)


def test_stopped_and_called_again_it_continues(zoo: Zoo) -> None:
    shutil.copy(find_style("ten").path, zoo.shipped / "ten.onnx")
    zoo.stop_at = 1
    with pytest.raises(SystemExit, match="stopped at step 1 of udnie; call this again to continue"):
        zoo("udnie", steps=3)
    assert not (zoo.shipped / "udnie.onnx").exists()
    zoo.stop_at = None
    zoo("udnie", steps=3)
    assert [options["resume"] is None for options in zoo.asked] == [True, False]
    assert json.loads((zoo.shipped / "udnie.json").read_text())["training"]["steps"] == 3


def test_each_run_has_a_start_that_there_is(zoo: Zoo) -> None:
    runs = zoo.script["RUNS"]
    names = ["scratch", *(run.name for run in runs)]
    assert all(run.start.partition("#")[0] in names[: names.index(run.name)] for run in runs)
    shipped = {find_style(run.name).name for run in runs if run.ships} | {name for run in runs for name in run.alone}
    assert shipped == {path.stem for path in (SCRIPT.parents[1] / "checkpoints").glob("*.onnx")}
