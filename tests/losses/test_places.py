"""Distances place by place, in closed form, and the terms made of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses import VGG, Objective, PerceptualLoss, VGGWeights
from fast_style.losses.term import Seen
from fast_style.losses.terms.places import (
    Places,
    draw_places,
    nearest,
    places,
    precision_and_coverage,
    self_similarity,
    self_similarity_distance,
)
from fast_style.losses.terms.tone import Tone, tone_distance

AXES = torch.eye(3)
NARROW = Objective(places_layers=("relu1_1",), places_weight=1.0, tone_weight=1.0)


def test_places_are_the_feature_vectors_of_positions() -> None:
    features = torch.arange(12.0).view(3, 2, 2)
    assert places(features).tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


def test_the_same_seed_draws_the_same_places_each_once() -> None:
    drawn = draw_places(100, 30, 5)
    assert torch.equal(drawn, draw_places(100, 30, 5))
    assert not torch.equal(drawn, draw_places(100, 30, 6))
    assert len(set(drawn.tolist())) == 30
    assert sorted(draw_places(4, 30, 0).tolist()) == [0, 1, 2, 3]


def test_nearest_is_by_direction_whatever_the_length() -> None:
    keys = torch.tensor([[10.0, 0.0], [0.0, 0.1]])
    assert nearest(torch.tensor([[0.1, 0.0], [0.0, 9.0], [1.0, 2.0]]), keys).tolist() == [0, 1, 1]


@pytest.mark.parametrize("compare", [nearest, self_similarity_distance])
def test_places_are_compared_in_float32_under_autocast(compare: Callable[[Tensor, Tensor], Tensor]) -> None:
    places = 1 + 0.1 * torch.rand(50, 16)  # of so similar directions that bfloat16 takes them for one
    near = places + 0.001 * torch.rand(50, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = compare(near, places)
    torch.testing.assert_close(found, compare(near, places), rtol=0, atol=0)


def test_a_picture_of_one_of_the_paintings_places_is_precise_and_covers_little() -> None:
    precision, coverage = precision_and_coverage(AXES[:1].repeat(5, 1), AXES)
    assert float(precision) == pytest.approx(0.0, abs=1e-6)
    assert float(coverage) == pytest.approx(2 / 3)  # two of three places occur nowhere, at right angles


def test_a_flat_place_that_the_painting_has_not_costs_precision_alone() -> None:
    picture = torch.cat([AXES, torch.tensor([[1.0, 1.0, 0.0]])])
    precision, coverage = precision_and_coverage(picture, AXES)
    assert float(precision) == pytest.approx((1 - 0.5**0.5) / 4, rel=1e-5)
    assert float(coverage) == pytest.approx(0.0, abs=1e-6)


def test_gradients_are_those_of_the_whole_matrix_of_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(20, 6, generator=generator, requires_grad=True)
    painting = torch.randn(30, 6, generator=generator)
    (found,) = torch.autograd.grad(torch.stack(precision_and_coverage(picture, painting)).sum(), picture)
    matrix = 1 - F.normalize(picture, dim=1) @ F.normalize(painting, dim=1).T
    total = matrix.min(dim=1).values.mean() + matrix.min(dim=0).values.mean()
    (expected,) = torch.autograd.grad(total, picture)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_self_similarity_of_three_axes_is_even_and_ignores_scale_and_a_change_of_all_colors() -> None:
    expected = (1 - torch.eye(3)) / 2
    torch.testing.assert_close(self_similarity(AXES), expected, atol=1e-5, rtol=0)
    assert float(self_similarity_distance(3 * AXES, AXES)) == pytest.approx(0.0, abs=1e-6)
    assert float(self_similarity_distance(AXES[:, [2, 0, 1]], AXES)) == pytest.approx(0.0, abs=1e-6)


def test_two_places_that_become_alike_change_the_self_similarity() -> None:
    merged = torch.stack([AXES[0], AXES[0], AXES[2]])
    # Columns of the first: (0, 1/2, 1/2) for each place. Of the second: (0, 0, 1), (0, 0, 1) and (1/2, 1/2, 0).
    assert float(self_similarity_distance(merged, AXES)) == pytest.approx((1 + 1 + 0) / 3, abs=1e-4)


def test_the_place_term_is_zero_for_a_picture_of_the_paintings_places_and_more_for_others() -> None:
    term = Places(NARROW)
    generator = torch.Generator().manual_seed(0)

    def seen(features: torch.Tensor, seed: int = 0) -> Seen:
        return Seen(torch.zeros(1, 3, 8, 8), {"relu1_1": features}, seed=seed)

    painting = torch.rand(1, 4, 8, 16, generator=generator)
    term.take_painting(seen(painting))
    assert float(term.distance("relu1_1", seen(painting.flip(2), seed=3))) == pytest.approx(0.0, abs=1e-6)
    far = torch.rand(1, 4, 8, 8, generator=generator) * torch.tensor([9.0, 1, 1, 1]).view(1, 4, 1, 1)
    assert float(term.distance("relu1_1", seen(far, seed=3))) > 0.01


@pytest.mark.parametrize("kind", ["places", "similarity"])
def test_a_term_of_places_needs_a_layer_only_if_it_has_a_weight(kind: str, narrow_weights: VGGWeights) -> None:
    none: dict[str, Any] = {f"{kind}_layers": ()}
    objective = Objective(**none)
    layers = (*objective.content_layers, *objective.style_layers)
    loss = PerceptualLoss(VGG(narrow_weights, layers), torch.rand(1, 3, 32, 32), objective)
    assert list(loss.terms) == ["content", "style", "tv"]
    with pytest.raises(InputError, match=f"{kind}_weight is 2, but {kind}_layers names no layer") as caught:
        Objective(**{**none, f"{kind}_weight": 2.0})
    assert caught.value.hint == f"Set {kind}_weight to 0, or name a layer in {kind}_layers."


def test_the_tone_of_the_photo_itself_is_zero_and_a_negatives_is_far() -> None:
    photo = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    photo[..., :64] *= 0.1
    assert float(tone_distance(photo, photo)) < 0.005
    assert float(tone_distance(1 - photo, photo)) > 1.9


def test_contrast_is_free_but_for_the_level_of_large_squares() -> None:
    photo = torch.zeros(1, 3, 128, 128)
    photo[..., 64:] = 0.8
    # Half the contrast: the brightness correlates, and levels differ by 0.4 in half of the squares.
    expected = 0.4**2 / 2 / 0.1
    assert float(tone_distance(0.5 * photo, photo)) == pytest.approx(expected, abs=0.01)


def test_forms_within_a_large_square_leave_the_level() -> None:
    photo = torch.full((1, 3, 128, 128), 0.5)
    forms = torch.tensor([0.3, -0.3]).repeat_interleave(32).repeat(2).view(1, 1, 1, 128)
    # A flat photo correlates with nothing; that costs one, whatever is painted.
    assert float(tone_distance(photo + forms, photo)) == pytest.approx(1.0, abs=1e-4)


def test_the_tone_term_says_what_it_needs() -> None:
    with pytest.raises(InputError, match="needs the photo"):
        Tone(NARROW)(Seen(torch.zeros(1, 3, 32, 32), {}))
