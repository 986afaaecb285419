from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fast_style.errors import InputError
from fast_style.perceptual import VGG, Objective, PerceptualLoss, VGGWeights, lattice, pixel_grid
from fast_style.training import Recipe
from fast_style.training.module import FIRST_STYLE_SHARE, StyleModule


@pytest.fixture
def module(narrow_weights: VGGWeights) -> StyleModule:
    objective = Objective(content_layers=("relu2_2",), style_layers=("relu1_1",))
    loss = PerceptualLoss(VGG(narrow_weights, objective.layers), [torch.rand(1, 3, 32, 32)], objective)
    loss.calibrate([torch.rand(1, 3, 32, 32)])
    return StyleModule(Recipe(network="tiny", steps=1000, style_warmup=0.5, objective=objective), loss, card={})


def at(module: StyleModule, step: int) -> StyleModule:
    module.trainer = SimpleNamespace(global_step=step)  # type: ignore[assignment]
    return module


def test_the_styles_weight_rises_along_a_line_and_stays(module: StyleModule) -> None:
    shares = [at(module, step).style_share() for step in (0, 250, 500, 999)]
    assert shares == pytest.approx([FIRST_STYLE_SHARE, (1 + FIRST_STYLE_SHARE) / 2, 1.0, 1.0])
    module.recipe = replace(module.recipe, style_warmup=0.0)
    assert at(module, 0).style_share() == 1.0


def test_the_step_minimises_the_objective_with_the_styles_share(module: StyleModule) -> None:
    module.recipe = replace(module.recipe, grid_weight=0.0, lattice_weight=0.0, border_weight=0.0)
    photos = torch.rand(1, 3, 64, 64)
    found = float(at(module, 250).training_step((photos, []), 0).detach())
    terms, objective = module.latest, module.recipe.objective
    assert terms is not None
    expected = terms.content + 0.625 * objective.style_weight * terms.style + objective.tv_weight * terms.tv
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_the_step_adds_each_penalty_by_its_weight(module: StyleModule) -> None:
    photos = torch.rand(1, 3, 64, 64)

    def step(**weights: float) -> float:
        none: dict[str, Any] = {"grid_weight": 0.0, "lattice_weight": 0.0, "border_weight": 0.0}
        module.recipe = replace(module.recipe, **none | weights)
        return float(at(module, 250).training_step((photos, []), 0).detach())

    plain, output = step(), module.latest_output
    assert output is not None
    window = module.window(64)
    expected = {
        "grid_weight": pixel_grid(output, cell=8),
        "lattice_weight": lattice(module.loss.features(output[window])["relu1_1"], cell=8),
        "border_weight": module.border(photos[window], output[window], module.condition()),
    }
    for name, penalty in expected.items():
        assert penalty.item() > 0
        weight = plain / penalty.item()  # so that it counts as much as all the rest
        assert step(**{name: weight}) == pytest.approx(2 * plain, rel=1e-3)


def test_the_scored_window_keeps_off_the_rim_and_varies(module: StyleModule) -> None:
    places: Counter[int] = Counter()
    for step in range(400):
        _, rows, columns = at(module, step).window(256)
        assert rows.stop - rows.start == columns.stop - columns.start == 176
        places[rows.start] += 1
    assert set(places) == set(range(32, 49))
    assert at(module, 7).window(256) == at(module, 7).window(256)


def test_the_border_is_compared_by_colour_and_only_the_border_is_taught(module: StyleModule) -> None:
    photos = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        alone = module.network(photos)
    assert module.border(photos, alone).item() == pytest.approx(0.0, abs=1e-9)
    assert module.border(photos, alone + 0.1).item() == pytest.approx(0.01, rel=1e-3)
    turned = alone.unflatten(2, (3, 16)).flip(3).flatten(2, 3)  # each block upside down
    assert module.border(photos, turned).item() == pytest.approx(0.0, abs=1e-9)
    inner = alone.clone().requires_grad_()
    assert torch.autograd.grad(module.border(photos, inner), inner, allow_unused=True) == (None,)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_warmup_beyond_the_run_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="style_warmup is"):
        Recipe(style_warmup=share)


def test_the_learning_rate_is_the_networks_or_the_adapters_own_unless_it_is_given() -> None:
    assert Recipe().peak_learning_rate > Recipe(network="johnson").peak_learning_rate
    assert Recipe(tune="adapter").peak_learning_rate > 10 * Recipe().peak_learning_rate
    assert Recipe(network="johnson", tune="adapter", learning_rate=3e-4).peak_learning_rate == 3e-4
