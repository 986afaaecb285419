"""Sets of scales and shifts: what a network paints with them."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from fast_style.networks import NETWORKS, StyleSets, TransformerNetwork, build_network, take_style


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
    style = StyleSets(network, ("one",)).one(0)
    torch.testing.assert_close(functional_call(network, style, image), network(image))


@torch.no_grad()
def test_a_mixture_is_the_weighted_sum_of_its_styles(sets: StyleSets) -> None:
    alone, mixed = sets(torch.tensor([1.0, 0.0])), sets(torch.tensor([0.3, 0.7]))
    for name, value in sets.one(0).items():
        torch.testing.assert_close(alone[name], value)
        torch.testing.assert_close(mixed[name], 0.3 * value + 0.7 * sets.one(1)[name])


@torch.no_grad()
def test_a_network_that_took_a_style_paints_as_with_its_set(network: TransformerNetwork, sets: StyleSets) -> None:
    image = torch.rand(1, 3, 40, 32)
    before = network(image)
    expected = functional_call(network, sets.one(1), image)
    assert torch.equal(network(image), before)
    take_style(network, sets.values[1])
    assert torch.equal(network(image), expected)
    assert not torch.allclose(expected, before, atol=1e-3)


def test_a_set_gives_each_normalization_its_own_scale_and_shift(network: TransformerNetwork, sets: StyleSets) -> None:
    take_style(network, sets.values[1])
    parameters = dict(network.named_parameters())
    given = sets.one(1)
    layers = [name for name, layer in network.named_modules() if isinstance(layer, nn.InstanceNorm2d)]
    assert given.keys() == {f"{layer}.{what}" for layer in layers for what in ("weight", "bias")}
    assert all(torch.equal(parameters[name], value) for name, value in given.items())
    for row, what in zip(sets.values[1], ("weight", "bias"), strict=True):
        assert torch.equal(torch.cat([given[f"{layer}.{what}"] for layer in layers]), row)


def test_only_the_style_that_is_painted_gets_a_gradient(network: TransformerNetwork, sets: StyleSets) -> None:
    functional_call(network, sets.one(1), torch.rand(1, 3, 40, 32)).sum().backward()
    assert sets.values[0].grad is None
    assert sets.values[1].grad is not None
    assert all(network.get_parameter(name).grad is None for name in sets.one(1))


def test_scales_and_shifts_stay_float32_where_convolutions_are_bfloat16(sets: StyleSets) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        given = [*sets.one(0).values(), *sets(torch.tensor([0.3, 0.7])).values()]
    assert all(values.dtype == torch.float32 for values in given)
