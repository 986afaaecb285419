"""The objective of the real-time networks, and its term of colors."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fast_style.errors import InputError
from fast_style.losses import BOLD, VGG, Objective, PerceptualLoss, VGGWeights
from fast_style.losses.terms.color import color_quantiles
from fast_style.recipe import Recipe

LAYERS = ("relu1_1", "relu2_1")
OBJECTIVE = Objective(
    content_layers=("relu2_2",),
    style_layers=LAYERS,
    color_weight=4.0,
    places_layers=LAYERS,
    places_weight=3.0,
    similarity_layers=LAYERS,
    similarity_weight=2.0,
    tone_weight=1.0,
)


@pytest.fixture
def vgg(narrow_weights: VGGWeights) -> VGG:
    return VGG(narrow_weights, ["relu2_2"])


def test_quantiles_do_not_depend_on_where_a_color_lies() -> None:
    image = torch.rand(1, 3, 16, 16)
    shuffled = image.flatten(2)[..., torch.randperm(256)].view(1, 3, 16, 16)
    torch.testing.assert_close(color_quantiles(image), color_quantiles(shuffled))


def test_quantiles_are_float32_under_autocast() -> None:
    image = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantiles = color_quantiles(image)
    torch.testing.assert_close(quantiles, color_quantiles(image), rtol=0, atol=0)


def test_a_shift_of_all_colors_is_the_mean_square_of_its_projections() -> None:
    image = torch.rand(1, 3, 16, 16) * 0.5
    moved = color_quantiles(image + 0.25) - color_quantiles(image)
    generator = torch.Generator().manual_seed(1)
    directions = F.normalize(torch.randn(32, 3, generator=generator), dim=1)
    torch.testing.assert_close(moved[0, :, 0], 0.25 * directions.sum(1), rtol=1e-4, atol=1e-5)


def test_the_painting_itself_scores_zero_and_an_unstyled_photo_one(vgg: VGG) -> None:
    # Of another color: else its places would be no further from the painting's than those from each other.
    painting, photo = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32) * torch.tensor([1.0, 0.2, 0.0]).view(3, 1, 1)
    loss = PerceptualLoss(vgg, painting, OBJECTIVE)
    loss.calibrate([photo])
    names = ("style", "color", "places")
    itself = loss(painting, loss.content_targets(painting), photo=painting).values
    unstyled = loss(photo, loss.content_targets(photo), photo=photo).values
    assert [float(itself[name]) for name in names] == pytest.approx([0.0] * 3, abs=1e-5)
    assert [float(unstyled[name]) for name in names] == pytest.approx([1.0] * 3, rel=1e-4)


def test_the_strength_multiplies_all_that_asks_for_the_painting(vgg: VGG) -> None:
    painting = torch.rand(1, 3, 32, 32)
    plain, bold = (
        PerceptualLoss(vgg, painting, replace(OBJECTIVE, strength=strength)).terms for strength in (1.0, 2.0)
    )
    ratios = {name: bold[name].weight.at(1.0) / plain[name].weight.at(1.0) for name in plain}
    of_the_painting = {"style", "color", "places"}
    assert ratios == {name: 2.0 if name in of_the_painting else 1.0 for name in plain}
    assert of_the_painting < set(ratios)


@pytest.mark.parametrize("name", ["fast", "tiny", "fine"])
def test_our_own_networks_have_the_bold_objective(name: str) -> None:
    assert Recipe(name).objective == BOLD


def test_the_peers_network_has_the_default() -> None:
    assert Recipe("johnson") == Recipe(network="johnson")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weighting": "balance"}, "weighting is 'balance'; expected balanced or classic or gatys"),
        ({"padding": "replicat"}, "padding is 'replicat'; expected zeros or replicate"),
        ({"pooling": "mean"}, "pooling is 'mean'; expected avg or max"),
        ({"style_layers": ("relu1_1", "relu1_1")}, "style_layers names a layer twice: relu1_1, relu1_1"),
    ],
)
def test_a_word_that_means_nothing_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Objective(**changes)
