"""Whole runs, small: real photos, a narrow perceptual network."""

import itertools
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import CheckpointError, DatasetError, DeviceError, FileError, InputError, TrainingDivergedError
from fast_style.export import network_from_onnx
from fast_style.images import load_image
from fast_style.losses import Objective, PerceptualLoss, load_vgg
from fast_style.model.ground import find_palette
from fast_style.networks import build_network
from fast_style.painting import scale_painting
from fast_style.styles.card import read_card
from fast_style.training import (
    Estimate,
    Outcome,
    Recipe,
    estimate_duration,
    load_checkpoint,
    train_style,
)
from fast_style.training import run as run_module
from fast_style.training.start import SCRATCH, count_drawn
from tests.conftest import PAINTING, PHOTOS, random_state, write_photos

SMALL = Recipe(
    "tiny",
    steps=8,
    size=48,
    batch=2,
    style_size=64,
    coarsest=200,
    precision="32",
    objective=Objective(style_weight=15.0, tv_weight=0.1),
    kept=0.0,
    style_warmup=0.6,
)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vgg") / "narrow.pth"
    torch.save(random_state(), path)
    return path


@pytest.fixture(scope="module")
def recipe(vgg: Path) -> Recipe:
    return Recipe.from_dict({**SMALL.as_dict(), "vgg": str(vgg)})


def run(photos: Path, out: Path, recipe: Recipe, **options: Any) -> Outcome:
    settings = {"accelerator": "cpu", "workers": 0, "name": "s", "init": None if "resume" in options else "scratch"}
    return train_style(PAINTING, photos, out, recipe=recipe, **{**settings, **options})


def learn(photos: Path, out: Path, recipe: Recipe, **options: Any) -> Path:
    """The checkpoint of a run without the export, which takes longer than all else."""
    return run(photos, out, recipe, export=False, **options).checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Outcome:
    """A whole run, for tests that only read what it left."""
    photos = write_photos(tmp_path_factory.mktemp("trained") / "photos")
    (photos / "fake.jpg").write_text("text")
    return run(photos, photos.parent / "out", recipe, preview_every=4, details={"license": "public domain"})


def test_a_run_leaves_a_checkpoint_a_verified_model_a_card_previews_and_figures(trained: Outcome) -> None:
    outcome, out = trained, trained.checkpoint.parent
    assert outcome.model is not None
    assert outcome.verification is not None
    assert outcome.verification.largest < 1e-3
    ((skipped, why),) = outcome.skipped.items()
    assert (Path(skipped).name, why) == ("fake.jpg", f"{skipped} is not a picture that can be read")
    names = {path.name for path in out.iterdir()}
    assert names == {"s.ckpt", "s.onnx", "s.json", "s.csv", "previews"}
    assert [path.name for path in sorted((out / "previews").iterdir())] == [
        "grounds.png",
        "step-000004.png",
        "step-000008.png",
    ]
    sheet = np.asarray(Image.open(out / "previews" / "grounds.png").convert("RGB")).astype(int)
    side = (sheet.shape[1] - 6) // 5 - 6
    tiles = [sheet[-6 - side : -6, 6 + (side + 6) * column :][:, :side] for column in range(5)]
    for one, other in itertools.combinations(tiles, 2):
        assert np.abs(one - other).mean() > 1
    card = json.loads((out / "s.json").read_text())
    assert card["paintings"]["s"]["license"] == "public domain"
    assert card["paintings"]["s"]["palette"] == list(find_palette(load_image(PAINTING, size=640, opaque=True).pixels))
    assert card["recipe"]["steps"] == 8
    metadata = onnxruntime.InferenceSession(outcome.model).get_modelmeta().custom_metadata_map
    assert (metadata["name"], metadata["styles"], metadata["network"]) == ("s", '["s"]', "tiny")
    assert Stylizer(outcome.model).network.count_passes(400, 300) == 2
    assert json.loads(metadata["paintings"]) == card["paintings"]


