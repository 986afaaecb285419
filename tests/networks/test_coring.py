import numpy as np
import pytest
import torch
from torch import Tensor

from fast_style.networks import has_grain, is_flat
from fast_style.networks.coring import THRESHOLD, Coring


def checkerboard(amplitude: float) -> Tensor:
    """Phases whose pixels lie above and below 0.3 in turns, (1, 12, 9, 11)."""
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0]).repeat(3)[None, :, None, None]
    return 0.3 + amplitude * signs.expand(1, 12, 9, 11)


def inside(features: Tensor) -> Tensor:
    """Without what zeros around the features reach, which lies in a network's margin."""
    return features[..., 2:-2, 2:-2]


@pytest.mark.parametrize(("of_threshold", "left"), [(0.9, 0.0), (1.5**0.5, 0.5), (1.5, 1.0)])
def test_a_pattern_is_left_out_if_it_is_faint(of_threshold: float, left: float) -> None:
    amplitude = of_threshold * THRESHOLD
    cored = Coring()(checkerboard(amplitude))
    torch.testing.assert_close(inside(cored), inside(checkerboard(left * amplitude)), rtol=0, atol=1e-6)


def test_edges_and_what_is_smooth_stay_as_they_are() -> None:
    edge = torch.zeros(1, 12, 9, 20)
    edge[..., 10:] = 2.0
    torch.testing.assert_close(inside(Coring()(edge)), inside(edge), rtol=0, atol=1e-6)
    columns = torch.arange(20.0)
    phases = torch.stack([columns, columns + 0.5]).tile(2, 1)  # pixels in each column: the left one, then the right one
    ramp = 0.05 * phases.tile(3, 1)[None, :, None].expand(1, 12, 9, 20)
    assert (inside(Coring()(ramp)) - inside(ramp)).abs().max() < 0.02


def test_paintings_with_calm_places_are_flat() -> None:
    random = np.random.default_rng(0)
    calm = np.full((1, 3, 120, 160), 0.6)
    rough = calm + random.uniform(-0.1, 0.1, calm.shape)
    half = np.concatenate([calm[..., :60, :], rough[..., 60:, :]], axis=2)
    assert [is_flat(torch.from_numpy(painting)) for painting in (calm, rough, half)] == [True, False, True]
    assert not is_flat(torch.ones(1, 3, 8, 8))  # too small to tell


def test_grain_is_what_is_everywhere_and_neither_faint_nor_a_print() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (1, 3, 96, 96)).astype(np.float32)
    gray = np.full_like(noise, 0.5)
    strengths = (0.005, 0.06, 0.3)  # smooth, canvas, dots of a print
    found = [has_grain(torch.from_numpy((gray + strength * noise).clip(0, 1))) for strength in strengths]
    assert found == [False, True, False]
    assert not has_grain(torch.ones(1, 3, 8, 8))  # too small to tell
