from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import Permute

from fast_style.errors import ImageError, InputError, LayerError, WeightsError
from fast_style.inspect import Growth, Network, activations, catch, find_layers, grad_cam, load_network, maximize
from tests.inspect.small_networks import LABELS, inside, network, pooled, random_vgg


def hook_count(network: Network) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.module.modules())


def test_an_in_place_relu_does_not_change_what_was_caught() -> None:
    network = pooled()
    image = torch.rand(1, 3, 4, 4)
    caught = activations(network, image, ["conv"])["conv"]
    assert caught.min() < 0  # a ReLU has run behind it in other runs
    with catch(find_layers(network, ["conv", "relu"])) as both:
        network(image)
    torch.testing.assert_close(both["conv"], inside(network).conv(image))
    torch.testing.assert_close(both["relu"], both["conv"].relu())


def test_catching_does_not_change_the_result() -> None:
    network = pooled()
    image = torch.rand(2, 3, 4, 4)
    expected = network(image)
    with catch(network.layers):
        torch.testing.assert_close(network(image), expected)


def test_hooks_are_gone_after_success_and_after_an_error() -> None:
    network = pooled()
    activations(network, torch.rand(1, 3, 4, 4), ["conv"])
    assert hook_count(network) == 0
    with catch(network.layers):
        assert hook_count(network) == 4
    with pytest.raises(ImageError), catch(network.layers):
        network(torch.rand(1, 5, 4, 4))  # five channels
    assert hook_count(network) == 0


def test_nothing_deeper_than_the_layer_runs() -> None:
    network = pooled()
    inside(network).fc.register_forward_hook(lambda *_: pytest.fail("ran too deep"))
    activations(network, torch.rand(1, 3, 4, 4), ["relu"])


def test_a_batch_gives_each_picture_what_it_gives_alone() -> None:
    network = random_vgg("relu3_1")
    images = torch.rand(3, 3, 16, 16)
    together = activations(network, images, ["relu3_1"])["relu3_1"]
    alone = torch.cat([activations(network, image[None], ["relu3_1"])["relu3_1"] for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_unknown_layer_suggests_the_nearest_name() -> None:
    with pytest.raises(LayerError, match="did you mean 'conv'"):
        activations(pooled(), torch.rand(1, 3, 4, 4), ["convv"])
    with pytest.raises(LayerError, match="did you mean 'relu3_1'"):
        load_network("caffe-vgg19", layers=["relu3_9_1"])


def test_a_layer_without_positions_says_so() -> None:
    with pytest.raises(LayerError, match=r"no map: its output is \(1, 3\)"):
        activations(pooled(), torch.rand(1, 3, 4, 4), ["fc"])


@pytest.mark.parametrize("sides", [(8, 8), (8, 16)])
def test_positions_are_not_taken_for_channels(sides: tuple[int, int]) -> None:
    inward, outward = Permute([0, 2, 3, 1]), Permute([0, 3, 1, 2])
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, len(LABELS)))
    last = network(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(inward, nn.LayerNorm(4)), outward, head))
    image = torch.rand(1, 3, *sides)
    looks: list[Callable[[str], object]] = [
        lambda layer: activations(last, image, [layer]),
        lambda layer: grad_cam(last, image, [0], layer=layer),
        lambda layer: maximize(last, layer, [0], growth=Growth(steps=1, iterations=1)),
    ]
    for look in looks:
        with pytest.raises(
            LayerError, match=r"layer '1' of small has no map: its output is \(1, 8, 8, 4\), not N C H W"
        ):
            look("1")
        look("2")


def test_unknown_network_suggests_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'googlenet'"):
        load_network("goglenet")


def test_weights_that_cannot_be_downloaded_name_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))

    def offline(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(WeightsError, match="weights of squeezenet1_1: no route") as caught:
        load_network("squeezenet1_1")
    assert "efficientnet-lite0" in str(caught.value.hint)


def test_weights_in_torchvisions_cache_are_used_and_code_in_them_is_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[1]
    cached.parent.mkdir()
    model = squeezenet1_1()
    torch.save(model.state_dict(), cached)
    network = load_network("squeezenet1_1")
    torch.testing.assert_close(inside(network).features[0].weight, model.features[0].weight.detach())
    assert network.labels[283] == "Persian cat"
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    torch.save(model, cached)  # a whole module: reading it would run code
    with pytest.raises(WeightsError):
        load_network("squeezenet1_1")


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(WeightsError, match="efficientnet-lite0") as caught:
        load_network("efficientnet-lite0")
    assert "[train,inspect]" in str(caught.value.hint)
