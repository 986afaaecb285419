import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.errors import InputError, LayerError
from fast_style.images import Picture, load_image
from fast_style.inspect import Network, classify, find_class, grad_cam, last_convolution, load_network
from tests.inspect.small_networks import CAT, inside, network, pooled, random_vgg


@pytest.fixture(scope="module")
def lite0() -> Network:
    return load_network("efficientnet-lite0")


@pytest.fixture(scope="module")
def cat(lite0: Network) -> Tensor:
    return lite0.class_input(load_image(CAT))


def test_a_cat_is_a_cat(lite0: Network, cat: Tensor) -> None:
    (classes,) = classify(lite0, cat, top=3)
    assert {prediction.label for prediction in classes} == {"Egyptian cat", "tiger cat", "tabby"}
    assert classes[0].probability > classes[1].probability > classes[2].probability


def test_probabilities_are_the_softmax() -> None:
    small = pooled()
    images = torch.rand(2, 3, 4, 4)
    rows = classify(small, images, top=99)
    for row, scores in zip(rows, small(images).numpy(), strict=True):
        expected = np.exp(scores) / np.exp(scores).sum()
        assert [p.probability for p in row] == pytest.approx(sorted(expected, reverse=True))
        assert [p.index for p in row] == list(np.argsort(-expected))


def test_a_class_is_found_by_number_and_by_name_however_written() -> None:
    assert find_class(pooled(), "1") == 1
    assert find_class(pooled(), "Green_Mamba") == 2
    with pytest.raises(InputError, match="did you mean 'right'"):
        find_class(pooled(), "rihgt")
    with pytest.raises(InputError, match="no class 3; its classes are 0 to 2"):
        find_class(pooled(), "3")


def test_a_network_without_classes_says_so() -> None:
    with pytest.raises(InputError, match="has no classes"):
        classify(random_vgg("relu1_1"), torch.rand(1, 3, 8, 8))


def test_a_panorama_is_not_blown_up(lite0: Network) -> None:
    shape = lite0.class_input(Picture(np.zeros((1, 3000, 3), np.uint8))).shape
    assert shape == (1, 3, 224, 896)


def test_grad_cam_equals_the_closed_form() -> None:
    # score_c = Σ_k w_ck mean(relu(a_k)): the slope at relu is w_ck / (h·w) everywhere.
    small = pooled(channels=5)
    images = torch.rand(2, 3, 4, 6)
    found = grad_cam(small, images, [0, 2], layer="relu")
    features = inside(small).conv(images).relu().numpy()
    heat = np.maximum(np.einsum("ck,nkhw->nchw", inside(small).fc.weight.numpy()[[0, 2]], features), 0)
    expected = heat / np.maximum(heat.max(axis=(2, 3), keepdims=True), 1e-30)
    np.testing.assert_allclose(found.upsampled, expected, atol=1e-6)


def test_grad_cam_leaves_no_gradient_and_the_picture_alone() -> None:
    small = pooled()
    image = torch.rand(1, 3, 4, 4)
    before = image.clone()
    grad_cam(small, image, [0])
    assert image.grad is None
    assert not image.requires_grad
    assert all(parameter.grad is None for parameter in small.module.parameters())
    torch.testing.assert_close(image, before)


def test_a_class_nothing_speaks_for_has_no_heat() -> None:
    small = pooled()
    inside(small).fc.weight.data[0] = -1.0
    assert not grad_cam(small, torch.rand(1, 3, 4, 4), [0], layer="relu").upsampled.any()


def test_grad_cam_agrees_with_torchcam_on_a_photo(lite0: Network, cat: Tensor) -> None:
    from torchcam.methods import GradCAM

    ours = grad_cam(lite0, cat, [285, 281], layer="_blocks.14").upsampled[0]
    model = load_network("efficientnet-lite0").module.requires_grad_(True)
    for index, heat in zip([285, 281], ours, strict=True):
        with GradCAM(model, target_layer="_blocks.14") as theirs:
            scores = model(lite0.preprocess(cat))
            reference = theirs(index, scores, normalized=False)[0].detach().clamp_min(0)
        expected = F.interpolate((reference / reference.max())[None], size=heat.shape, mode="bilinear")[0, 0]
        np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_the_default_layer_is_the_last_convolution(lite0: Network, cat: Tensor) -> None:
    assert last_convolution(lite0, cat) == "_conv_head"
    assert last_convolution(pooled(), torch.rand(1, 3, 4, 4)) == "conv"


def test_the_default_layer_is_the_block_that_joins_branches() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)

        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([self.one(image), self.two(image)], dim=1)

    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    small = network(nn.Sequential(Joined(), head))
    assert last_convolution(small, torch.rand(1, 3, 4, 4)) == "0"


def test_a_layer_the_scores_do_not_see_is_an_error() -> None:
    small = pooled()
    with pytest.raises(LayerError, match="has no map"):
        grad_cam(small, torch.rand(1, 3, 4, 4), [0], layer="fc")
