"""Training several paintings at once, and adapters as files."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.func import functional_call

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import InputError
from fast_style.images import find_photos, load_image
from fast_style.images.find import INCLUDED
from fast_style.losses import Objective
from fast_style.networks import StyleSets
from fast_style.styles.card import read_card
from fast_style.training import Recipe, load_checkpoint, train_style
from fast_style.training.start import load_start
from tests.conftest import PAINTING


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    folder = tmp_path / "paintings"
    folder.mkdir()
    Image.open(PAINTING).convert("RGB").save(folder / "one.png")
    Image.open(PAINTING).convert("RGB").rotate(90).save(folder / "other.png")
    return folder


@pytest.fixture
def recipe(narrow_file: Path) -> Recipe:
    objective = Objective(style_weight=15.0, tv_weight=0.1)
    small = {"steps": 8, "size": 48, "style_size": 64, "precision": "32", "vgg": str(narrow_file)}
    return Recipe("tiny", **small, objective=objective, kept=0.0)


def learn(paintings: Path | list[Path], photos: Path, out: Path, recipe: Recipe | None, **options: Any) -> Path:
    """The checkpoint of a run without the export, which takes longer than all else."""
    settings = {"name": "s", "accelerator": "cpu", "workers": 0, "export": False, **options}
    return train_style(paintings, photos, out, recipe=recipe, **settings).checkpoint


def test_a_folder_of_paintings_makes_one_verified_file_of_as_many_styles(
    paintings: Path, photo_folder: Path, tmp_path: Path, recipe: Recipe
) -> None:
    outcome = train_style(
        paintings,
        photo_folder,
        tmp_path / "out",
        recipe=recipe,
        name="s",
        accelerator="cpu",
        workers=0,
    )
    checkpoint = load_checkpoint(outcome.checkpoint)
    assert list(checkpoint.sets) == list(checkpoint.calibrations) == ["one", "other"]
    assert not torch.equal(checkpoint.sets["one"], checkpoint.sets["other"])
    style = Stylizer(tmp_path / "out" / "s.onnx")
    assert style.network.styles == ("one", "other")
    card = read_card(tmp_path / "out" / "s.onnx")
    assert card["styles"] == ["one", "other"]
    assert card["paintings"]["other"]["file"] == "other.png"
    (preview,) = (tmp_path / "out" / "previews").glob("*.png")
    assert load_image(preview).size == (1024, 512)  # a row for each style


def test_a_resumed_run_has_the_same_paintings_in_the_same_order(
    paintings: Path, photo_folder: Path, tmp_path: Path, recipe: Recipe
) -> None:
    checkpoint = learn(paintings, photo_folder, tmp_path / "out", replace(recipe, steps=1))
    with pytest.raises(InputError, match="was trained on one, other; the paintings are other, one"):
        learn([paintings / "other.png", paintings / "one.png"], photo_folder, tmp_path / "out", None, resume=checkpoint)


def test_resuming_is_exact(paintings: Path, photo_folder: Path, tmp_path: Path, recipe: Recipe) -> None:

    whole = learn(paintings, photo_folder, tmp_path / "whole", replace(recipe, warmup=0.0, style_warmup=0.0))
    # A half that ends at its end has another rate; so the first half is a run that is stopped.
    half = tmp_path / "half"

    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
            trainer.should_stop = trainer.global_step >= 4

    stopped = learn(paintings, photo_folder, half, replace(recipe, warmup=0.0, style_warmup=0.0), callbacks=[Stop()])
    assert load_checkpoint(stopped).step == 4
    resumed = learn(paintings, photo_folder, half, None, resume=stopped)
    first, second = load_checkpoint(whole), load_checkpoint(resumed)
    assert second.step == 8
    assert first.calibrations == second.calibrations
    for name in ("one", "other"):
        torch.testing.assert_close(second.sets[name], first.sets[name], atol=0, rtol=0)


def test_a_style_begins_with_its_own_set_of_the_file_it_starts_from(
    paintings: Path, photo_folder: Path, tmp_path: Path, recipe: Recipe
) -> None:

    first = load_checkpoint(learn(paintings, photo_folder, tmp_path / "a", recipe))
    second = load_checkpoint(
        learn(paintings, photo_folder, tmp_path / "b", replace(recipe, steps=1, learning_rate=1e-9), init=first.path)
    )
    for name in ("one", "other"):
        torch.testing.assert_close(second.sets[name], first.sets[name], atol=1e-5, rtol=0)


def test_a_run_may_start_from_one_of_the_styles_in_a_checkpoint(
    paintings: Path, photo_folder: Path, tmp_path: Path, recipe: Recipe
) -> None:
    path = learn(paintings, photo_folder, tmp_path, replace(recipe, steps=2))
    checkpoint, photo = load_checkpoint(path), torch.rand(1, 3, 32, 32)
    sets = StyleSets(checkpoint.network(), ("one", "other"))
    for weight, values in zip(sets.values, checkpoint.sets.values(), strict=True):
        weight.data.copy_(values)
    start = load_start(f"{path}#other", network="tiny")
    with torch.no_grad():
        expected = functional_call(checkpoint.network(), sets.one(1), photo)
        for network in (start.network, checkpoint.network("other")):
            torch.testing.assert_close(network(photo), expected, atol=1e-6, rtol=1e-5)
    with pytest.raises(InputError, match="holds no style 'othr'; did you mean 'other'"):
        load_start(f"{path}#othr", network="tiny")


def test_an_adapter_is_a_small_file_that_the_base_takes(photo_folder: Path, tmp_path: Path, narrow_file: Path) -> None:
    out = tmp_path / "out"
    command = ["train", str(PAINTING), str(photo_folder), "-o", str(out), "--name", "mine"]
    recipe = ["--network", "tiny", "--adapter-of", "great-wave-tiny", "--steps", "3", "--size", "48"]
    machine = ["--style-size", "64", "--vgg", str(narrow_file), "--workers", "0", "--precision", "32"]
    assert main([*command, *recipe, *machine]) == 0
    adapter = out / "mine.safetensors"
    assert adapter.stat().st_size < 50_000
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    trained = np.asarray(Stylizer(out / "mine.onnx")(photo), np.int16)
    joined = Stylizer(f"great-wave-tiny+{adapter}")
    assert np.abs(np.asarray(joined(photo), np.int16) - trained).max() <= 1
    assert json.loads((out / "mine.json").read_text())["recipe"]["tune"] == "adapter"


def test_who_has_no_photos_learns_on_those_that_come_with_it(
    photo_folder: Path, tmp_path: Path, narrow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--network tiny --steps 1 --size 48 --batch 1 --style-size 64 --workers 0 --accelerator cpu --precision 32"
    command = ["train", str(PAINTING), "-o", str(tmp_path / "out"), "--vgg", str(narrow_file), *small.split()]
    assert main([*command, "--init", "scratch"]) == 0
    assert "learning on the photos that come with fast-style" in capsys.readouterr().err
    card = json.loads((tmp_path / "out" / f"{PAINTING.stem}.json").read_text())
    assert card["included_photos"]
    assert card["training"]["photos"] == len(find_photos(INCLUDED))
    checkpoint = learn([PAINTING], photo_folder, tmp_path, Recipe.from_dict(card["recipe"]))
    with pytest.raises(InputError, match="was trained on other photos"):
        train_style(PAINTING, None, tmp_path, resume=checkpoint)


@pytest.mark.parametrize("suffix", ["ckpt", "onnx", "csv", "safetensors", "json"])
def test_a_run_overwrites_no_file(
    photo_folder: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"mine.{suffix}"
    file.write_text("the user's")
    assert main(["train", str(PAINTING), str(photo_folder), "-o", str(tmp_path), "--name", "mine"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {file} exists")
    assert "name" in hint
    assert file.read_text() == "the user's"


def test_paths_that_make_no_run_are_refused(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out")]
    assert main(["train", str(photo_folder), *out]) == 2
    assert "is a folder; expected a painting" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "none.png"), str(photo_folder), *out]) == 2
    assert main(["train", str(PAINTING), str(PAINTING), str(photo_folder), *out]) == 2  # of one name
    for name in ("Act I: 2.png", "Friedrich, Wanderer.png", os.fsdecode(b"caf\xe9.png")):
        odd = shutil.copy(PAINTING, tmp_path / name)
        assert main(["train", str(PAINTING), str(odd), str(photo_folder), *out]) == 2
        assert f"no style can be called {Path(odd).stem!r}" in capsys.readouterr().err
    for place in (["-o", str(tmp_path / "a::b")], [*out, "--name", "a::b"]):
        assert main(["train", str(PAINTING), str(photo_folder), *place]) == 2
        assert "has '::' in it" in capsys.readouterr().err
    both = ["--adapter-of", "udnie", "--init", "udnie"]
    assert main(["train", str(PAINTING), str(photo_folder), *out, *both]) == 2
    assert not (tmp_path / "out").exists()
