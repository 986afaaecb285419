"""One recipe for each network, whoever asks for it, and kept to the end of a run."""

import timeit
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from fast_style.cli import main
from fast_style.cli.train import Changes, _recipe
from fast_style.errors import InputError
from fast_style.losses import Objective
from fast_style.recipe import Recipe
from fast_style.training import load_checkpoint, run, train_style
from tests.conftest import PAINTING, PHOTOS


class Seen(Exception):
    """Ends a run where its recipe is known."""


@pytest.mark.parametrize("network", ["fast", "tiny", "fine", "johnson"])
@pytest.mark.parametrize("paintings", [[PAINTING], [PAINTING, PHOTOS["coffee"]]], ids=["one painting", "two"])
def test_the_command_and_python_train_by_the_same_recipe(
    network: str, paintings: list[Path], photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Recipe] = []

    def stop(paintings: object, data: object, recipe: Recipe, previous: object) -> None:
        seen.append(recipe)
        raise Seen

    monkeypatch.setattr(run, "_calibrated_losses", stop)
    monkeypatch.setattr(run, "_bf16_is_faster", lambda device, *, measure: False)
    command = [*map(str, paintings), str(photo_folder), "-o", str(tmp_path / "out"), "--network", network]
    with pytest.raises(Seen):
        main(["train", *command])
    recipes = [Recipe(network), *([None] if network == "fast" else [])]
    for recipe in recipes:
        with pytest.raises(Seen):
            train_style(paintings, photo_folder, tmp_path / "out", recipe=recipe)
    assert seen == [seen[0]] * (1 + len(recipes))


def test_a_recipe_is_that_of_its_network_unless_changed() -> None:
    assert Recipe() == Recipe("fast") == replace(Recipe("tiny"), network="fast")
    assert Recipe("johnson").kept == 0.0
    assert Recipe("johnson", kept=0.3).kept == 0.3
    assert Recipe.from_dict(Recipe("johnson", steps=7).as_dict()) == Recipe("johnson", steps=7)
    with pytest.raises(TypeError, match="a recipe has no stepz"):
        Recipe(stepz=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "16"}, "precision is '16'; expected auto or 32 or bf16"),
        ({"steps": 0}, "steps is 0; expected a number from 1 up"),
        ({"size": 31}, "size is 31; expected a number from 32 up"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected a number between 0 and 1"),
        ({"style_rate": float("inf")}, "style_rate is inf; expected a number from 1 up"),
        ({"style_rate": 0.5}, "style_rate is 0.5; expected a number from 1 up"),
        ({"averaging": 1.0}, "averaging is 1.0; expected a number from 0 up to, not including, 1"),
        ({"seed": -1}, "seed is -1; expected a number from 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296; expected a number from 0 to 4294967295"),
        ({"border_weight": -3.0}, "border_weight is -3.0; expected a number from 0 up"),
        ({"steady_weight": float("inf")}, "steady_weight is inf; expected a number from 0 up"),
        ({"gradient_clip": float("nan")}, "gradient_clip is nan; expected a number from 0 up"),
        ({"objective": Objective(content_layers=())}, "kept is measured at the content layers, and there are none"),
        ({"warmup": 1.5}, "warmup is 1.5; expected a share from 0 to 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('network = ["x"]', "network is ['x']; expected a string"),
        ("network = 3", "network is 3; expected a string"),
        ("steps = [1]", "steps is [1]; expected a whole number"),
        ("steps = 1.5", "steps is 1.5; expected a whole number"),
        ("steps = true", "steps is True; expected a whole number"),
        ('kept = "x"', "kept is 'x'; expected a number"),
        ("grain = 1", "grain is 1; expected true or false"),
        ("objective = 1", "objective is 1; expected a table"),
        ("steps = {a = 1}", "steps is {'a': 1}; expected a whole number"),
        ("[objective]\nstrength = [1]", "strength is [1]; expected a number"),
        ('[objective]\nstyle_layers = "relu1_1"', "style_layers is 'relu1_1'; expected a list, each a string"),
        ("[objective]\nstyle_layers = [1]", "style_layers is [1]; expected a list, each a string"),
        ("[objective]\nstyle_layer_weights = ['x']", "style_layer_weights is ['x']; expected a list, each a number"),
    ],
)
def test_a_toml_value_of_a_wrong_type_is_refused_and_names_the_file(
    text: str, said: str, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "recipe.toml"
    config.write_text(text)
    assert main(["train", str(PAINTING), str(photo_folder), "-o", str(tmp_path / "out"), "--config", str(config)]) == 2
    assert capsys.readouterr().err == f"error: {config}: {said}\n"


def test_a_toml_value_may_be_whole_for_a_number_and_a_list_for_layers(tmp_path: Path) -> None:
    config = tmp_path / "recipe.toml"
    layers = "style_layers = ['relu1_1', 'relu2_1']\nstyle_layer_weights = [1, 2.5]\npadding = 'zeros'"
    config.write_text(f"network = 'johnson'\nkept = 0\nsteps = 3\ngrain = false\n[objective]\n{layers}\n")
    recipe = _recipe(Changes(), config, None)
    assert (recipe.network, recipe.kept, recipe.steps, recipe.grain) == ("johnson", 0, 3, False)
    assert recipe.objective.style_layers == ("relu1_1", "relu2_1")
    assert recipe.objective.style_layer_weights == (1, 2.5)


def test_a_resumed_run_computes_as_it_began_whatever_a_new_measurement_says(
    photo_folder: Path, tmp_path: Path, narrow_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"size": 48, "style_size": 64, "vgg": str(narrow_file)}
    recipe = Recipe("tiny", steps=1, **small)
    used: list[str] = []

    class Look(pl.Callback):
        def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            used.append(str(trainer.precision))

    def learn(recipe: Recipe, **options: Any) -> Path:
        settings = {"name": "s", "accelerator": "cpu", "workers": 0, "export": False, "callbacks": [Look()], **options}
        return train_style(PAINTING, photo_folder, tmp_path, recipe=recipe, **settings).checkpoint

    monkeypatch.setattr(run, "_bf16_is_faster", lambda device, *, measure: True)
    checkpoint = learn(recipe, init="scratch")
    monkeypatch.setattr(run, "_bf16_is_faster", lambda device, *, measure: False)
    learn(replace(recipe, steps=2), resume=checkpoint)
    arguments = [str(PAINTING), str(photo_folder), "-o", str(tmp_path), "--name", "s", "--resume", str(checkpoint)]
    with monkeypatch.context() as command:
        command.setattr(
            "fast_style.training.train_style", lambda *args, **options: used.append(options["recipe"].precision)
        )
        with pytest.raises(AttributeError):  # nothing came of it
            main(["train", *arguments, "--steps", "3"])
    assert used == ["bf16-mixed", "bf16-mixed", "bf16"]
    assert load_checkpoint(checkpoint).recipe.precision == "bf16"
    with pytest.raises(InputError, match="was trained with another precision"):
        learn(replace(recipe, precision="32", steps=3), resume=checkpoint)


def test_several_processes_do_not_measure_as_they_could_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeit, "repeat", lambda *_, **__: pytest.fail("it was measured"))
    assert not run._bf16_is_faster(torch.device("cpu"), measure=False)
