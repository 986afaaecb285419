from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fast_style.errors import InputError
from fast_style.losses import (
    VGG,
    Objective,
    PerceptualLoss,
    VGGWeights,
    content_loss,
    gram_matrix,
    style_loss,
    total_variation,
)

Load = Callable[..., Tensor]
NARROW = Objective(content_layers=("relu2_2",), style_layers=("relu1_1", "relu2_1"))


def loss_for(weights: VGGWeights, objective: Objective, style: Tensor) -> PerceptualLoss:
    layers = (*objective.content_layers, *objective.style_layers)
    return PerceptualLoss(VGG(weights, layers, pooling=objective.pooling), style, objective)


def test_gram_of_constant_features_is_the_product_of_their_values() -> None:
    features = torch.tensor([2.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 4, 5)
    expected = torch.tensor([[[4.0, 6.0], [6.0, 9.0]]]) / 2
    torch.testing.assert_close(gram_matrix(features), expected)


def test_gram_does_not_know_where_things_are() -> None:
    features = torch.rand(1, 5, 6, 7)
    shuffled = features.flatten(2)[..., torch.randperm(42)].view_as(features)
    torch.testing.assert_close(gram_matrix(features), gram_matrix(shuffled))


def test_gram_of_a_batch_equals_each_image_alone() -> None:
    features = torch.rand(3, 4, 5, 6)
    alone = torch.cat([gram_matrix(features[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(gram_matrix(features), alone)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**16))
def test_gram_equals_a_loop_over_positions_in_numpy(n: int, c: int, h: int, w: int, seed: int) -> None:
    features = np.random.default_rng(seed).standard_normal((n, c, h, w)).astype(np.float32)
    expected = np.zeros((n, c, c))
    for y in range(h):
        for x in range(w):
            at = features[:, :, y, x].astype(np.float64)
            expected += at[:, :, None] * at[:, None, :]
    expected /= c * h * w
    np.testing.assert_allclose(gram_matrix(torch.from_numpy(features)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_gram_is_float32_under_autocast() -> None:
    features = torch.rand(1, 8, 16, 16) * 100
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(features)
    assert gram.dtype == torch.float32
    torch.testing.assert_close(gram, gram_matrix(features))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float16, 2e-3)])
def test_gradient_of_gram_is_that_of_the_plain_product(
    kind: torch.dtype, tolerance: float, layout: torch.memory_format
) -> None:
    values = torch.rand(2, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    features = values.to(kind).contiguous(memory_format=layout).requires_grad_()
    weights = torch.rand(2, 6, 6)
    (gram_matrix(features) * weights).sum().backward()
    plain = features.detach().float().requires_grad_()
    rows = plain.flatten(2)
    (rows @ rows.transpose(1, 2) / (6 * 5 * 7) * weights).sum().backward()
    assert features.grad is not None
    assert plain.grad is not None
    assert features.grad.dtype == kind
    assert features.grad.is_contiguous(memory_format=layout)
    torch.testing.assert_close(features.grad.float(), plain.grad, rtol=tolerance, atol=tolerance * 0.05)


def test_constant_image_has_zero_total_variation() -> None:
    assert float(total_variation(torch.full((2, 3, 9, 5), 0.3))) == 0.0


def test_checkerboard_has_total_variation_two() -> None:
    board = ((torch.arange(8)[:, None] + torch.arange(6)) % 2).float().expand(1, 3, 8, 6)
    assert float(total_variation(board)) == pytest.approx(2.0)


def test_ramp_has_the_square_of_its_slope_as_total_variation() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 4, 11)
    assert float(total_variation(ramp)) == pytest.approx(0.01)


def test_one_pixel_has_zero_total_variation() -> None:
    assert float(total_variation(torch.rand(1, 3, 1, 1))) == 0.0


def test_content_loss_is_the_mean_squared_difference() -> None:
    assert float(content_loss(torch.full((1, 2, 3, 3), 5.0), torch.full((1, 2, 3, 3), 2.0))) == pytest.approx(9.0)


def test_style_loss_is_the_squared_frobenius_distance_averaged_over_the_batch() -> None:
    grams = torch.stack([torch.eye(3), torch.zeros(3, 3)])
    assert float(style_loss(grams, torch.zeros(3, 3))) == pytest.approx(1.5)


def test_classic_total_equals_an_independent_numpy_computation(narrow_weights: VGGWeights, load: Load) -> None:
    objective = Objective(
        weighting="classic",
        content_layers=("relu2_2",),
        style_layers=("relu1_1", "relu2_1"),
        style_layer_weights=(3.0, 1.0),
        content_weight=2.0,
        style_weight=50.0,
        tv_weight=0.5,
        strength=2.0,
    )
    style, photo, image = load("coffee", (40, 32)), load("chelsea", (48, 48)), load("astronaut", (48, 48))
    loss = loss_for(narrow_weights, objective, style)
    found = loss(image, loss.content_targets(photo))

    def numpy_gram(features: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        rows = features[0].double().numpy().reshape(features.shape[1], -1)
        return np.asarray(rows @ rows.T / rows.size)

    vgg = loss.vgg
    x, t, s = vgg(image), vgg(photo), vgg(style)
    content = np.mean((x["relu2_2"].numpy() - t["relu2_2"].numpy()) ** 2)
    parts = [np.sum((numpy_gram(x[layer]) - numpy_gram(s[layer])) ** 2) for layer in ("relu1_1", "relu2_1")]
    styles = 0.75 * parts[0] + 0.25 * parts[1]
    pixels = image.numpy()
    tv = np.mean(np.diff(pixels, axis=2) ** 2) + np.mean(np.diff(pixels, axis=3) ** 2)
    assert float(found.values["content"]) == pytest.approx(content, rel=1e-4)
    assert float(found.values["style"]) == pytest.approx(styles, rel=1e-4)
    assert float(found.total) == pytest.approx(2 * content + 2 * 50 * styles + 0.5 * tv, rel=1e-4)


def test_balanced_style_of_raw_photos_is_one(narrow_weights: VGGWeights, load: Load) -> None:
    loss = loss_for(narrow_weights, NARROW, load("coffee", (64, 48)))
    photos = [load(name, (48, 48)) for name in ("chelsea", "astronaut", "rocket")]
    loss.calibrate(photos)
    terms = [loss(photo, loss.content_targets(photo)) for photo in photos]
    assert np.mean([float(term.values["style"]) for term in terms]) == pytest.approx(1.0, rel=1e-4)
    assert np.mean([float(term.values["tv"]) for term in terms]) == pytest.approx(1.0, rel=1e-4)
    assert all(float(term.values["content"]) == 0.0 for term in terms)


def test_balanced_style_of_the_painting_itself_is_zero(narrow_weights: VGGWeights, load: Load) -> None:
    style = load("coffee", (64, 48))
    loss = loss_for(narrow_weights, NARROW, style)
    loss.calibrate([load("chelsea", (48, 48))])
    assert float(loss(style, loss.content_targets(style)).values["style"]) == pytest.approx(0.0, abs=1e-8)


def test_strength_multiplies_the_style_term_alone(narrow_weights: VGGWeights, load: Load) -> None:
    style, photo, image = load("coffee", (48, 48)), load("chelsea", (48, 48)), load("rocket", (48, 48))
    totals = []
    for strength in (0.0, 1.0, 3.0):
        loss = loss_for(
            narrow_weights,
            Objective(strength=strength, content_layers=NARROW.content_layers, style_layers=NARROW.style_layers),
            style,
        )
        loss.calibrate([photo])
        totals.append(float(loss(image, loss.content_targets(photo)).total))
    assert totals[2] - totals[0] == pytest.approx(3 * (totals[1] - totals[0]), rel=1e-4)


def test_gradients_reach_the_image_and_nothing_else(narrow_weights: VGGWeights, load: Load) -> None:
    loss = loss_for(narrow_weights, NARROW, load("coffee", (48, 48)))
    photo = load("chelsea", (48, 48))
    loss.calibrate([photo])
    image = photo.clone().requires_grad_()
    targets = loss.content_targets(photo)
    loss(image, targets).total.backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())
    assert not any(target.requires_grad for target in targets.values())
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}


def test_balanced_without_calibration_says_what_to_do(narrow_weights: VGGWeights, load: Load) -> None:
    loss = loss_for(narrow_weights, NARROW, load("coffee", (48, 48)))
    photo = load("chelsea", (48, 48))
    with pytest.raises(InputError, match="no units yet"):
        loss(photo, loss.content_targets(photo))


def test_a_flat_painting_on_flat_photos_stays_finite(narrow_weights: VGGWeights) -> None:
    flat = torch.full((1, 3, 32, 32), 0.5)
    loss = loss_for(narrow_weights, NARROW, flat)
    loss.calibrate([flat])
    assert bool(torch.isfinite(loss(flat, loss.content_targets(flat)).total))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_must_be_numbers_from_zero_up(weight: float) -> None:
    with pytest.raises(InputError, match="expected a number from 0 up"):
        Objective(style_weight=weight)


def test_layer_weights_must_match_the_layers() -> None:
    with pytest.raises(InputError, match="2 style layer weights"):
        Objective(style_layers=("relu1_1",), style_layer_weights=(1.0, 2.0))


def test_features_at_hand_give_the_same_score(narrow_weights: VGGWeights) -> None:
    objective = Objective(content_layers=("relu2_2",), style_layers=("relu1_1",))
    loss = PerceptualLoss(VGG(narrow_weights, ["relu2_2"]), torch.rand(1, 3, 32, 32), objective)
    loss.calibrate([torch.rand(1, 3, 32, 32)])
    image, targets = torch.rand(1, 3, 32, 32), loss.content_targets(torch.rand(1, 3, 32, 32))
    assert loss(image, targets, features=loss.features(image)).total == loss(image, targets).total
