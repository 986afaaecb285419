"""Other people's runtimes take the exported files and paint the same pictures, at three sizes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fast_style.cli import main
from fast_style.export.precision import Image
from fast_style.images import Pixels, to_float
from fast_style.model.table import without_defaults
from fast_style.styles.catalog import find_style
from tests.deploy.conftest import SIZES, run

ROOT = Path(__file__).parents[2]
# `npm install` in this folder brings onnxruntime-web for Node.
NODE_FOLDER = Path(__file__).parent


@pytest.fixture(params=["model", "painter", "grounded"])
def any_size(request: pytest.FixtureRequest) -> Path:
    """A float file for pictures of any size, and two that paint in passes by themselves, one over a ground."""
    path: Path = request.getfixturevalue(request.param)
    return path


def test_opencv_paints_the_same(any_size: Path, frames: list[Pixels]) -> None:
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("only OpenCV 5 has been seen to take graphs that compute sizes")
    network = cv2.dnn.readNetFromONNX(str(any_size))
    for frame, expected in zip(frames, run(any_size, map(to_float, frames)), strict=True):
        network.setInput(to_float(frame))
        np.testing.assert_allclose(network.forward(), expected, atol=1e-4)


@pytest.fixture(
    scope="module",
    params=[(size, 1, "none") for size in SIZES] + [(SIZES[1], 3, "none"), (SIZES[1], 3, "panes")],
    ids=str,
)
def one_size(
    request: pytest.FixtureRequest, checkpoint: Path, frames: list[Pixels], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Image]:
    """A file of one size, and a photo of that size; the last two paint in passes by themselves, one over a ground."""
    (width, height), passes, ground = request.param
    path = tmp_path_factory.mktemp("fixed") / "fixed.onnx"
    command = ["export", str(checkpoint), "-o", str(path), "--size", f"{width}x{height}", "--passes", str(passes)]
    assert main([*command, "--ground", ground]) == 0
    return path, to_float(frames[SIZES.index((width, height))])


def test_opencv_takes_a_fixed_size(one_size: tuple[Path, Image]) -> None:
    cv2 = pytest.importorskip("cv2")
    path, photo = one_size
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(photo)
    # Passes magnify what rounding makes of one.
    np.testing.assert_allclose(network.forward(), run(path, [photo])[0], atol=5e-4)


def test_openvino_paints_the_same(any_size: Path, frames: list[Pixels]) -> None:
    openvino = pytest.importorskip("openvino")
    # Its own choice is bfloat16 where the CPU has it: faster, and up to 0.02 away.
    compiled = openvino.Core().compile_model(str(any_size), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for frame, expected in zip(frames, run(any_size, map(to_float, frames)), strict=True):
        np.testing.assert_allclose(compiled({0: to_float(frame)})[0], expected, atol=1e-4)


@pytest.fixture
def chosen(tmp_path: Path) -> tuple[Path, dict[str, NDArray[np.float32]], list[NDArray[np.float32]]]:
    """The ten styles as a graph that must be told which, what it is told, and what it is to paint."""
    content = find_style("ten").path.read_bytes()
    path = tmp_path / "told.onnx"
    path.write_bytes(without_defaults(content))
    weights = np.zeros((1, 10), np.float32)
    weights[0, [4, 7]] = 0.4, 0.6
    told = {"image": np.random.default_rng(0).random((1, 3, 60, 83), np.float32), "styles": weights}
    return path, told, run(find_style("ten").path, [told])


def test_openvino_takes_styles(
    chosen: tuple[Path, dict[str, NDArray[np.float32]], list[NDArray[np.float32]]],
) -> None:
    openvino = pytest.importorskip("openvino")
    path, told, (expected,) = chosen
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled(told)[0], expected, atol=1e-4)


def test_opencv_takes_styles(
    chosen: tuple[Path, dict[str, NDArray[np.float32]], list[NDArray[np.float32]]],
) -> None:
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("only OpenCV 5 has been seen to take graphs that compute sizes")
    path, told, (expected,) = chosen
    network = cv2.dnn.readNetFromONNX(str(path))
    for name, values in told.items():
        network.setInput(values, name)
    np.testing.assert_allclose(network.forward(), expected, atol=1e-4)


def test_ncnn_paints_the_same_with_a_fixed_size(one_size: tuple[Path, Image]) -> None:
    ncnn = pytest.importorskip("ncnn")
    pnnx = Path(sys.executable).with_name("pnnx")
    if not pnnx.exists():
        pytest.skip("pnnx, which converts for ncnn, is not installed")
    path, image = one_size
    subprocess.run([pnnx, path.name, "fp16=0"], cwd=path.parent, check=True, capture_output=True)
    network = ncnn.Net()
    for option in ("use_fp16_storage", "use_fp16_packed", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(network.opt, option, False)
    assert network.load_param(str(path.with_name("fixed.ncnn.param"))) == 0
    assert network.load_model(str(path.with_name("fixed.ncnn.bin"))) == 0
    extractor = network.create_extractor()
    # A Mat borrows numpy's memory, so it is copied; ncnn aligns each channel, so the copy also pads.
    extractor.input("in0", ncnn.Mat(image[0]).clone())
    status, found = extractor.extract("out0")
    assert status == 0
    # An eighth of a level: how sums are rounded depends on the processor, and each pass magnifies it.
    np.testing.assert_allclose(np.array(found), run(path, [image])[0][0], atol=5e-4)


@pytest.mark.parametrize("passes", [1, 3])
def test_onnxruntime_web_in_node_paints_the_same(
    passes: int, pixels_model: Path, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not (NODE_FOLDER / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("needs Node.js and 'npm install' in tests/deploy")
    if passes > 1:
        pixels_model = tmp_path / "passes.onnx"
        assert main(["export", str(model), "-o", str(pixels_model), "--io", "uint8", "--passes", str(passes)]) == 0
    jobs = []
    for number, frame in enumerate(frames):
        (tmp_path / f"{number}.in").write_bytes(frame.tobytes())
        jobs.append(
            {"in": str(tmp_path / f"{number}.in"), "out": str(tmp_path / f"{number}.out"), "dims": [1, *frame.shape]}
        )
    subprocess.run([node, NODE_FOLDER / "stylize.mjs", pixels_model, json.dumps(jobs)], check=True, timeout=600)
    for number, (frame, expected) in enumerate(
        zip(frames, run(pixels_model, [frame[None] for frame in frames]), strict=True)
    ):
        found = np.frombuffer((tmp_path / f"{number}.out").read_bytes(), np.uint8).reshape(frame.shape)
        assert np.abs(found.astype(int) - expected[0].astype(int)).max() <= 1
