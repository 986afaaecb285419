"""Dots and strokes that sit on the cells of a network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fast_style.evaluate.lattice import lattice, mean_lattice
from fast_style.losses import VGG, VGGWeights

Load = Callable[..., Tensor]
LAYERS = ("relu1_1", "relu2_1", "relu4_1")


def test_a_lattice_is_the_share_of_variance_that_the_place_in_the_cell_explains() -> None:
    torch.manual_seed(0)
    pattern = torch.randn(1, 3, 4, 4)
    same = pattern.tile(2, 1, 8, 8)  # the same in every cell: all of it
    assert float(lattice(same, cell=4)) == pytest.approx(1 / 1.01, rel=0.02)
    free = torch.randn(2, 3, 256, 256)  # nothing but chance
    assert float(lattice(free, cell=4)) == pytest.approx(1 / (64 * 64), rel=0.3)
    torch.testing.assert_close(lattice(free, cell=4), (lattice(free[:1], cell=4) + lattice(free[1:], cell=4)) / 2)
    mixed = pattern.tile(2, 1, 64, 64) / pattern.std(correction=0) + free
    assert float(lattice(mixed, cell=4)) == pytest.approx(0.5, abs=0.1)
    assert float(lattice(torch.full((1, 2, 8, 8), 0.4) + 1e-3 * pattern[:, :2].tile(1, 1, 2, 2), cell=4)) > 0.9


def test_a_lattice_ignores_what_does_not_fill_a_cell() -> None:
    features = torch.rand(1, 2, 19, 22)
    torch.testing.assert_close(lattice(features, cell=8), lattice(features[..., :16, :16], cell=8))


def test_dots_of_random_sign_in_every_cell_are_a_lattice_and_dots_anywhere_are_not(narrow_weights: VGGWeights) -> None:
    vgg = VGG(narrow_weights, LAYERS)
    random = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (1, 1, 32, 32), generator=random) * 2.0 - 1
    dot = torch.zeros(8, 8)
    dot[2:5, 2:5] = 0.3
    fixed = 0.5 + torch.kron(signs, dot).expand(1, 3, 256, 256)
    assert fixed.reshape(3, 32, 8, 32, 8).mean((0, 1, 3)).std() < 0.02  # no grid in the mean
    free = torch.full((1, 3, 264, 264), 0.5)
    for sign, (top, left) in zip(signs.flatten(), torch.randint(0, 253, (1024, 2), generator=random), strict=True):
        free[..., top : top + 3, left : left + 3] = 0.5 + 0.3 * sign
    scores = [mean_lattice(vgg(image[..., :256, :256]), LAYERS, cell=8) for image in (fixed, free)]
    assert scores[0] > 20 * scores[1]


def test_a_photo_has_no_lattice(load: Load, narrow_weights: VGGWeights) -> None:
    vgg = VGG(narrow_weights, LAYERS)
    assert mean_lattice(vgg(load("astronaut", (256, 256))), LAYERS[:2], cell=8) < 3 / 32**2


def test_layers_with_one_position_a_cell_have_no_lattice(narrow_weights: VGGWeights) -> None:
    vgg = VGG(narrow_weights, LAYERS)
    assert mean_lattice(vgg(torch.rand(1, 3, 64, 64)), LAYERS[2:], cell=8) == 0.0
