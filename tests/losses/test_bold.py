"""The terms that ask for large forms and for the painting's colors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fast_style.errors import InputError
from fast_style.losses import BOLD, VGG, Objective, PerceptualLoss, VGGWeights
from fast_style.losses.gram import gram_matrix
from fast_style.losses.terms.color import color_quantiles
from fast_style.losses.terms.spread import mean_and_deviation
from fast_style.recipe import Recipe

LAYERS = ("relu1_1", "relu2_1")
OBJECTIVE = Objective(
    content_layers=("relu2_2",),
    style_layers=LAYERS,
    coarse_layers=LAYERS,
    coarse_weight=2.0,
    spread_weight=3.0,
    color_weight=4.0,
)


@pytest.fixture
def vgg(narrow_weights: VGGWeights) -> VGG:
    return VGG(narrow_weights, OBJECTIVE.layers)


def test_mean_and_deviation_of_a_known_channel() -> None:
    features = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    mean, deviation = mean_and_deviation(features)[0, :, 0].tolist()
    assert mean == 4.0
    assert deviation == pytest.approx(math.sqrt(5.0 + 1e-4))


def test_quantiles_do_not_depend_on_where_a_color_lies() -> None:
    image = torch.rand(1, 3, 16, 16)
    shuffled = image.flatten(2)[..., torch.randperm(256)].view(1, 3, 16, 16)
    torch.testing.assert_close(color_quantiles(image), color_quantiles(shuffled))


def test_a_shift_of_all_colors_is_the_mean_square_of_its_projections() -> None:
    image = torch.rand(1, 3, 16, 16) * 0.5
    moved = color_quantiles(image + 0.25) - color_quantiles(image)
    generator = torch.Generator().manual_seed(1)
    directions = F.normalize(torch.randn(32, 3, generator=generator), dim=1)
    torch.testing.assert_close(moved[0, :, 0], 0.25 * directions.sum(1), rtol=1e-4, atol=1e-5)


def test_the_painting_itself_scores_zero_and_an_unstyled_photo_one(vgg: VGG) -> None:
    painting, photo = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32) ** 3
    loss = PerceptualLoss(vgg, [painting], OBJECTIVE)
    loss.calibrate([photo])
    names = ("coarse_style", "spread", "color")
    itself = loss(painting, loss.content_targets(painting)).values
    unstyled = loss(photo, loss.content_targets(photo)).values
    assert [float(itself[name]) for name in names] == pytest.approx([0.0] * 3, abs=1e-5)
    assert [float(unstyled[name]) for name in names] == pytest.approx([1.0] * 3, rel=1e-4)


def test_the_coarse_style_is_the_style_of_the_halved_picture(vgg: VGG) -> None:
    painting, picture = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    loss = PerceptualLoss(vgg, [painting], OBJECTIVE)
    loss.calibrate([torch.rand(1, 3, 32, 32) ** 2])
    small = [vgg(F.avg_pool2d(image, 2), LAYERS) for image in (picture, painting)]
    units = loss.terms["coarse_style"].units
    assert units is not None
    expected = sum(
        (gram_matrix(small[0][layer]) - gram_matrix(small[1][layer])).square().sum() / units[layer] / 2
        for layer in LAYERS
    )
    found = loss(picture, loss.content_targets(picture)).values["coarse_style"]
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-4, atol=1e-6)


def test_content_may_be_compared_at_half_the_size(vgg: VGG) -> None:
    photo, picture = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    loss = PerceptualLoss(vgg, [picture], replace(OBJECTIVE, content_reduction=2))
    loss.calibrate([photo])
    (layer,) = OBJECTIVE.content_layers
    small = [vgg(F.avg_pool2d(image, 2), [layer])[layer] for image in (picture, photo)]
    expected = F.mse_loss(*small) / small[1].var(dim=(0, 2, 3), correction=0).mean()
    found = loss(picture, loss.content_targets(photo)).values["content"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="content_reduction is 3; expected 1, 2 or 4"):
        replace(OBJECTIVE, content_reduction=3)


def test_the_spread_may_look_at_layers_of_its_own(vgg: VGG) -> None:
    one = PerceptualLoss(vgg, [torch.rand(1, 3, 32, 32)], replace(OBJECTIVE, spread_layers=LAYERS[:1]))
    assert one.terms["spread"].shares == {LAYERS[0]: 1.0}


def test_the_strength_multiplies_all_that_asks_for_the_painting(vgg: VGG) -> None:
    painting = torch.rand(1, 3, 32, 32)
    plain, bold = (
        PerceptualLoss(vgg, [painting], replace(OBJECTIVE, strength=strength)).terms for strength in (1.0, 2.0)
    )
    ratios = {name: bold[name].weight.at(1.0) / plain[name].weight.at(1.0) for name in plain}
    assert ratios == {"content": 1.0, "style": 2.0, "tv": 1.0, "coarse_style": 2.0, "spread": 2.0, "color": 2.0}


@pytest.mark.parametrize("name", ["fast", "tiny", "fine"])
def test_our_own_networks_have_the_bold_objective(name: str) -> None:
    assert Recipe(name).objective == BOLD


def test_the_peers_network_has_the_default() -> None:
    assert Recipe("johnson") == Recipe(network="johnson")
