"""The temporal term: what moves with the photo costs nothing, what stays or flickers does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses.second_view import Motion
from fast_style.losses.term import Seen
from fast_style.losses.terms.steady import Steady

SIDE = 96


@pytest.fixture
def photo() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    waves = [0.5 + 0.4 * torch.sin(columns / 9 + p) * torch.cos(rows / 7 - p) for p in (0.0, 1.0, 2.0)]
    return torch.stack(waves)[None]


def shifted(across: float, down: float) -> Motion:
    flow = torch.tensor([across, down]).expand(SIDE, SIDE, 2)
    return Motion(flow, torch.zeros(3, SIDE, SIDE))


def score(photo: Tensor, draw: Callable[[Tensor], Tensor], motion: Motion) -> Tensor:
    value: Tensor = Steady(1.0)(Seen(draw(photo), {}, photo=photo, draw=draw, motion=motion))
    return value


def test_a_shift_by_whole_pixels_is_what_slicing_gives(photo: Tensor) -> None:
    moved = shifted(3.0, -2.0).warp(photo)
    assert torch.allclose(moved[..., 10:-10, 10:-10], photo[..., 8:-12, 13:-7], atol=1e-5)


def test_a_picture_that_moves_with_the_photo_costs_nothing(photo: Tensor) -> None:
    assert score(photo, lambda x: 1 - x, shifted(3.0, -2.0)).item() == pytest.approx(0.0, abs=1e-5)
    assert score(photo, lambda x: 1 - x, shifted(2.5, 1.25)).item() < 1e-3


def test_dirt_on_the_screen_costs_what_it_moves_by(photo: Tensor) -> None:
    dirt = torch.zeros(SIDE, SIDE)
    dirt[:, ::2] = 0.1
    found = score(photo, lambda x: x + dirt, shifted(1.0, 0.0))
    assert found.item() == pytest.approx(0.1, rel=0.05)


def test_both_pictures_learn(photo: Tensor) -> None:
    gain = torch.tensor(1.0, requires_grad=True)
    dirt = torch.rand(SIDE, SIDE)
    score(photo, lambda x: x + gain * dirt, shifted(1.5, 0.0)).backward()
    assert gain.grad is not None
    assert gain.grad.item() > 0


def test_a_motion_is_drawn_again_from_its_seed_and_is_within_its_bounds() -> None:
    drawn = [Motion.drawn(np.random.default_rng(seed), 64, 80) for seed in (*range(20), 0)]
    assert torch.equal(drawn[0].flow, drawn[-1].flow)
    assert torch.equal(drawn[0].noise, drawn[-1].noise)
    assert all(motion.flow.shape == (64, 80, 2) and motion.flow.abs().max() < 24 for motion in drawn)
    still = [motion for motion in drawn if not motion.flow.any()]
    assert 0 < len(still) < 12
    assert all(0.5 / 255 < motion.noise.std() < 6 / 255 for motion in drawn)
    assert all(0.3 < motion.known().mean() < 0.7 for motion in drawn)


def test_without_a_motion_the_error_says_what_is_missing(photo: Tensor) -> None:
    with pytest.raises(InputError, match="motion"):
        Steady(1.0)(Seen(photo, {}, photo=photo, draw=lambda x: x))


def test_it_counts_only_late_in_the_training() -> None:
    term = Steady(3.0, since=0.6)
    assert [term.weight.at(progress) for progress in (0.0, 0.59, 0.6, 1.0)] == [0.0, 0.0, 3.0, 3.0]
