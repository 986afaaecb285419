from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.export import network_from_onnx
from fast_style.networks import (
    NETWORKS,
    JohnsonNetwork,
    RealtimeNetwork,
    build_network,
    restore_network,
)
from fast_style.networks.realtime import Noise, SmoothShuffle, initialize_smooth_shuffle
from fast_style.styles.catalog import find_style

Load = Callable[..., Tensor]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_every_one_of_its_weights(name: str) -> None:
    network = build_network(name)
    network(torch.rand(2, 3, 48, 40)).square().sum().backward()
    untouched = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert untouched == []


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["fast", "tiny", "johnson"]), st.integers(16, 70), st.integers(16, 70), st.integers(1, 2))
def test_output_size_is_input_size_from_16_px_up(name: str, height: int, width: int, batch: int) -> None:
    with torch.no_grad():
        out = build_network(name)(torch.rand(batch, 3, height, width))
    assert out.shape == (batch, 3, height, width)
    assert bool(torch.isfinite(out).all())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_stylized_as_each_photo_alone(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name).eval()
    images = torch.rand(2, 3, 40, 56)
    with torch.no_grad():
        alone = torch.cat([network(images[:1]), network(images[1:])])
        torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["fast", "tiny", "fine"])
def test_an_untrained_realtime_network_gives_a_smooth_picture_without_a_grid(name: str, load: Load) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        out = build_network(name)(load("astronaut", (128, 128))).mean(1)[0]
    # Steps across the borders of the 4-px cells that the pixel shuffle makes must be no larger than within.
    steps = (out[:, 1:] - out[:, :-1]).abs().mean(0)
    across, within = steps[3::4].mean(), torch.stack([steps[0::4][:31], steps[1::4][:31], steps[2::4][:31]]).mean()
    assert float(across / within) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("name", ["fast", "tiny"])
def test_noise_keeps_a_flat_photo_from_becoming_a_lattice(name: str) -> None:
    torch.manual_seed(0)
    # In double precision: normalizations of a flat picture enlarge what rounding leaves, on some processors much of it.
    network = build_network(name).eval().double()
    flat = torch.full((1, 3, 256, 256), 0.5, dtype=torch.float64)
    with torch.no_grad():
        noisy = cells(network(flat))
        for layer in network.modules():
            if isinstance(layer, Noise):
                layer.scale.zero_()
        without = cells(network(flat))
    assert without.std(0).max() < 1e-4
    assert noisy.std(0).min() > 1e-3


def cells(picture: Tensor) -> Tensor:
    """The 8-px cells of the middle of a picture, (cells, values)."""
    middle = picture[..., 96:160, 96:160].unfold(2, 8, 8).unfold(3, 8, 8)
    return middle.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1)


def test_weights_are_restored_as_they_were() -> None:
    network = build_network("tiny").eval()
    image = torch.rand(1, 3, 40, 48)
    with torch.no_grad():
        assert torch.equal(restore_network("tiny", network.state_dict()).eval()(image), network(image))


@pytest.mark.parametrize(
    "lost", ["down.conv.weight", "stem.conv.weight", "end.photo.weight", "blocks.1.widen.norm.bias"]
)
def test_weights_with_a_layer_missing_are_not_restored(lost: str) -> None:
    weights = build_network("tiny").state_dict()
    del weights[lost]
    with pytest.raises(RuntimeError, match="Missing key"):
        restore_network("tiny", weights)


@pytest.mark.parametrize("shape", [(3,), (1_000_000, 1_000_000, 3, 3)], ids=["one axis", "too large"])
@pytest.mark.parametrize("layer", ["down.conv.weight", "end.head.weight"])
def test_weights_of_a_shape_that_the_network_does_not_have_are_refused(layer: str, shape: tuple[int, ...]) -> None:
    weights = build_network("tiny").state_dict()
    weights[layer] = torch.zeros(1).expand(shape)
    with pytest.raises(RuntimeError, match="size mismatch"):
        restore_network("tiny", weights)


def test_the_half_size_end_follows_the_photo_by_2_px() -> None:
    # A shuffle by 4 alone can follow by 4 px only. From flat features, only the photo tells where the bar is.
    end = RealtimeNetwork(quarter=8, eighth=16, blocks=1, half=6).end

    def draw(column: int) -> Tensor:
        photo = torch.zeros(1, 3, 16, 48)
        photo[..., column : column + 6] = 1.0
        with torch.no_grad():
            drawn: Tensor = end(torch.zeros(1, 8, 4, 12), photo)
        return drawn

    first, moved = draw(18), draw(20)
    assert not torch.allclose(first, moved, atol=1e-3)
    torch.testing.assert_close(moved[..., 10:40], first[..., 8:38], rtol=1e-4, atol=1e-5)


def test_noise_lies_still_in_the_whole_picture() -> None:
    noise = Noise(3, 0.5)
    whole = noise(torch.zeros(1, 3, 160, 160))
    for row, column in ((5, 60), (70, 0), (64, 128)):
        tile = noise(torch.zeros(1, 3, 30, 30), (row, column))
        assert torch.equal(tile, whole[..., row : row + 30, column : column + 30])


def test_pixels_are_put_in_place_as_a_pixel_shuffle_puts_them_and_filtered() -> None:
    features = torch.randn(2, 12, 9, 11)
    taps = torch.tensor([-1.0, 5, 5, -1]) / 8
    kernel = torch.outer(taps, taps).expand(3, 1, 4, 4)
    expected = F.conv2d(F.pad(F.pixel_shuffle(features, 2), (1,) * 4), kernel, groups=3)
    torch.testing.assert_close(SmoothShuffle()(features)[..., :-1, :-1], expected)


