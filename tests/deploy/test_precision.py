"""Fewer bits, pixels in and out, fixed sizes: each against the float32 graph."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image as PIL

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import ExportError, VerificationError
from fast_style.export import deploy
from fast_style.export.forms import pixels_in_and_out
from fast_style.export.precision import SMALLEST_PSNR, to_fp16, to_int8
from fast_style.images import Pixels, to_float, to_uint8
from fast_style.model import describe_model
from fast_style.model.checksum import CHECKSUM_KEY
from fast_style.networks import build_network
from fast_style.networks.realtime import Noise
from fast_style.training import load_checkpoint
from tests.deploy.conftest import run, write_checkpoint


def psnr(found: list[NDArray[np.float32]], expected: list[NDArray[np.float32]]) -> float:
    return -10 * float(np.log10(max(np.square(a - b).mean() for a, b in zip(found, expected, strict=True))))


def has_dot_products() -> bool:
    """Whether the processor sums 8-bit products without saturating; assumed where the system does not say."""
    known = Path("/proc/cpuinfo")
    flags = known.read_text() if known.exists() else ""
    return not flags or "vnni" in flags or "asimddp" in flags


@pytest.mark.parametrize(("precision", "least", "share"), [("fp16", 50.0, 0.75), ("int8", 30.0, 0.65)])
def test_reduced_file_is_smaller_and_near_float32_on_photos_it_never_saw(
    precision: str,
    least: float,
    share: float,
    photos: Path,
    painting: Path,
    frames: list[Pixels],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    network = build_network("fast")
    checkpoint = write_checkpoint(tmp_path / "small.ckpt", network, painting, name="fast")
    assert main(["export", str(checkpoint)]) == 0
    model = checkpoint.with_suffix(".onnx")
    capsys.readouterr()
    out = tmp_path / "reduced.onnx"
    command = ["export", str(checkpoint), "-o", str(out), "--precision", precision]
    assert main([*command, "--photos", str(photos)]) == 0
    said = capsys.readouterr().out
    assert f"{precision} against fp32 on 4 held-out photos" in said
    assert "MB (fp32 " in said
    images = [to_float(frame) for frame in frames]
    assert psnr(run(out, images), run(model, images)) >= least - 3  # other photos, other sizes
    if precision == "int8" and not has_dot_products():
        share = 0.85  # sums of two products saturate there, so more convolutions are given back to float
    noise = 4 * Noise.SIDE**2  # bytes; no weights, so an 8-bit file keeps them as they are
    assert out.stat().st_size - noise < share * (model.stat().st_size - noise)
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["precision"] == precision
    assert card["fidelity"]["psnr"] >= least
    metadata = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert metadata["precision"] == precision
    assert json.loads(metadata["paintings"])["small"]["license"] == "CC0"
    assert CHECKSUM_KEY in metadata
    Stylizer(out)


@pytest.mark.parametrize(("precision", "least"), [("fp16", 50.0), ("int8", 27.0)])
def test_a_file_of_several_styles_is_near_float32_in_each(
    precision: str, least: float, two_styles: Path, photos: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    plain, out = tmp_path / "plain.onnx", tmp_path / "reduced.onnx"
    assert main(["export", str(two_styles), "-o", str(plain)]) == 0
    command = ["export", str(two_styles), "-o", str(out), "--precision", precision, "--io", "uint8"]
    assert main([*command, "--photos", str(photos)]) == 0
    assert out.stat().st_size < plain.stat().st_size
    for style in np.eye(2, dtype=np.float32)[:, None]:
        expected = run(plain, [{"image": to_float(frame), "styles": style} for frame in frames])
        found = run(out, [{"image": frame[None], "styles": style} for frame in frames])
        floats = [(picture.transpose(0, 3, 1, 2) / 255).astype(np.float32) for picture in found]
        assert psnr(floats, expected) >= least
    # Read back as a file of ours, with a style by its name.
    assert json.loads(out.with_suffix(".json").read_text())["styles"] == ["one", "other"]


def test_a_style_is_made_smaller_as_a_checkpoint_is(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    command = ["export", "starry-night-tiny", "-o", str(out), "--precision", "fp16", "--photos", str(photos)]
    assert main(command) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["precision"] == "fp16"
    assert card["fidelity"]["psnr"] >= SMALLEST_PSNR["fp16"]
    assert Stylizer(out).style.path == out


def test_fp16_rescales_convolutions_that_would_overflow_exactly(model: Path, frames: list[Pixels]) -> None:
    graph = onnx.load(model)
    normalized = {node.input[0] for node in graph.graph.node if node.op_type == "InstanceNormalization"}
    first = next(node for node in graph.graph.node if node.op_type == "Conv" and node.output[0] in normalized)
    weight = next(tensor for tensor in graph.graph.initializer if tensor.name == first.input[1])
    huge = numpy_helper.to_array(weight) * np.float32(2.0**20)
    weight.CopyFrom(numpy_helper.from_array(huge, weight.name))
    images = [to_float(frame) for frame in frames]
    half = to_fp16(graph, [{"image": image} for image in images])
    stored = next(tensor for tensor in half.graph.initializer if tensor.name == weight.name)
    assert stored.data_type == onnx.TensorProto.FLOAT16
    ratio = huge.astype(np.float64) / numpy_helper.to_array(stored).astype(np.float64).clip(-6e4, 6e4)
    power = np.log2(np.median(ratio))
    assert power == pytest.approx(round(power), abs=1e-3)
    assert psnr(run(half, images), run(graph, images)) >= 50


def test_int8_gives_the_costliest_convolutions_back_to_float_until_it_is_content(
    model: Path, frames: list[Pixels]
) -> None:
    graph = onnx.load(model)
    images = [to_float(frame) for frame in frames]
    expected = run(graph, images)
    tried: list[float] = []

    def accept(candidate: onnx.ModelProto) -> bool:
        tried.append(psnr(run(candidate, images), expected))
        return len(tried) == 4

    quantized, kept, work = to_int8(graph, [{"image": image} for image in images], accept=accept)
    assert len(kept) == 3
    assert 0 < work < 1
    assert tried[-1] > tried[0]
    by_name = {node.name: node for node in quantized.graph.node if node.op_type == "Conv"}
    dequantized = {node.output[0] for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    for name, node in by_name.items():
        # The photo goes into two convolutions: where one is 8-bit, a float one reads it so, too.
        eight_bit = [place in dequantized for place in node.input[:2]]
        assert eight_bit[1] != (name in kept)
        assert eight_bit[0] or name in kept


def test_int8_that_never_suffices_is_an_error(model: Path, frames: list[Pixels]) -> None:
    with pytest.raises(ExportError, match="no convolution of this network can be 8-bit"):
        to_int8(onnx.load(model), [{"image": to_float(frames[0])}], accept=lambda candidate: False)


def test_no_file_is_left_where_the_proof_fails(
    checkpoint: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SMALLEST_PSNR, "fp16", 200.0)
    with pytest.raises(VerificationError, match=r"the fp16 graph is \d+\.\d dB from float32 on the worst of 4 photos"):
        deploy(load_checkpoint(checkpoint), tmp_path / "x.onnx", precision="fp16", photos=photos)
    assert list(tmp_path.iterdir()) == []


def test_pixels_in_and_out_equal_the_rounded_float_graph(model: Path, pixels_model: Path, frames: list[Pixels]) -> None:
    for frame in frames:
        (found,), (stylized,) = run(pixels_model, [frame[None]]), run(model, [to_float(frame)])
        assert found.shape == (1, *frame.shape)
        assert np.abs(found[0].astype(int) - to_uint8(stylized).astype(int)).max() <= 1


def test_the_runtime_takes_our_pixels_graph_and_gives_what_the_float_graph_gives(
    model: Path, pixels_model: Path, frames: list[Pixels]
) -> None:
    pixels, floats = Stylizer(pixels_model, threads=1), Stylizer(model, threads=1)
    for frame in frames:
        assert np.abs(pixels.frame(frame).astype(int) - floats.frame(frame).astype(int)).max() <= 1


def test_the_command_takes_our_pixels_graph(pixels_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert main(["stylize", str(photos / "00.png"), "--style", str(pixels_model), "-o", str(out)]) == 0
    expected = Stylizer(pixels_model)(photos / "00.png")
    np.testing.assert_array_equal(np.asarray(PIL.open(out)), np.asarray(expected))


def test_a_graph_of_one_size_takes_pictures_of_others(checkpoint: Path, tmp_path: Path, frames: list[Pixels]) -> None:
    path = tmp_path / "fixed.onnx"
    assert main(["export", str(checkpoint), "-o", str(path), "--size", "64x48"]) == 0
    stylizer = Stylizer(path, threads=1)
    small = np.asarray(PIL.fromarray(frames[0]).resize((64, 48), PIL.Resampling.LANCZOS))
    given = PIL.fromarray(to_uint8(run(path, [to_float(small)])[0]))
    height, width = frames[0].shape[:2]
    expected = np.asarray(given.resize((width, height), PIL.Resampling.LANCZOS))
    np.testing.assert_array_equal(stylizer.frame(frames[0]), expected)


def test_pixels_graph_keeps_the_original_as_it_was(model: Path) -> None:
    graph = onnx.load(model)
    before = graph.SerializeToString(deterministic=True)
    pixels_in_and_out(graph)
    assert graph.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int8"], "int8 is proved on photos"),
        (["--size", "wide"], "expected WIDTHxHEIGHT"),
        (["--size", "8x640"], "expected at least 16 on each side"),
        (["--precision", "fp16", "--photos", "nowhere"], "nowhere is not a folder of photos"),
    ],
)
def test_bad_arguments_name_what_is_wrong_and_leave_nothing(
    arguments: list[str], message: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(checkpoint), "-o", str(tmp_path / "x.onnx"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_info_shows_metadata_operators_and_cost(pixels_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = describe_model(pixels_model)
    graph = onnx.load(pixels_model)
    assert found["metadata"] == {entry.key: entry.value for entry in graph.metadata_props}
    assert found["metadata"]["layout"] == "NHWC RGB"
    assert CHECKSUM_KEY in found["metadata"]
    assert found["inputs"] == {"image": "uint8 (batch, height, width, 3)"}
    assert sum(found["operators"].values()) == len(graph.graph.node)
    weights = {tensor.name: np.prod(tensor.dims) for tensor in graph.graph.initializer}
    used = [name for node in graph.graph.node if "Conv" in node.op_type for name in node.input[1:]]
    assert found["cost"]["parameters"] == sum(weights[name] for name in used)
    assert main(["info", str(pixels_model)]) == 0
    assert "multiply-adds at 640×480" in capsys.readouterr().out


def test_multiplications_of_one_convolution_are_counted_by_the_formula(tmp_path: Path) -> None:
    make = onnx.helper.make_tensor_value_info
    weight = numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["image", "w"], ["out"], pads=[1, 1, 1, 1], strides=[2, 2])
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [make("image", onnx.TensorProto.FLOAT, [1, 3, 32, 48])],
        [make("out", onnx.TensorProto.FLOAT, None)],
        [weight],
    )
    path = tmp_path / "one.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)
    found = describe_model(path)
    cost = found["cost"]
    assert (cost["width"], cost["height"]) == (48, 32)
    assert cost["parameters"] == 4 * 27
    assert cost["multiplications"] == 16 * 24 * 4 * 27


def test_info_of_something_else_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no model")
    assert main(["info", str(path)]) == 2
    assert "cannot be opened as an ONNX model" in capsys.readouterr().err
