from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import avg_pool2d, mse_loss

from fast_style.errors import InputError
from fast_style.losses import VGG, Objective, PerceptualLoss, VGGWeights
from fast_style.training import Recipe
from fast_style.training.module import FIRST_STYLE_SHARE, StyleModule, training_losses

SHIPPED = Path(__file__).parents[2] / "checkpoints"


@pytest.fixture
def picture_loss(narrow_weights: VGGWeights) -> PerceptualLoss:
    objective = Objective(content_layers=("relu2_2",), style_layers=("relu1_1",))
    loss = PerceptualLoss(VGG(narrow_weights, ["relu2_2"]), torch.rand(1, 3, 32, 32), objective)
    loss.calibrate([torch.rand(1, 3, 32, 32)])
    return loss


@pytest.fixture
def module(picture_loss: PerceptualLoss) -> StyleModule:
    options = {"steps": 1000, "style_warmup": 0.5, "kept": 0.0, "passes": 1, "sharpening": 0.0}
    recipe = Recipe("tiny", **options, objective=picture_loss.objective)
    return StyleModule(recipe, [picture_loss], card={"styles": ["s"]})


def at(module: StyleModule, step: int) -> StyleModule:
    module.trainer = SimpleNamespace(global_step=step)  # type: ignore[assignment]
    return module


def test_the_styles_weight_rises_along_a_line_and_stays(module: StyleModule) -> None:
    style, full = module.loss_of(0).terms["style"], module.recipe.objective.style_weight
    shares = [style.weight.at(progress) / full for progress in (0.0, 0.25, 0.5, 0.999)]
    assert shares == pytest.approx([FIRST_STYLE_SHARE, (1 + FIRST_STYLE_SHARE) / 2, 1.0, 1.0])


def test_without_a_warmup_the_style_counts_in_full_from_the_start(picture_loss: PerceptualLoss) -> None:
    recipe = Recipe(style_warmup=0.0, objective=picture_loss.objective)
    (loss,) = training_losses(picture_loss, recipe)
    assert loss.terms["style"].weight.at(0.0) == Objective().style_weight


def test_the_figures_total_is_exactly_what_the_step_minimizes(module: StyleModule) -> None:
    minimized = at(module, 250).training_step((torch.rand(1, 3, 64, 64), []), 0)
    figures, recipe = module.figures(), module.recipe
    assert figures["total"] == minimized.item()
    weights = {
        "content": recipe.objective.content_weight,
        "style": 0.625 * recipe.objective.style_weight,
        "tv": recipe.objective.tv_weight,
        "border": recipe.border_weight,
    }
    assert list(figures) == ["total", *weights]
    assert all(figures[name] > 0 for name in weights)
    expected = sum(weight * figures[name] for name, weight in weights.items())
    assert figures["total"] == pytest.approx(expected, rel=1e-5)


def test_the_terms_of_a_step_are_those_of_their_definitions(module: StyleModule) -> None:
    photos = torch.rand(1, 3, 64, 64)
    at(module, 250).training_step((photos, []), 0)
    output, figures = module.latest_output, module.figures()
    assert output is not None
    window = module.window(64)
    features = module.loss_of(0).vgg(output[window])
    with torch.no_grad():
        alone = module.draw(photos[window])
    side = min(16, alone.shape[-1])
    border = mse_loss(avg_pool2d(alone, side), avg_pool2d(output[window], side))
    assert figures["border"] == pytest.approx(border.item(), rel=1e-4)
    target = module.loss_of(0).vgg(photos[window])["relu2_2"]
    unit = module.loss_of(0).terms["content"].units
    assert unit is not None
    expected = mse_loss(features["relu2_2"], target).item() / unit["relu2_2"]
    assert figures["content"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("colored", "wanted"), [(True, True), (True, False), (False, True)])
def test_only_the_average_keeps_accents_which_the_recipe_can_leave_out(
    picture_loss: PerceptualLoss, colored: bool, wanted: bool
) -> None:
    card = {"styles": ["s"], "paintings": {"s": {"colored": colored}}}
    recipe = Recipe("tiny", objective=picture_loss.objective, accents=wanted)
    module = StyleModule(recipe, [picture_loss], card=card)
    parts = [dict(network.named_modules()).keys() for network in (module.network, module.average)]
    assert ["end.accents" in names for names in parts] == [False, colored and wanted]


