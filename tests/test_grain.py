"""Smoothing along strokes: closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fast_style.grain import smooth_along_strokes


def stripes(degrees: float, *, period: float = 8.0, side: int = 96) -> Tensor:
    """Strokes that run at an angle to the rows, (1, 3, side, side)."""
    down, right = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    across = down * math.cos(math.radians(degrees)) - right * math.sin(math.radians(degrees))
    return (0.5 + 0.4 * torch.sin(2 * math.pi * across / period)).expand(1, 3, side, side)


@pytest.mark.parametrize("degrees", [0, 90, 45, 26.565, -60])
def test_strokes_stay_as_they_are_whatever_their_direction(degrees: float) -> None:
    strokes = stripes(degrees)
    torch.testing.assert_close(
        smooth_along_strokes(strokes)[..., 8:-8, 8:-8], strokes[..., 8:-8, 8:-8], atol=0.02, rtol=0
    )


def test_strokes_stay_at_an_edge_whose_opposite_is_of_another_color() -> None:
    ramp = torch.linspace(-0.25, 0.25, 96).expand(1, 3, 96, 96)
    strokes = 0.5 + ramp + (stripes(0) - 0.5) / 4
    torch.testing.assert_close(smooth_along_strokes(strokes)[..., 8:-8, :], strokes[..., 8:-8, :], atol=0.02, rtol=0)


@pytest.mark.parametrize("degrees", [0, 90])
def test_grain_goes_by_what_its_mean_along_a_stroke_leaves(degrees: float) -> None:
    strokes = stripes(degrees)
    grain = 0.02 * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    left = (smooth_along_strokes(strokes + grain) - strokes)[..., 8:-8, 8:-8].std() / 0.02
    weights = torch.exp(-((torch.arange(-4, 5) / 2) ** 2) / 2)
    expected = weights.square().sum().sqrt() / weights.sum()
    torch.testing.assert_close(left, expected, rtol=0.15, atol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(16, 40), st.integers(16, 40), st.integers(0, 2**16))
def test_a_picture_of_any_size_stays_within_its_values(height: int, width: int, seed: int) -> None:
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    smooth = smooth_along_strokes(image)
    assert smooth.shape == image.shape
    assert image.min() - 1e-5 <= smooth.min() <= smooth.max() <= image.max() + 1e-5


def test_one_color_stays_that_color() -> None:
    flat = torch.full((1, 3, 20, 24), 0.3)
    torch.testing.assert_close(smooth_along_strokes(flat), flat)
