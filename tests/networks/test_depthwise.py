"""Depthwise convolutions in training equal torch's."""

import pytest
import torch
from torch import nn

from fast_style.networks.depthwise import depthwise


@pytest.mark.parametrize(("kernel", "height", "width"), [(5, 13, 9), (3, 4, 3), (1, 2, 2)])
def test_gradients_are_those_of_torchs_convolution(kernel: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, kernel, groups=6, bias=False).double()
    conv.weight.data = conv.weight.data.float()
    features = torch.randn(2, 6, height, width, requires_grad=True)
    grad = torch.randn(2, 6, height - kernel + 1, width - kernel + 1)
    expected = torch.autograd.grad(conv(features), (features, conv.weight), grad)
    found = torch.autograd.grad(depthwise(features, conv), (features, conv.weight), grad)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_under_autocast_it_stays_in_float32() -> None:
    conv = nn.Conv2d(4, 4, 3, groups=4, bias=False)
    features = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert depthwise(features, conv).dtype == torch.float32
    torch.testing.assert_close(depthwise(features, conv), conv(features))
