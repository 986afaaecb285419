import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import ImageError, TrainingDivergedError
from fast_style.images import Picture, Pixels, fit, load_image, save_image, to_float
from fast_style.losses import VGG, Objective, PerceptualLoss, gram_matrix, load_vgg, load_vgg_weights
from fast_style.optimize import PRESETS, Outcome, Scorer, Settings, Step, optimize_picture
from fast_style.optimize.run import Init
from tests.conftest import PAINTING, PHOTOS

SMALL = Objective(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return fit(load_image(PHOTOS["chelsea"]), 64).pixels


@pytest.fixture(scope="module")
def painting() -> Pixels:
    return fit(load_image(PAINTING), 64).pixels


def settings(**changes: Any) -> Settings:
    return Settings(**{"iterations": 4, "size": 64, "style_size": 64, "device": "cpu", **changes})


def record(photo: Pixels, painting: Pixels, objective: Objective = SMALL, **changes: Any) -> tuple[Outcome, list[Step]]:
    steps: list[Step] = []
    outcome = optimize_picture(photo, painting, objective, settings(**changes), on_step=steps.append)
    return outcome, steps


def tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(to_float(pixels))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_lowers_its_objective_monotonically_on_a_photo(name: str, photo: Pixels, painting: Pixels) -> None:
    _, steps = record(photo, painting, objective=PRESETS[name], iterations=5)
    totals = [step.terms["total"] for step in steps]
    assert len(totals) == 5
    assert all(after < before for before, after in itertools.pairwise(totals))
    assert all(step.image.min() >= 0.0 and step.image.max() <= 1.0 for step in steps)


def test_optimizer_scores_as_the_trainer_to_the_last_digit(photo: Pixels, painting: Pixels) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        vgg = VGG(load_vgg_weights(), ["relu2_1"])
        loss = PerceptualLoss(vgg, tensor(painting), SMALL)
        content = tensor(photo).contiguous(memory_format=torch.channels_last)
        loss.calibrate([content])
        image = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))
        targets = loss.content_targets(content)
        score = Scorer(loss, content)
        total, gradient = score(image)
        # What StyleModule.training_step does with a network's output.
        output = image.clone().contiguous(memory_format=torch.channels_last).requires_grad_()
        terms = loss(output, targets, photo=content)
        terms.total.backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert total == terms.total.item()
    assert output.grad is not None
    assert torch.equal(gradient, output.grad)
    assert score.terms["style"] == terms.values["style"].item()


def test_default_objective_is_the_trainers() -> None:
    from fast_style.training import Recipe

    assert PRESETS["bold"] == Recipe("fast").objective
    assert PRESETS["balanced"] == Recipe("johnson").objective


def test_perceptual_network_is_frozen_and_targets_are_detached(photo: Pixels, painting: Pixels) -> None:
    vgg = VGG(load_vgg_weights(), ["relu2_1"])
    loss = PerceptualLoss(vgg, tensor(painting), SMALL)
    loss.calibrate([tensor(photo)])
    before = {name: buffer.clone() for name, buffer in vgg.named_buffers()}
    score = Scorer(loss, tensor(photo).requires_grad_())
    score(tensor(photo))
    assert list(vgg.parameters()) == []
    assert all(not buffer.requires_grad and buffer.grad is None for buffer in loss.buffers())
    assert all(not target.requires_grad for target in score.targets.values())
    assert all(torch.equal(before[name], buffer) for name, buffer in vgg.named_buffers())


def test_gatys_weighing_is_half_a_sum_and_a_quarter(photo: Pixels, painting: Pixels) -> None:
    classic = Objective(weighting="classic", content_layers=("relu2_1",), style_layers=("relu1_1",))
    gatys = Objective(weighting="gatys", content_layers=("relu2_1",), style_layers=("relu1_1",))
    vgg = VGG(load_vgg_weights(), ["relu2_1"])
    found = []
    for objective in (classic, gatys):
        loss = PerceptualLoss(vgg, tensor(painting), objective)
        found.append(loss(tensor(photo).flip(-1), loss.content_targets(tensor(photo))))
    values = vgg(tensor(photo), ["relu2_1"])["relu2_1"].numel()
    assert found[1].values["content"].item() == pytest.approx(found[0].values["content"].item() * values / 2, rel=1e-5)
    assert found[1].values["style"].item() == pytest.approx(found[0].values["style"].item() / 4, rel=1e-5)


