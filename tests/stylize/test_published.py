"""Models as the field publishes them: the conventions of onnx/models' fast_neural_style, at once and as exported later.

One input ``input1`` and one output ``output1``, float 0 to 255, nothing clamped, one fixed size, and the nodes of
Johnson's network: reflecting pads, instance normalization, nearest upsampling.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fast_style.cli.app import main
from fast_style.images import Picture, Pixels, load_image, resize
from tests.conftest import PHOTOS, read_frames
from tests.stylize.test_contract import foreign

SIDE = 224
Weights = dict[str, NDArray[np.float32]]


def random_weights() -> Weights:
    """Five channels at full size and at half; the end is centered on gray and goes beyond 0 and 255."""
    generator = np.random.default_rng(3)
    shapes = {"first": (5, 3, 9, 9), "down": (5, 5, 3, 3), "up": (5, 5, 3, 3), "last": (3, 5, 9, 9)}
    weights = {f"{name}.w": generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {f"{name}.b": np.zeros(shape[0], np.float32) for name, shape in shapes.items()}
    for name in ("first", "down", "up"):
        weights |= {f"{name}.scale": generator.uniform(0.5, 2, 5).astype(np.float32)}
        weights |= {f"{name}.shift": generator.normal(0, 0.3, 5).astype(np.float32)}
    weights["last.w"] *= 60
    weights["last.b"][:] = 127
    return weights


def publish(path: Path, weights: Weights, opset: int) -> Path:
    """Write the graph as exporters of that opset did: pads as an attribute or an input, Upsample or Resize."""
    nodes, constants = [], dict[str, NDArray[np.generic]](weights)

    def pad(source: str, target: str, amount: int) -> None:
        pads = [0, 0, amount, amount, 0, 0, amount, amount]
        if opset < 11:
            nodes.append(helper.make_node("Pad", [source], [target], mode="reflect", pads=pads))
            return
        constants[f"{target}.pads"] = np.array(pads, np.int64)
        nodes.append(helper.make_node("Pad", [source, f"{target}.pads"], [target], mode="reflect"))

    def convolve(source: str, name: str, *, stride: int = 1) -> None:
        kernel = weights[f"{name}.w"].shape[2]
        pad(source, f"{name}.padded", kernel // 2)
        inputs = [f"{name}.padded", f"{name}.w", f"{name}.b"]
        output = "output1" if name == "last" else f"{name}.conv"
        nodes.append(helper.make_node("Conv", inputs, [output], kernel_shape=[kernel] * 2, strides=[stride] * 2))
        if name != "last":
            inputs = [output, f"{name}.scale", f"{name}.shift"]
            nodes.append(helper.make_node("InstanceNormalization", inputs, [f"{name}.norm"], epsilon=1e-5))
            nodes.append(helper.make_node("Relu", [f"{name}.norm"], [name]))

    convolve("input1", "first")
    convolve("first", "down", stride=2)
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32))
    nodes.append(helper.make_node("Constant", [], ["scales"], value=scales))
    if opset < 10:
        nodes.append(helper.make_node("Upsample", ["down", "scales"], ["doubled"], mode="nearest"))
    else:
        constants["roi"] = np.zeros(0, np.float32)
        how = {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"}
        nodes.append(helper.make_node("Resize", ["down", "roi", "scales"], ["doubled"], **how))
    convolve("doubled", "up")
    convolve("up", "last")
    graph = helper.make_graph(
        nodes,
        "torch-jit-export",
        [helper.make_tensor_value_info("input1", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output1", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4 if opset < 11 else 7)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def computed_by_torch(photo: Pixels, weights: Weights) -> Pixels:
    """The same network on an (H, W, 3) photo, clamped and rounded."""
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}

    def convolve(source: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        amount = tensors[f"{name}.w"].shape[2] // 2
        padded = F.pad(source, (amount,) * 4, mode="reflect")
        found = F.conv2d(padded, tensors[f"{name}.w"], tensors[f"{name}.b"], stride=stride)
        if name == "last":
            return found
        return F.instance_norm(found, weight=tensors[f"{name}.scale"], bias=tensors[f"{name}.shift"]).relu()

    image = torch.from_numpy(photo.transpose(2, 0, 1)[None].astype(np.float32))
    half = convolve(convolve(image, "first"), "down", 2)
    out = convolve(convolve(F.interpolate(half, scale_factor=2.0), "up"), "last")
    assert out.min() < 0
    assert out.max() > 255
    pixels: Pixels = (out.clamp(0, 255) + 0.5).floor().byte()[0].permute(1, 2, 0).numpy()
    return pixels


@pytest.mark.parametrize("opset", [9, 11])
def test_a_published_model_paints_a_photo_of_any_size(
    opset: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = random_weights(), tmp_path / "out.png"
    model = publish(tmp_path / "candy.onnx", weights, opset)
    command = ["stylize", str(PHOTOS["chelsea"]), "--style", str(model), "-o", str(out)]
    assert main(command) == 2
    assert "its value range is unknown" in capsys.readouterr().err
    assert main([*command, "--range", "0-255"]) == 0
    photo = load_image(PHOTOS["chelsea"])
    small = resize(photo, (SIDE, SIDE)).pixels
    size = (photo.pixels.shape[1], photo.pixels.shape[0])
    expected = resize(Picture(computed_by_torch(small, weights)), size).pixels
    found = np.asarray(Image.open(out))
    assert found.shape == photo.pixels.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert found.std() > 20


def test_a_webcam_takes_a_model_from_elsewhere(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, out = clips / "carphone_pristine.mp4", tmp_path / "out.mp4"
    model = foreign(tmp_path / "negative.onnx", [1, 3, 144, 176])
    command = ["webcam", "--style", str(model), "--source", str(clip), "--headless", "--seconds", "1.5"]
    assert main([*command, "--record", str(out)]) == 2
    assert "hint: Say which values it takes and gives" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--range", "0-255", "--record", str(out)]) == 0
    negatives = np.stack([255 - frame.planes.astype(int) for frame in read_frames(clip)[:60]])
    frames = read_frames(out)
    assert frames
    for frame in frames[::10]:
        assert np.abs(negatives - frame.planes).mean(axis=(1, 2, 3)).min() < 4


def test_a_webcam_refuses_what_is_no_style(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = foreign(tmp_path / "gray.onnx", [1, 1, 48, 64])
    command = ["webcam", "--style", str(model), "--source", str(make_clip()), "--headless", "--range", "0-255"]
    assert main(command) == 2
    assert "cannot serve as a style: axis 1 of its input holds 1" in capsys.readouterr().err
