"""What networks learn to draw is crisper than what is scored."""

import math

import pytest
import torch
from torch import Tensor

from fast_style.training.sharpening import RADIUS, sharpen, soften


def stripes(period: float, *, amplitude: float = 0.1) -> Tensor:
    """Vertical stripes around mid gray, (1, 3, 48, 96)."""
    wave = 0.5 + amplitude * torch.sin(2 * math.pi * torch.arange(96.0) / period)
    return wave.expand(1, 3, 48, 96)


def amplitude(picture: Tensor) -> float:
    inner = picture[..., 8:-8]  # away from the repeated borders
    return float(inner.std()) * math.sqrt(2)


def response(period: float) -> float:
    """Amplitude that the blur leaves of stripes: that of a mean over a square, squared."""
    width, angle = 2 * RADIUS + 1, math.pi / period
    return (math.sin(width * angle) / (width * math.sin(angle))) ** 2


@pytest.mark.parametrize("period", [4, 5, 8, 10, 16, 40])
@pytest.mark.parametrize("amount", [0.3, 0.6])
def test_amplitudes_are_those_of_an_unsharp_mask(period: int, amount: float) -> None:
    fine = 1 - response(period)
    assert amplitude(sharpen(stripes(period), amount)) == pytest.approx(0.1 * (1 + amount * fine), rel=0.01)
    assert amplitude(soften(stripes(period), amount)) == pytest.approx(
        0.1 * (1 - amount / (1 + amount) * fine), rel=0.01
    )


def test_flat_pictures_stay_as_they_are() -> None:
    flat = torch.full((1, 3, 20, 30), 0.4)
    assert torch.allclose(sharpen(flat, 0.6), flat)
    assert torch.allclose(soften(flat, 0.6), flat)


def test_stripes_that_the_blur_removes_are_restored_exactly() -> None:
    thin = stripes(2 * RADIUS + 1)
    assert torch.allclose(soften(sharpen(thin, 0.6), 0.6)[..., 8:-8], thin[..., 8:-8], atol=1e-5)


def test_a_sharpened_picture_stays_in_range() -> None:
    edges = torch.zeros(1, 3, 24, 24)
    edges[..., 12:] = 1.0
    assert 0 <= float(sharpen(edges, 2.0).min()) <= float(sharpen(edges, 2.0).max()) <= 1


def test_what_is_optimized_through_softening_comes_out_crisper() -> None:
    wanted = stripes(6)
    drawn = wanted.clone().requires_grad_()
    optimizer = torch.optim.Adam([drawn], 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        (soften(drawn, 0.6) - wanted).square().mean().backward()
        optimizer.step()
    fine = 1 - response(6)
    assert amplitude(drawn.detach()) == pytest.approx(0.1 / (1 - 0.375 * fine), rel=0.03)