def test_the_loss_that_a_module_is_given_stays_the_pictures_own(picture_loss: PerceptualLoss) -> None:
    recipe = Recipe(network="tiny", objective=picture_loss.objective)
    module = StyleModule(recipe, [picture_loss], card={"styles": ["s"]})
    assert list(picture_loss.terms) == ["content", "style", "tv"]
    assert picture_loss.terms["style"].weight.at(0.0) == picture_loss.terms["style"].weight.at(1.0)
    assert module.loss_of(0).terms["style"].get_buffer("gram_relu1_1") is picture_loss.terms["style"].get_buffer(
        "gram_relu1_1"
    )


def test_the_scored_window_is_at_either_end_of_a_crop_as_often_as_between(module: StyleModule) -> None:
    places: Counter[int] = Counter()
    for step in range(900):
        _, rows, columns = at(module, step).window(256)
        assert rows.stop - rows.start == columns.stop - columns.start == 176
        places[rows.start] += 1
    assert min(places) == 0
    assert max(places) == 80
    assert len(places) > 70
    assert 240 < places[0] < 380
    assert 240 < places[80] < 380
    assert at(module, 7).window(256) == at(module, 7).window(256)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_warmup_beyond_the_run_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="style_warmup is"):
        Recipe(style_warmup=share)


def test_the_learning_rate_is_the_networks_or_the_adapters_own_unless_it_is_given() -> None:
    assert Recipe().peak_learning_rate > Recipe(network="johnson").peak_learning_rate
    assert Recipe(tune="adapter").peak_learning_rate > 10 * Recipe().peak_learning_rate
    assert Recipe(network="johnson", tune="adapter", learning_rate=3e-4).peak_learning_rate == 3e-4


def test_a_run_from_a_trained_network_learns_faster_unless_its_rate_is_given() -> None:
    recipe = Recipe()
    assert recipe.from_trained().peak_learning_rate == 2 * recipe.peak_learning_rate
    assert replace(recipe, learning_rate=1e-5).from_trained().peak_learning_rate == 1e-5
    adapter = Recipe(tune="adapter")
    assert adapter.from_trained().peak_learning_rate == adapter.peak_learning_rate


def trained(picture_loss: PerceptualLoss, **changes: Any) -> StyleModule:
    recipe = Recipe("tiny", steps=1000, objective=picture_loss.objective, kept=0.0, **changes)
    return StyleModule(recipe, [picture_loss], card={"styles": ["s"]})


def test_terms_that_draw_again_count_in_turns_and_as_much_in_all(picture_loss: PerceptualLoss) -> None:
    module = trained(picture_loss, in_turns=True, steady_weight=25.0, steady_since=0.0)
    counted = []
    for step in range(8):
        at(module, step).training_step((torch.rand(1, 3, 64, 64), []), 0)
        terms = module.loss_of(0).terms
        counted.append({name: terms[name].weight.at(0.0) for name in ("border", "steady") if name in terms})
        assert set(module.figures()) == {"total", *terms}
    assert counted == 2 * [{}, {"border": 120.0}, {"steady": 50.0}, {"steady": 50.0}]
    together = trained(picture_loss, steady_weight=25.0, steady_since=0.0)
    for name in ("border", "steady"):
        assert sum(weights.get(name, 0.0) for weights in counted) / 8 == together.loss_of(0).terms[name].weight.at(0.0)
    assert set(module.terms) == set(together.terms)


@pytest.mark.parametrize(("asked", "times"), [(5.0, 2.0), (1.5, 1.5), (1.0, 1.0)])
def test_each_styles_own_weights_learn_faster_up_to_as_many_times_as_there_are_styles(
    picture_loss: PerceptualLoss, asked: float, times: float
) -> None:
    recipe = Recipe("tiny", objective=picture_loss.objective, style_rate=asked, learning_rate=0.01)
    module = StyleModule(recipe, [picture_loss, picture_loss], card={"styles": ["one", "other"]})
    assert module.sets is not None
    shared, own = optimizer_of(module).param_groups
    assert (shared["initial_lr"], own["initial_lr"]) == (0.01, pytest.approx(0.01 * times))
    assert set(own["params"]) == set(module.sets.parameters())


def test_the_rate_rises_and_falls_to_zero(picture_loss: PerceptualLoss) -> None:
    module = trained(picture_loss, warmup=0.1)
    factors = [module._learning_rate_factor(step) for step in (0, 50, 100, 1000)]
    assert factors == pytest.approx([1 / 101, 51 / 101, 1.0, 0.0])


def optimizer_of(module: StyleModule) -> torch.optim.Optimizer:
    configured: Any = module.configure_optimizers()
    optimizer: torch.optim.Optimizer = configured["optimizer"]
    return optimizer