def test_a_run_without_the_export_leaves_the_rest(photo_folder: Path, tmp_path: Path, recipe: Recipe) -> None:
    outcome = run(photo_folder, tmp_path / "out", recipe, export=False)
    assert (outcome.step, outcome.finished, outcome.skipped, outcome.model) == (8, True, {}, None)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"s.ckpt", "s.csv", "previews"}


def test_a_network_has_the_finish_that_suits_its_painting_and_resumes(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    blocks = np.random.default_rng(0).integers(30, 220, (4, 4, 3)).astype(np.uint8)
    Image.fromarray(blocks.repeat(32, 0).repeat(32, 1)).save(tmp_path / "blocks.png")

    def learned(steps: int, resume: Path | None = None) -> Outcome:
        options: dict[str, Any] = {"name": "s", "accelerator": "cpu", "workers": 0, "export": resume is not None}
        changed = Recipe.from_dict({**recipe.as_dict(), "steps": steps})
        init = None if resume else "scratch"
        return train_style(
            tmp_path / "blocks.png", photo_folder, tmp_path, recipe=changed, init=init, resume=resume, **options
        )

    outcome = learned(2, learned(1).checkpoint)
    for each, flat in ((outcome, True), (trained, False)):
        assert each.model is not None
        painting = json.loads(each.model.with_suffix(".json").read_text())["paintings"]["s"]
        assert (painting["flat"], painting["colored"]) == (flat, True)
        parts = network_from_onnx(each.model).state_dict().keys()
        assert ("end.coring.energy" in parts, "end.accents.spread" in parts) == (flat, True)


def test_training_lowers_the_objective_of_photos(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, load: Callable[..., Tensor]
) -> None:
    # Crops so small hold 36 cells: what the lattice's penalty sees there is mostly chance.
    changed = {"steps": 80, "size": 72, "style_warmup": 0.0}
    checkpoint = load_checkpoint(learn(photo_folder, tmp_path, Recipe.from_dict({**recipe.as_dict(), **changed})))
    vgg = load_vgg(recipe.vgg, recipe.objective)
    painting = scale_painting(load_image(PAINTING), recipe.style_size, name="painting")
    loss = PerceptualLoss(vgg, painting, recipe.objective, calibration=checkpoint.calibrations["s"])
    photo = load("astronaut", (48, 48))

    def total(picture: Tensor) -> float:
        with torch.no_grad():
            return float(loss(picture, loss.content_targets(photo)).total)

    torch.manual_seed(recipe.seed)
    reached = total(checkpoint.network()(photo))
    # It reaches 0.17 and 0.47 of these; another processor's rounding leads elsewhere.
    assert reached < 0.5 * total(photo)
    assert reached < total(build_network("tiny")(photo))


def test_checkpoint_holds_no_vgg_weights(trained: Outcome) -> None:
    stored = torch.load(trained.checkpoint, weights_only=True)
    assert {key.split(".")[0] for key in stored["state_dict"]} == {"network", "average"}


def weights_of(path: Path) -> dict[str, Tensor]:
    return load_checkpoint(path).average


def train_command(photos: Path, out: Path, vgg: Path, *more: str, steps: int = 12, workers: int = 0) -> list[str]:
    options = f"--network tiny --steps {steps} --size 48 --batch 2 --style-size 64 --accelerator cpu --precision 32"
    command = [sys.executable, "-m", "fast_style", "train", str(PAINTING), str(photos), "-o", str(out), "--name", "s"]
    options += f" --workers {workers} --preview-every 4 --init scratch"
    return [*command, *options.split(), "--vgg", str(vgg), *more]


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_run_killed_and_resumed_reaches_the_weights_of_an_unbroken_one(
    photo_folder: Path, tmp_path: Path, vgg: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = subprocess.Popen(train_command(photo_folder, broken, vgg), stderr=subprocess.DEVNULL)
    wait_for(lambda: (broken / "s.ckpt").exists())
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = load_checkpoint(broken / "s.ckpt")
    assert 4 <= killed.step <= 12
    learn(photo_folder, broken, killed.recipe, preview_every=4, resume=broken / "s.ckpt")
    learn(photo_folder, whole, killed.recipe, preview_every=4)
    expected, found = weights_of(whole / "s.ckpt"), weights_of(broken / "s.ckpt")
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert (whole / "s.csv").read_text() == (broken / "s.csv").read_text()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("numbers", [[signal.SIGINT] * 3, [signal.SIGTERM], [signal.SIGHUP]], ids=str)
def test_a_run_told_to_stop_leaves_a_checkpoint_that_resumes(
    photo_folder: Path, tmp_path: Path, vgg: Path, numbers: list[signal.Signals]
) -> None:
    command = train_command(photo_folder, tmp_path / "out", vgg, steps=100_000, workers=1)
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: (tmp_path / "out" / "s.csv").exists() and (tmp_path / "out" / "s.csv").read_text().count("\n") > 1)
    for number in numbers:  # to the processes that decode photos, too, as from a terminal
        os.killpg(process.pid, number)
        time.sleep(0.02)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "continue with --resume" in out
    assert "Traceback" not in errors
    assert load_checkpoint(tmp_path / "out" / "s.ckpt").step >= 10


@pytest.mark.usefixtures("one_thread")
def test_ctrl_c_on_one_of_two_machines_ends_both_with_a_checkpoint(
    photo_folder: Path, tmp_path: Path, vgg: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    running = [
        subprocess.Popen(
            train_command(photo_folder, tmp_path / "out", vgg, "--nodes", "2", steps=100_000),
            env=os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(node)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    wait_for(lambda: (tmp_path / "out" / "s.csv").exists() and (tmp_path / "out" / "s.csv").read_text().count("\n") > 1)
    running[1].send_signal(signal.SIGINT)
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [130, 130], said
    assert load_checkpoint(tmp_path / "out" / "s.ckpt").step >= 10
    assert not [*(tmp_path / "out").glob(".*")]


@pytest.mark.usefixtures("one_thread")
def test_two_processes_train_and_agree_with_one_of_twice_the_batch(
    photo_folder: Path, tmp_path: Path, vgg: Path
) -> None:
    for nodes, more in ((1, ["--devices", "2"]), (2, ["--nodes", "2"])):
        two = tmp_path / f"{nodes} nodes"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        running = [
            subprocess.Popen(
                train_command(photo_folder, two, vgg, *more, steps=4),
                env=os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "NODE_RANK": str(node)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for node in range(nodes)
        ]
        said = [process.communicate(timeout=900)[0] for process in running]
        assert [process.returncode for process in running] == [0] * nodes
        assert [b"equal to the network" in text for text in said] == [True, False][:nodes]  # the first publishes
    recipe = load_checkpoint(two / "s.ckpt").recipe
    expected = weights_of(learn(photo_folder, tmp_path / "one", replace(recipe, batch=2 * recipe.batch)))
    alone = weights_of(learn(photo_folder, tmp_path / "alone", recipe))

    def apart(weights: dict[str, Tensor]) -> float:
        return math.sqrt(sum(float((weights[key] - expected[key]).square().sum()) for key in expected))

    # Of rounding, four steps make a hundredth of that, and twelve a third.
    for nodes in (1, 2):
        assert apart(weights_of(tmp_path / f"{nodes} nodes" / "s.ckpt")) < 0.1 * apart(alone)


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("devices", 0, 1), ("devices", -1, 1), ("nodes", 0, 1), ("workers", -1, 0), ("preview_every", -3, 1)],
)
def test_a_number_out_of_range_is_refused_before_anything_is_read(
    tmp_path: Path, recipe: Recipe, option: str, value: int, least: int
) -> None:
    with pytest.raises(InputError, match=f"^{option} is {value}; expected at least {least}$"):
        run(tmp_path / "no photos", tmp_path / "out", recipe, **{option: value})
    assert not (tmp_path / "out").exists()


class Removal(pl.Callback):
    """Remove the photos before the first step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        shutil.rmtree(self.folder)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("workers", [0, 1])
def test_photos_that_vanish_during_a_run_are_an_error_of_one_line(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, workers: int
) -> None:
    with pytest.raises(DatasetError, match=r"^none of \d+ photos could be used, the first being \S+$") as caught:
        run(
            photo_folder,
            tmp_path / "out",
            replace(recipe, steps=40),
            workers=workers,
            callbacks=[Removal(photo_folder)],
        )
    assert caught.value.hint == "Photos must be readable and at least 24 px on each side."


def test_a_diverged_run_stops_and_keeps_the_last_good_checkpoint(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fast_style.training import module

    original = module.StyleModule.training_step

    def poisoned(self: module.StyleModule, batch: tuple[Tensor, list[str]], batch_idx: int) -> Tensor:
        loss = original(self, batch, batch_idx)
        return loss * float("nan") if self.global_step >= 15 else loss

    monkeypatch.setattr(module.StyleModule, "training_step", poisoned)
    longer = Recipe.from_dict({**recipe.as_dict(), "steps": 40})
    with pytest.raises(TrainingDivergedError, match="training diverged at step 20: the loss is nan") as caught:
        run(photo_folder, tmp_path, longer, preview_every=10)
    assert "learning-rate" in str(caught.value.hint)
    checkpoint = load_checkpoint(tmp_path / "s.ckpt")
    assert checkpoint.step == 10
    assert all(bool(torch.isfinite(value).all()) for value in checkpoint.average.values())


class Poison(pl.Callback):
    """Make one weight NaN after a step, whose losses are fine, and perhaps stop as Ctrl-C does."""

    def __init__(self, step: int, *, stop: bool) -> None:
        self.step, self.stop = step, stop

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                next(pl_module.parameters())[0] = float("nan")
            trainer.should_stop = self.stop


@pytest.mark.parametrize(
    ("stop", "reason"),
    [(False, "at step 6: the loss is nan"), (True, "at step 4: a weight is not finite")],
    ids=["at a checkpoint between two looks", "on Ctrl-C"],
)
def test_a_state_with_a_bad_weight_is_never_saved(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, stop: bool, reason: str
) -> None:
    poison = Poison(4, stop=stop)
    with pytest.raises(TrainingDivergedError, match=reason):
        run(photo_folder, tmp_path, recipe, preview_every=2, callbacks=[poison])
    checkpoint = load_checkpoint(tmp_path / "s.ckpt")
    assert checkpoint.step == 4
    stored = torch.load(checkpoint.path, weights_only=True)["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in stored.values())


def test_init_starts_from_another_styles_weights(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    barely = Recipe.from_dict({**recipe.as_dict(), "steps": 1, "learning_rate": 1e-9})
    assert trained.model is not None
    expected = weights_of(trained.checkpoint)
    for number, init in enumerate((trained.checkpoint, trained.model)):
        second = learn(photo_folder, tmp_path / f"b{number}", barely, init=init)
        found = weights_of(second)
        for key in expected:
            torch.testing.assert_close(found[key], expected[key], rtol=1e-3, atol=1e-5)
    with pytest.raises(CheckpointError, match="holds the network 'tiny', not 'fast'"):
        run(
            photo_folder,
            tmp_path / "c",
            Recipe.from_dict({**barely.as_dict(), "network": "fast"}),
            init=trained.checkpoint,
        )


def test_an_adapter_changes_only_the_normalizations(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    adapter = Recipe.from_dict({**recipe.as_dict(), "tune": "adapter"})
    with pytest.raises(InputError, match="needs a network to adapt"):
        run(photo_folder, tmp_path / "a", adapter)
    second = learn(photo_folder, tmp_path / "b", adapter, init=trained.checkpoint)
    before, after = weights_of(trained.checkpoint), weights_of(second)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if ".norm." in key}
    assert load_checkpoint(second).card["init"] == trained.checkpoint.name


def test_a_checkpoint_of_another_network_is_refused_before_anything_is_written(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    old = tmp_path / "old.ckpt"
    stored = torch.load(trained.checkpoint, weights_only=True)
    del stored["state_dict"]["average.noise.scale"]
    torch.save(stored, old)
    with pytest.raises(CheckpointError, match="does not hold the weights of 'tiny'"):
        run(photo_folder, tmp_path / "b", recipe, resume=old)
    assert not (tmp_path / "b").exists()


def test_a_resumed_run_remembers_what_it_started_from(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    second = learn(photo_folder, tmp_path / "b", recipe, init=trained.model)
    more = replace(load_checkpoint(second).recipe, steps=recipe.step_count + 1)
    third = run(photo_folder, tmp_path / "b", more, resume=second)
    assert third.card is not None
    assert json.loads(third.card.read_text())["init"] == "s.onnx"


def test_a_resumed_run_keeps_its_name_and_what_is_said_of_its_painting(
    photo_folder: Path, tmp_path: Path, trained: Outcome
) -> None:
    stored = load_checkpoint(trained.checkpoint)
    more = replace(stored.recipe, steps=stored.step + 1)
    again = learn(photo_folder, tmp_path, more, resume=trained.checkpoint, name=None)
    assert again == tmp_path / "s.ckpt"
    assert load_checkpoint(again).card["paintings"] == stored.card["paintings"]
    assert stored.card["paintings"]["s"]["license"] == "public domain"


def test_a_name_cannot_lead_out_of_the_folder_even_from_a_checkpoint(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    stored["fast_style"]["card"]["name"] = "../t"
    torch.save(stored, path)
    for arguments in ({"name": "../t", "recipe": recipe}, {"resume": path}):
        with pytest.raises(InputError, match=r"the name '\.\./t' is not that of a file"):
            train_style(PHOTOS["coffee"], photo_folder, tmp_path / "out", accelerator="cpu", workers=0, **arguments)
    assert not [*tmp_path.rglob("t.*")]
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_painting_is_refused(photo_folder: Path, tmp_path: Path, recipe: Recipe) -> None:
    with pytest.raises(InputError, match="there is no painting to learn"):
        train_style([], photo_folder, tmp_path / "out", recipe=recipe, accelerator="cpu", workers=0)


def test_resuming_with_another_painting_is_refused(photo_folder: Path, tmp_path: Path, trained: Outcome) -> None:
    with pytest.raises(InputError, match=r"coffee\.png is not the painting that .*s\.ckpt was trained on, "):
        train_style(PHOTOS["coffee"], photo_folder, tmp_path, resume=trained.checkpoint, accelerator="cpu", workers=0)


def test_a_run_that_is_complete_is_not_resumed_elsewhere(photo_folder: Path, tmp_path: Path, trained: Outcome) -> None:
    stored = load_checkpoint(trained.checkpoint)
    for steps in (stored.step, stored.step - 1):
        with pytest.raises(InputError, match=rf"s\.ckpt has taken {stored.step} of {steps} steps"):
            run(photo_folder, tmp_path, replace(stored.recipe, steps=steps), resume=trained.checkpoint)
    assert not any(tmp_path.glob("*.ckpt"))


def test_resuming_with_another_recipe_is_refused(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, trained: Outcome
) -> None:
    with pytest.raises(InputError, match="another batch"):
        run(photo_folder, tmp_path, Recipe.from_dict({**recipe.as_dict(), "batch": 3}), resume=trained.checkpoint)


def test_an_accelerator_that_is_not_there_is_told_before_anything_is_written(
    photo_folder: Path, tmp_path: Path, recipe: Recipe
) -> None:
    with pytest.raises(DeviceError, match="cannot use the device 'warp'"):
        run(photo_folder, tmp_path / "out", recipe, accelerator="warp")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_before_the_calibration(
    photo_folder: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(run_module, "_calibrated_losses", None)
    with pytest.raises(FileError, match=r"cannot write .*s\.ckpt: .*Not a directory"):
        run(photo_folder, tmp_path / "file" / "out", recipe)


def test_a_folder_of_previews_that_cannot_be_made_is_told(photo_folder: Path, tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "previews").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*step-000001\.png: .*File exists"):
        learn(photo_folder, tmp_path, replace(recipe, steps=1))


def test_files_carry_their_format(trained: Outcome) -> None:
    assert torch.load(trained.checkpoint, weights_only=True)["fast_style"]["format"] == 1
    assert trained.model is not None
    assert read_card(trained.model)["card_format"] == 1


@pytest.mark.parametrize("format", [2, 0, "one", None], ids=str)
def test_a_checkpoint_of_another_format_or_none_is_refused(
    tmp_path: Path, format: object, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"recipe": Recipe("tiny").as_dict(), "card": {"name": "old"}, "format": format}
    weights = {f"average.{key}": value for key, value in build_network("tiny").state_dict().items()}
    path = tmp_path / "s.ckpt"
    torch.save({"global_step": 3, "state_dict": weights, "fast_style": facts}, path)
    with pytest.raises(CheckpointError, match=f"has the format {format!r}; this version of fast-style reads up to 1"):
        load_checkpoint(path)
    assert main(["export", str(path)]) == 2
    assert "hint: Update fast-style." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"steps": 0}, "steps is 0; expected a number from 1 up"),
        ({"steps": "many"}, "the recipe in this checkpoint cannot be read"),
        ({"steps": torch.zeros(2)}, "the recipe in this checkpoint cannot be read"),
        ({"stepz": 3}, "the recipe in this checkpoint cannot be read: a recipe has no stepz"),
        ({"objective": {"places_weight": 1.0, "places_layers": []}}, "places_layers names no layer"),
    ],
)
def test_a_checkpoint_with_a_damaged_recipe_is_refused_by_its_name(
    damage: dict[str, Any], message: str, tmp_path: Path, trained: Outcome
) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    stored["fast_style"]["recipe"] |= damage
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=rf"s\.ckpt is damaged: .*{message}"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("part", "damage"),
    [
        ("card", {"paintings": {"s": "x"}}),
        ("card", {"paintings": {"s": 3}}),
        ("card", {"name": None}),
        ("recipe", {"network": ["tiny"]}),
    ],
)
def test_a_checkpoint_with_damaged_facts_is_refused_by_its_name(
    part: str, damage: dict[str, Any], tmp_path: Path, trained: Outcome
) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    stored["fast_style"][part] |= damage
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=r"s\.ckpt is damaged"):
        load_checkpoint(path)


def test_sets_that_are_no_tensors_are_refused(tmp_path: Path, trained: Outcome) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    stored["state_dict"]["average_sets.values.0"] = [1.0, 2.0]
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=r"s\.ckpt does not hold the weights of 'tiny'"):
        load_checkpoint(path).network()


def test_a_compressed_checkpoint_is_refused_as_it_may_unfold_to_any_size(tmp_path: Path, trained: Outcome) -> None:
    with (
        zipfile.ZipFile(trained.checkpoint) as plain,
        zipfile.ZipFile(tmp_path / "s.ckpt", "w", zipfile.ZIP_DEFLATED) as compressed,
    ):
        for part in plain.infolist():
            compressed.writestr(part.filename, plain.read(part))
    with pytest.raises(CheckpointError, match="is compressed inside"):
        load_checkpoint(tmp_path / "s.ckpt")


def test_a_checkpoint_of_endless_steps_is_refused_by_its_name(tmp_path: Path, trained: Outcome) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    torch.save(stored | {"global_step": float("inf")}, path)
    with pytest.raises(CheckpointError, match=r"s\.ckpt is damaged: its facts about the training are incomplete"):
        load_checkpoint(path)


def test_a_checkpoint_of_a_network_that_does_not_exist_is_refused_by_its_name(tmp_path: Path, trained: Outcome) -> None:
    stored, path = torch.load(trained.checkpoint, weights_only=True), tmp_path / "s.ckpt"
    stored["fast_style"]["recipe"]["network"] = "tyni"
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=r"s\.ckpt does not hold the weights of 'tyni'"):
        load_checkpoint(path).network()


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (exec, ("import pathlib; pathlib.Path('exploded').touch()",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Bomb(), "it was not run"),
        ({"epoch": 1}, "is not a checkpoint of fast-style"),
        ({"fast_style": 1, "state_dict": {}}, "is not a checkpoint of fast-style"),
        (PHOTOS["rocket"].read_bytes(), "is not a PyTorch file, or contains more than tensors"),
        ("text", "hostile.ckpt is damaged or not a PyTorch file\n"),
        ("", "hostile.ckpt is damaged or not a PyTorch file\n"),
    ],
    ids=["pickle", "another's", "no facts", "photo", "text", "empty"],
)
def test_a_hostile_or_foreign_checkpoint_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.ckpt"
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert main(["export", str(path)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "hint:" in captured.err
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("part", ["weights", "schedule"])
def test_a_checkpoint_that_a_run_cannot_take_over_is_refused(
    part: str, photo_folder: Path, tmp_path: Path, vgg: Path
) -> None:
    recipe = Recipe("tiny", steps=1, size=48, batch=1, style_size=64, vgg=str(vgg), precision="32")
    learn(photo_folder, tmp_path, recipe)
    (path,) = tmp_path.glob("*.ckpt")
    stored = torch.load(path, weights_only=True)
    if part == "weights":
        key = next(key for key in stored["state_dict"] if key.startswith("network."))
        stored["state_dict"][key] = torch.zeros(1)
    else:
        stored["lr_schedulers"] = ["x"]
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=r"training cannot continue from .*\.ckpt: "):
        learn(photo_folder, tmp_path, replace(recipe, steps=2), resume=path)


def test_a_toml_recipe_is_used_and_a_wrong_key_is_told(
    photo_folder: Path, tmp_path: Path, vgg: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "recipe.toml"
    config.write_text(
        f'network = "tiny"\nsteps = 2\nsize = 48\nbatch = 2\nstyle_size = 64\nvgg = "{vgg}"\nground = "panes"\n'
        "[objective]\nstrength = 2.0\n"
    )
    arguments = ["train", str(PAINTING), str(photo_folder), "-o", str(tmp_path / "out"), "--config", str(config)]
    more = ["--batch", "1", "--workers", "0", "--accelerator", "cpu", "--precision", "32"]
    assert main([*arguments, *more]) == 0
    recipe = load_checkpoint(tmp_path / "out" / "ihc.ckpt").recipe
    assert (recipe.objective.strength, recipe.steps, recipe.batch, recipe.ground) == (2.0, 2, 1, "panes")
    assert Stylizer(tmp_path / "out" / "ihc.onnx").network.ground.forms == "panes"
    for wrong, said in {
        "stepz = 3": "unknown key 'stepz'",
        'ground = "mud"': "ground is 'mud'; expected none or flow or panes or rings",
        "[ground]": "ground is {}; expected a string",
    }.items():
        config.write_text(f"{wrong}\n")
        assert main([*arguments, "--force"]) == 2
        assert said in capsys.readouterr().err


def test_an_estimate_adds_up_what_a_run_does(
    narrow_file: Path, trained: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    # Whatever is timed takes a second.
    monkeypatch.setattr(run_module, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    recipe = Recipe("tiny", size=48, vgg=str(narrow_file), precision="32")
    calibrated, drawn = run_module.CALIBRATION_PHOTOS, count_drawn("tiny", run_module.NEARNESS_PHOTOS)
    assert estimate_duration(recipe) == Estimate(calibrated + drawn + run_module.EXPORT_STEPS, 1.0, 250)
    assert estimate_duration(replace(recipe, steps=40)).seconds == calibrated + drawn + 40 + run_module.EXPORT_STEPS
    assert estimate_duration(resume=trained.checkpoint).steps == 0
    with pytest.raises(DeviceError):
        estimate_duration(recipe, accelerator="warp")
    scratch = estimate_duration(recipe, init=SCRATCH)
    assert scratch == Estimate(calibrated + run_module.EXPORT_STEPS, 1.0, 1000)