def test_johnson_weighs_as_their_train_lua_does(photo: Pixels, painting: Pixels) -> None:
    objective = PRESETS["johnson"]
    vgg = load_vgg("caffe-vgg19", objective)
    picture, target = (F.interpolate(tensor(pixels), (256, 256)) for pixels in (photo, painting))
    terms = PerceptualLoss(vgg, target, objective)(picture.flip(-1), vgg(picture)).weighted
    seen, wanted = vgg(picture.flip(-1)), vgg(target)
    assert terms["content"].item() == pytest.approx(F.mse_loss(seen["relu3_3"], vgg(picture)["relu3_3"]).item())
    grams = [(gram_matrix(seen[layer]), gram_matrix(wanted[layer])) for layer in objective.style_layers]
    assert terms["style"].item() == pytest.approx(5 * sum(F.mse_loss(*pair).item() for pair in grams), rel=1e-4)
    squares = sum(torch.diff(255 * picture, dim=dim).square().sum().item() for dim in (2, 3))
    assert terms["tv"].item() == pytest.approx(1e-6 / 2 * squares, rel=0.01)  # of 255 rows and columns, not 256


@pytest.mark.parametrize(
    ("size", "refine", "expected"),
    [(512, False, [512]), (1024, False, [512, 1024]), (700, False, [350, 700]), (1024, True, [1024])],
)
def test_scales_double_up_to_the_size(size: int, refine: bool, expected: list[int]) -> None:
    assert [side for side, _ in Settings().iterations_at(size, SMALL, refine=refine)] == expected


def test_coarse_to_fine_ends_at_the_photos_size(
    photo: Pixels, painting: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.optimize.run.COARSEST", 32)
    outcome, steps = record(photo, painting)
    assert [max(step.image.shape) for step in steps] == [32, 32, 32, 32, 64, 64]
    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6]
    assert outcome.pixels.shape == photo.shape


@pytest.mark.parametrize("init", ["photo", "noise"])
def test_every_start_works_and_improves(init: Init, photo: Pixels, painting: Pixels) -> None:
    _, steps = record(photo, painting, init=init)
    assert steps[-1].terms["total"] < steps[0].terms["total"]


def test_noise_is_always_the_same(photo: Pixels, painting: Pixels) -> None:
    first, second = (record(photo, painting, init="noise", iterations=1)[0].pixels for _ in range(2))
    assert np.array_equal(first, second)


def test_interruption_keeps_the_best_so_far(photo: Pixels, painting: Pixels) -> None:
    def interrupt(step: Step) -> None:
        if step.number == 2:
            raise KeyboardInterrupt

    outcome = optimize_picture(photo, painting, SMALL, settings(), on_step=interrupt)
    assert outcome.interrupted
    assert outcome.last is not None
    assert outcome.last.number == 2
    assert not np.array_equal(outcome.pixels, photo)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate")])
def test_memory_that_runs_out_leaves_what_is_done(
    error: Exception, photo: Pixels, painting: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*details: Any) -> None:
        raise error

    outcome = optimize_picture(photo, painting, SMALL, settings(), on_step=run_out)
    assert (outcome.exhausted, outcome.interrupted) == (True, False)
    assert not np.array_equal(outcome.pixels, photo)
    monkeypatch.setattr("fast_style.optimize.run.PerceptualLoss", run_out)
    with pytest.raises(type(error)):  # nothing is done
        optimize_picture(photo, painting, SMALL, settings())