def test_flat_features_become_a_flat_picture() -> None:
    features = torch.randn(1, 12, 1, 1).expand(1, 12, 9, 11)
    inside = SmoothShuffle()(features)[..., 2:-3, 2:-3]
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))


# Levels of 255: 11.4, 14.6 and 20.9; where nothing is around the features 13.9, 17.0 and 25.5.
@pytest.mark.parametrize(("style", "most"), [("great-wave", 12.6), ("udnie", 15.8), ("wheat-field-tiny", 23.2)])
def test_a_shipped_style_paints_up_to_the_border_as_if_the_photo_went_on(style: str, most: float, load: Load) -> None:
    network = network_from_onnx(find_style(style).path)
    photo, more, rim = load("chelsea", (448, 320)), 136, 48
    with torch.no_grad():
        picture = network(photo)
        around = network(
            F.pad(photo, (more,) * 4, mode="reflect"), ((-more // 8, -more // 8), (-more // 4, -more // 4))
        )
    difference = (picture - around[..., more:-more, more:-more]).abs().mean(1)
    outer = torch.ones_like(difference, dtype=torch.bool)
    outer[..., rim:-rim, rim:-rim] = False
    assert 255 * difference[outer].mean() < most


def test_a_place_in_the_noise_leaves_no_trace_in_the_network() -> None:
    network = build_network("tiny").eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = network(image)
        moved = network(image, network.random_places(np.random.default_rng(0)))
        assert not torch.allclose(moved, before, atol=1e-3)
        assert torch.equal(network(image), before)


def test_training_moves_each_map_of_noise_by_itself() -> None:
    random, features = np.random.default_rng(5), torch.zeros(1, 3, 64, 64)
    coarse, fine = (tuple(random.integers(0, 64, 2).tolist()) for _ in range(2))
    places = build_network("fast").random_places(np.random.default_rng(5))
    noise = Noise(3, 0.5)
    for shift, origin in zip((coarse, fine), places, strict=True):
        assert torch.equal(noise(features, origin), noise(features).roll(shift, (2, 3)))


def test_noise_repeats_over_large_pictures() -> None:
    noise = Noise(2, 0.5)
    wide = noise(torch.zeros(1, 2, 70, 150))
    torch.testing.assert_close(wide[..., 64:, :], wide[..., :6, :])
    torch.testing.assert_close(wide[..., 128:], wide[..., :22])


def test_smooth_shuffle_upsamples_a_ramp_into_a_ramp() -> None:
    conv = nn.Conv2d(1, 4, 3, padding=1)
    torch.manual_seed(0)
    initialize_smooth_shuffle(conv)
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    with torch.no_grad():
        out = nn.functional.pixel_shuffle(conv(ramp), 2)[0, 0]
    inner = out[4:-4, 4:-4]
    slopes = inner[:, 1:] - inner[:, :-1]
    torch.testing.assert_close(slopes, slopes[:1, :1].expand_as(slopes), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", NETWORKS)
def test_instance_normalizations_begin_without_scale_and_shift_and_equal_their_formula(name: str) -> None:
    layers = [layer for layer in build_network(name).modules() if isinstance(layer, nn.InstanceNorm2d)]
    assert layers
    for layer in layers:
        assert bool((layer.weight == 1).all())
        assert bool((layer.bias == 0).all())
        layer.weight.normal_()
        layer.bias.normal_()
        x = torch.rand(2, len(layer.weight), 5, 7)
        mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), keepdim=True, correction=0)
        scale, shift = (values[:, None, None] for values in (layer.weight, layer.bias))
        torch.testing.assert_close(layer(x), (x - mean) / (var + 1e-5).sqrt() * scale + shift)


class ExamplesTransformerNet(nn.Module):
    """What pytorch/examples' fast_neural_style computes, written from its layer table: RGB 0-255 in and out."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.state = state

    def conv(self, x: Tensor, name: str, kernel: int, stride: int = 1) -> Tensor:
        x = nn.functional.pad(x, (kernel // 2,) * 4, mode="reflect")
        return nn.functional.conv2d(x, self.state[f"{name}.conv2d.weight"], self.state[f"{name}.conv2d.bias"], stride)

    def norm(self, x: Tensor, name: str) -> Tensor:
        return nn.functional.instance_norm(x, weight=self.state[f"{name}.weight"], bias=self.state[f"{name}.bias"])

    def forward(self, x: Tensor) -> Tensor:
        for index, (kernel, stride) in enumerate([(9, 1), (3, 2), (3, 2)], 1):
            x = self.norm(self.conv(x, f"conv{index}", kernel, stride), f"in{index}").relu()
        for index in range(1, 6):
            y = self.norm(self.conv(x, f"res{index}.conv1", 3), f"res{index}.in1").relu()
            x = x + self.norm(self.conv(y, f"res{index}.conv2", 3), f"res{index}.in2")
        for index in (1, 2):
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.norm(self.conv(x, f"deconv{index}", 3), f"in{index + 3}").relu()
        return self.conv(x, "deconv3", 9)


def test_johnson_computes_what_pytorch_examples_computes(load: Load) -> None:
    torch.manual_seed(0)
    network = JohnsonNetwork()
    state = {name: values.clone() for name, values in network.state_dict().items()}
    state["conv1.conv2d.weight"] /= 255  # theirs takes and gives 0 to 255
    state["deconv3.conv2d.weight"] *= 255
    state["deconv3.conv2d.bias"] *= 255
    photo = load("chelsea", (64, 48))
    with torch.no_grad():
        expected = ExamplesTransformerNet(state)(photo * 255)
        found = network(photo) * 255
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0.05)


def test_an_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="no network 'fats'; did you mean 'fast'"):
        build_network("fats")
