"""Deep convolutions by tiles: the same features and gradients, whatever the size."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fast_style.losses.kernels.winograd import WinogradConv2d, mirror, pays, transform
from fast_style.losses.vgg import FrozenConv2d


def by_tiles(features: Tensor, weight: Tensor, padding: int) -> Tensor:
    made: Tensor = WinogradConv2d.apply(features, transform(weight), lambda: transform(mirror(weight)), padding)
    return made


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(2, 21),
    width=st.integers(2, 21),
    batch=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    padding=st.integers(0, 2),
    seed=st.integers(0, 1000),
)
def test_features_and_gradients_are_those_of_the_definition(
    height: int, width: int, batch: int, inputs: int, outputs: int, padding: int, seed: int
) -> None:
    if min(height, width) + 2 * padding < 3:
        return
    torch.manual_seed(seed)
    features = torch.randn(batch, inputs, height, width, requires_grad=True)
    weight = torch.randn(outputs, inputs, 3, 3)
    exact = F.conv2d(features.double(), weight.double(), padding=padding)
    made = by_tiles(features, weight, padding)
    assert torch.allclose(made.double(), exact, atol=2e-4)
    pull = torch.randn_like(exact)
    (wanted,) = torch.autograd.grad(exact, features, pull, retain_graph=True)
    (got,) = torch.autograd.grad(made, features, pull.float())
    assert torch.allclose(got, wanted, atol=2e-4)


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_a_picture_larger_than_the_cache_is_taken_in_runs(padding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = FrozenConv2d(torch.randn(256, 128, 3, 3) / 34, torch.randn(256), padding=padding)  # type: ignore[arg-type]
    features = torch.rand(1, 128, 50, 37)
    assert pays(features, layer.weight)
    whole = layer(features)
    monkeypatch.setattr("fast_style.losses.kernels.winograd.CACHE", 1)
    assert torch.allclose(layer(features), whole, atol=1e-5)
    assert torch.allclose(layer.double()(features.double()).float(), whole, atol=1e-4)


def test_what_was_prepared_goes_when_the_weights_are_converted() -> None:
    layer = FrozenConv2d(torch.rand(256, 256, 3, 3), torch.rand(256), padding="zeros")
    layer(torch.rand(1, 256, 16, 16))
    assert "_prepared" in vars(layer)
    layer.to(torch.bfloat16)
    assert "_prepared" not in vars(layer)


def test_tiles_are_for_frozen_weights_in_float32_that_are_wide_enough() -> None:
    features, weight = torch.rand(1, 256, 16, 16), torch.rand(256, 256, 3, 3)
    assert pays(features, weight)
    assert not pays(features.double(), weight.double())
    assert not pays(features.bfloat16(), weight.bfloat16())
    assert not pays(features[:, :, :8], weight)
    assert not pays(features[:, :64], weight[:, :64])
