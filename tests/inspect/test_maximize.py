from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fast_style.errors import InputError, LayerError, TrainingDivergedError
from fast_style.inspect import Growth, Network, activations, load_network, maximize, scharr
from tests.inspect.small_networks import inside, random_vgg

QUICK = Growth(steps=2, factor=1.25, iterations=4)


@pytest.fixture(scope="module")
def vgg() -> Network:
    return random_vgg("relu3_1")


def rms(network: Network, pictures: Any, layer: str, channel: int) -> float:
    maps = activations(network, torch.as_tensor(pictures), [layer])[layer][:, channel]
    return maps.square().mean().sqrt().item()


def test_scharr_of_a_ramp_is_its_slope() -> None:
    ramp = (torch.arange(6.0) * 0.5).expand(1, 1, 5, 6)
    slopes = scharr(ramp)
    torch.testing.assert_close(slopes[:, 0], torch.full((1, 3, 4), 0.5))
    assert not slopes[:, 1].any()


def test_the_channel_grows_and_the_score_is_its_rms(vgg: Network) -> None:
    result = maximize(vgg, "conv2_1", [3], QUICK)
    noise = maximize(vgg, "conv2_1", [3], replace(QUICK, steps=0, iterations=1, rate=0.0))
    assert result.scores[0] > 3 * noise.scores[0]
    assert result.scores[0] == pytest.approx(rms(vgg, result.pictures, "conv2_1", 3), rel=1e-4)
    assert result.pictures.shape == (1, 3, 44, 44)
    assert result.pictures.min() >= 0
    assert result.pictures.max() <= 1


def test_side_by_side_is_as_alone(vgg: Network) -> None:
    both = maximize(vgg, "conv2_1", [3, 1], replace(QUICK, jitter=2, rotation=5.0))
    alone = maximize(vgg, "conv2_1", [1], replace(QUICK, jitter=2, rotation=5.0))
    np.testing.assert_allclose(both.pictures[1], alone.pictures[0], atol=2e-3)


def test_the_picture_is_always_the_same(vgg: Network) -> None:
    settings = replace(QUICK, jitter=2)
    first, again = (maximize(vgg, "conv2_1", [0], settings).pictures for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_penalties_calm_the_picture(vgg: Network) -> None:
    wild = maximize(vgg, "conv2_1", [3], replace(QUICK, intensity=0.0, edges=0.0)).pictures
    calm = maximize(vgg, "conv2_1", [3], replace(QUICK, intensity=1.0, edges=5.0)).pictures
    assert calm.std() < 0.8 * wild.std()


def test_a_picture_that_becomes_nan_stops_with_the_size_and_the_remedy() -> None:
    network = random_vgg("conv1_2")
    steps = []

    def spoil(done: int, _all: int) -> None:
        steps.append(done)
        if done == 5:
            inside(network).layers["conv1_2"].weight.fill_(float("nan"))

    with pytest.raises(TrainingDivergedError, match="conv1_2 became infinite or NaN at 35 px, step 2") as caught:
        maximize(network, "conv1_2", [3], QUICK, progress=spoil)
    assert steps == [1, 2, 3, 4, 5]
    assert "--rate" in str(caught.value.hint)


def test_a_silent_channel_is_an_error() -> None:
    network = random_vgg("relu1_1")
    inside(network).layers["conv1_1"].bias.fill_(-1e6)
    with pytest.raises(InputError, match="channel 0 of relu1_1 stays silent"):
        maximize(network, "relu1_1", [0], QUICK)


def test_the_default_growth_is_28_px_in_45_steps() -> None:
    assert Growth().sizes[0] == 28
    assert len(Growth().sizes) == 46
    assert Growth().sizes[-1] == 252


@pytest.mark.parametrize(
    "wrong",
    [
        {"factor": 0.5},
        {"rate": float("nan")},
        {"rate": 1e38},
        {"steps": 500},
        {"iterations": 0},
        {"rotation": 270},
    ],
)
def test_settings_out_of_range_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Growth(**wrong)


def test_an_unknown_channel_is_an_error(vgg: Network) -> None:
    with pytest.raises(LayerError, match="conv2_1 has no channel 6"):
        maximize(vgg, "conv2_1", [6], QUICK)


def test_the_packaged_vgg_can_be_maximized_offline() -> None:
    network = load_network("caffe-vgg19", layers=["conv1_1"])
    result = maximize(network, "conv1_1", [5], replace(QUICK, steps=0))
    assert result.scores[0] > 100
