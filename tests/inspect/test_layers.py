from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fast_style.errors import ImageError, InputError
from fast_style.images import load_image, resize
from fast_style.inspect import gram_differences, layer_table, load_network, to_tensor
from tests.inspect.small_networks import CAT, inside, network, random_vgg


def test_vgg19_has_the_known_sizes() -> None:
    rows = {row.name: row for row in layer_table(load_network("caffe-vgg19"), size=64)}
    assert list(rows)[:3] == ["conv1_1", "relu1_1", "conv1_2"]
    assert rows["conv4_1"].shape == (512, 8, 8)
    assert rows["conv4_1"].parameters == 256 * 512 * 9 + 512
    assert rows["conv4_1"].macs == 256 * 512 * 9 * 8 * 8
    # Receptive fields of VGG-19: each 3x3 convolution adds twice the step, each pooling the step.
    fields = {"conv1_1": 3, "conv1_2": 5, "pool1": 6, "conv2_1": 10, "conv3_1": 24, "pool5": 268}
    assert {name: rows[name].receptive_field for name in fields} == {n: (f, f) for n, f in fields.items()}


def test_resnet18_has_the_known_figures_and_needs_no_download() -> None:
    table = layer_table(load_network("resnet18", pretrained=False), size=224)
    rows = {row.name: row for row in table}
    assert rows["layer4"].receptive_field == (435, 435)  # Araujo et al. 2019, for the same network
    assert rows["avgpool"].receptive_field is None
    top = [row for row in table if "." not in row.name]
    assert sum(row.macs for row in top) == 1_814_073_344
    assert sum(row.parameters for row in top) == 11_689_512


def test_the_widest_branch_decides() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(3, 4, (1, 7), padding=(0, 3))
            self.tall = nn.Conv2d(3, 4, (5, 1), padding=(4, 0), dilation=(2, 1))

        def forward(self, image: Tensor) -> Tensor:
            out: Tensor = self.wide(image) + self.tall(image)
            return out

    small = network(nn.Sequential(Branches(), nn.MaxPool2d(2)))
    rows = {row.name: row.receptive_field for row in layer_table(small, size=16)}
    assert rows == {"0.wide": (7, 1), "0.tall": (1, 9), "0": (7, 9), "1": (8, 10)}


def test_a_photo_is_no_different_from_itself_and_all_different_from_black() -> None:
    vgg = random_vgg("relu3_1")
    photo = torch.rand(1, 3, 32, 32)
    assert set(gram_differences(vgg, photo, photo).values()) == {0.0}
    assert list(gram_differences(vgg, photo, photo)) == ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]
    gray = torch.full_like(photo, 0.5)  # the mean the small network subtracts: nothing answers, and no bias
    assert gram_differences(vgg, photo, gray)["relu1_1"] == pytest.approx(1.0)


def test_gram_differences_follow_the_formula() -> None:
    small = network(nn.Sequential(nn.Conv2d(3, 2, 1)), labels=())
    a, b = torch.rand(1, 3, 5, 5), torch.rand(1, 3, 7, 4)
    grams = []
    for image in (a, b):
        rows = inside(small)(image)[0].flatten(1).double()
        grams.append(rows @ rows.T / rows.numel())
    expected = (grams[0] - grams[1]).square().sum() / (grams[0].square().sum() + grams[1].square().sum())
    assert gram_differences(small, a, b, ["0"])["0"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_shrunk_painting_differs_from_itself_most_in_deep_layers() -> None:
    vgg = load_network("caffe-vgg19", layers=["relu5_1"])
    painting = load_image(CAT)
    large, small = (to_tensor(resize(painting, size).pixels) for size in ((240, 160), (120, 80)))
    found = gram_differences(vgg, large, small, ["relu1_1", "relu5_1"])
    assert found["relu1_1"] < 0.05 < found["relu5_1"]


def test_sizes_that_cannot_be_are_errors() -> None:
    with pytest.raises(InputError, match="size is 0"):
        layer_table(random_vgg("relu1_1"), size=0)
    with pytest.raises(ImageError, match="too small"):
        layer_table(random_vgg("relu3_1"), size=2)