def test_a_painting_of_a_single_place_is_told_what_to_do(photo: Pixels, painting: Pixels) -> None:
    objective = replace(PRESETS["bold"], style_layers=("relu1_1", "relu3_1"), style_layer_weights=(1.0, 1.0))
    small = fit(Picture(painting), 32).pixels
    with pytest.raises(ImageError, match="single place at relu4_1") as caught:
        optimize_picture(np.tile(photo, (8, 8, 1)), small, objective, settings(size=512, style_size=32))
    assert caught.value.hint == "Give a larger --style-size."


def test_a_start_that_nothing_is_better_than_is_returned(
    photo: Pixels, painting: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.optimize.run.lbfgs", lambda *_: iter(()))
    start = np.full_like(photo, 200)
    assert np.array_equal(optimize_picture(photo, painting, SMALL, settings(), start=start).pixels, start)
    assert np.array_equal(optimize_picture(photo, painting, SMALL, settings()).pixels, photo)


def test_objective_that_overflows_says_what_to_change(photo: Pixels, painting: Pixels) -> None:
    huge = Objective(weighting="classic", content_layers=("relu2_1",), style_layers=("relu1_1",), style_weight=3e38)
    with pytest.raises(TrainingDivergedError, match=r"iteration 1: the objective is inf") as caught:
        record(photo, painting, objective=huge)
    assert "Lower the weights" in (caught.value.hint or "")


def test_kept_colors_are_the_photos(photo: Pixels, painting: Pixels) -> None:
    outcome = optimize_picture(photo, painting, SMALL, settings(iterations=2), colors=True)
    shift = outcome.pixels.astype(int) - photo
    inside = (outcome.pixels > 0).all(axis=-1) & (outcome.pixels < 255).all(axis=-1)
    assert np.ptp(shift[inside], axis=-1).max() <= 1


def test_command_writes_a_picture_once(
    tmp_path: Path, photo: Pixels, painting: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(Picture(photo), tmp_path / "photo.png")
    save_image(Picture(painting), tmp_path / "painting.png")
    arguments = ["optimize", str(tmp_path / "photo.png"), str(tmp_path / "painting.png"), "-o", str(tmp_path / "o.png")]
    arguments += [
        "--iterations",
        "10",
        "--style-size",
        "64",
        "--style-layers",
        "relu1_1",
        "--content-layers",
        "relu2_1",
    ]
    assert main(arguments) == 0
    assert load_image(tmp_path / "o.png").pixels.shape == photo.shape
    assert main(arguments) == 2
    assert "o.png exists" in capsys.readouterr().err


def test_a_styles_picture_is_finished_at_full_size(tmp_path: Path, photo: Pixels, painting: Pixels) -> None:
    save_image(Picture(photo), tmp_path / "photo.png")
    save_image(Picture(painting), tmp_path / "painting.png")
    drawn = Stylizer("udnie-tiny").picture(Picture(photo)).pixels.astype(int)
    arguments = ["optimize", str(tmp_path / "photo.png"), str(tmp_path / "painting.png"), "--from-style", "udnie-tiny"]
    options = ["--iterations", "1", "--style-layers", "relu1_1", "--content-layers", "relu2_1"]
    assert main([*arguments, *options, "-o", str(tmp_path / "o.png")]) == 0
    finished = load_image(tmp_path / "o.png").pixels.astype(int)
    assert 0 < np.abs(finished - drawn).mean() < np.abs(photo - drawn).mean() / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from-style", "udni"], "udnie"),
        (["--from-style", "udnie-tiny", "--init", "noise"], "give one of them"),
        (["--style-layers", "relu9_9"], "no layer 'relu9_9'"),
        (["--iterations", "0"], "iterations is 0"),
        (["--vgg", "nowhere"], "unknown VGG weights"),
    ],
)
def test_bad_options_are_errors_without_a_picture(
    arguments: list[str], message: str, tmp_path: Path, photo: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(Picture(photo), tmp_path / "p.png")
    picture = str(tmp_path / "p.png")
    assert main(["optimize", picture, picture, "-o", str(tmp_path / "o.png"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.png").exists()
