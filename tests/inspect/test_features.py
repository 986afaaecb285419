import numpy as np
import pytest
import torch

from fast_style.errors import InputError
from fast_style.inspect import feature_maps, normalize_maps, rank_channels
from tests.inspect.small_networks import inside, pooled

MAPS = np.array([[[0, 1], [2, 4]], [[10, 10], [10, 10]], [[-1, 0], [0, 3]]], dtype=np.float32)


def test_feature_maps_are_the_convolution() -> None:
    network = pooled()
    image = torch.rand(2, 3, 4, 5)
    maps = feature_maps(network, image, "conv")["conv"]
    weight, bias = inside(network).conv.weight[:, :, 0, 0].numpy(), inside(network).conv.bias.numpy()
    expected = np.einsum("oc,nchw->nohw", weight, image.numpy()) + bias[:, None, None]
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_each_map_is_stretched_alone_and_a_constant_one_is_zero() -> None:
    scaled = normalize_maps(MAPS)
    np.testing.assert_allclose(scaled[0], MAPS[0] / 4)
    assert not scaled[1].any()
    np.testing.assert_allclose(scaled[2], [[0, 0.25], [0.25, 1]])


def test_activations_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(InputError, match="not finite"):
        normalize_maps(np.full((1, 2, 2), np.nan, dtype=np.float32))


def test_channels_are_ranked_by_mean_activation() -> None:
    assert rank_channels(MAPS) == [1, 0, 2]
