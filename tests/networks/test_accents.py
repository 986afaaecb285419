"""A picture keeps a share of the photo's strong colors."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fast_style.images import LUMA
from fast_style.networks import is_colored
from fast_style.networks.accents import SHARE, STRONG, Accents

Color = tuple[float, float, float]
colors = st.tuples(*[st.floats(0, 1)] * 3)


def plain(color: Color, height: int = 12, width: int = 16) -> Tensor:
    return torch.tensor(color)[None, :, None, None].expand(1, 3, height, width)


def added_to(color: Color) -> Tensor:
    """What is added to a picture of gray inside a plain photo, (3,); its four phases are the same."""
    phases = Accents()(torch.zeros(1, 12, 6, 8), plain(color))[0, :, 2:-1, 2:-1].reshape(3, 4, -1)
    torch.testing.assert_close(phases, phases[:, :1, :1].expand_as(phases), rtol=0, atol=1e-5)
    added: Tensor = phases[:, 0, 0].double()
    return added


@given(color=colors)
def test_what_is_added_is_a_share_of_the_color_that_grows_with_it(color: Color) -> None:
    brightness = float(np.dot(LUMA.astype(float), color))
    distance = torch.tensor(color).double() - brightness
    share = SHARE * float(distance.square().sum()) / (float(distance.square().sum()) + STRONG**2)
    torch.testing.assert_close(added_to(color), share * distance, rtol=0, atol=1e-5)


@given(gray=st.floats(0, 1))
def test_gray_adds_nothing(gray: float) -> None:
    assert float(added_to((gray, gray, gray)).abs().max()) < 1e-9


def test_a_faint_color_is_left_out_and_a_strong_one_is_not() -> None:
    sky, suit = added_to((0.70, 0.74, 0.80)), added_to((0.9, 0.4, 0.1))
    assert float(sky.abs().max()) < 0.05
    assert float(suit[0]) > 0.8


def test_an_edge_of_color_stays_where_it_is() -> None:
    photo = torch.cat([plain((0.5, 0.5, 0.5), width=20), plain((0.9, 0.3, 0.1), width=20)], dim=3)
    red = Accents()(torch.zeros(1, 12, 6, 20), photo)[0, 0, 3]
    # The cell with index 10 lies around column 20, the first that is red.
    assert float(red[9]) < 0.1 * float(red[15]) < 0.9 * float(red[15]) < float(red[11]) + 1e-5


def test_ink_on_paper_has_no_colors_and_a_painting_of_two_hues_has() -> None:
    ink = torch.linspace(0, 1, 64)[None, None, None, :].expand(1, 1, 48, 64)
    paper, dark = plain((0.92, 0.86, 0.72), 1, 1), plain((0.2, 0.14, 0.1), 1, 1)
    assert not is_colored(ink.expand(1, 3, 48, 64))
    assert not is_colored(ink * paper + (1 - ink) * dark)
    assert is_colored(torch.cat([plain((0.2, 0.3, 0.5)), plain((0.8, 0.7, 0.5))], dim=3))
