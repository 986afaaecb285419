"""Sets of scales and shifts: what a network paints with them."""

from __future__ import annotations

import pytest
import torch

from fast_style.networks import NETWORKS, Condition, StyleSets, TransformerNetwork, build_network


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> TransformerNetwork:
    torch.manual_seed(0)
    return build_network(request.param).eval()


@pytest.fixture
def sets(network: TransformerNetwork) -> StyleSets:
    made = StyleSets(network, ("one", "other"))
    with torch.no_grad():
        for values in made.values:
            values += 0.1 * torch.randn_like(values)
    return made


@torch.no_grad()
def test_a_new_set_paints_as_the_network_itself(network: TransformerNetwork) -> None:
    image = torch.rand(1, 3, 40, 32)
    told = Condition(affines=StyleSets(network, ("one",)).one(0))
    torch.testing.assert_close(network(image, told), network(image))


@torch.no_grad()
def test_each_picture_of_a_batch_is_painted_in_its_own_style(network: TransformerNetwork, sets: StyleSets) -> None:
    images = torch.rand(2, 3, 40, 32)
    told = sets(torch.tensor([[1.0, 0.0], [0.3, 0.7]]))
    together = network(images, Condition(affines=told))
    torch.testing.assert_close(together[:1], network(images[:1], Condition(affines=sets.one(0))), atol=1e-5, rtol=0)
    mixed = sets(torch.tensor([[0.3, 0.7]]))
    torch.testing.assert_close(together[1:], network(images[1:], Condition(affines=mixed)), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_sets_own_scale_and_shift_are_those_of_its_layer(network: TransformerNetwork, sets: StyleSets) -> None:
    image = torch.rand(1, 3, 40, 32)
    expected = network(image, Condition(affines=sets.one(1)))
    for name, affine in sets.one(1).items():
        layer = network.get_submodule(name)
        layer.weight.copy_(affine.scale[0])  # type: ignore[operator]  # a normalization's weight is a tensor
        layer.bias.copy_(affine.shift[0])  # type: ignore[operator]
    torch.testing.assert_close(network(image), expected)


def test_only_the_style_that_is_painted_gets_a_gradient(network: TransformerNetwork, sets: StyleSets) -> None:
    network(torch.rand(1, 3, 40, 32), Condition(affines=sets.one(1))).sum().backward()
    assert sets.values[0].grad is None
    assert sets.values[1].grad is not None


def test_scales_and_shifts_stay_float32_where_convolutions_are_bfloat16(sets: StyleSets) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        affines = [*sets.one(0).values(), *sets(torch.tensor([[0.3, 0.7]])).values()]
    assert all(values.dtype == torch.float32 for affine in affines for values in (affine.scale, affine.shift))
