"""The graph variants of a style: measuring, and with fixed statistics."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fast_style.cli.app import main
from fast_style.errors import ModelError
from fast_style.export import export_onnx
from fast_style.export.verify import record_statistics
from fast_style.model.checksum import read_checked
from fast_style.model.opening import INPUT
from fast_style.model.reach import find_reach
from fast_style.model.session import open_session
from fast_style.model.statistics import ORIGIN, fixed_form, measure_form
from fast_style.model.table import base_checksum, read_sets
from fast_style.networks import JohnsonNetwork, RealtimeNetwork, TransformerNetwork
from fast_style.styles.catalog import find_style

Floats = NDArray[np.float32]


def small() -> RealtimeNetwork:
    torch.manual_seed(0)
    network = RealtimeNetwork(quarter=8, eighth=8, blocks=2, half=4).eval()
    for layer in network.parameters():
        torch.nn.init.normal_(layer, std=0.3)
    return network


def johnson() -> JohnsonNetwork:
    torch.manual_seed(0)
    return JohnsonNetwork().eval()


@pytest.fixture(scope="module", params=["half", "johnson"])
def style(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TransformerNetwork, bytes]:
    networks = {"half": small, "johnson": johnson}
    network: TransformerNetwork = networks[request.param]()
    path = tmp_path_factory.mktemp("forms") / "style.onnx"
    export_onnx(network, path, metadata={"network": "x"})
    return network, read_checked(path)


def photo(height: int, width: int, seed: int = 0, batch: int = 1) -> Floats:
    image = np.random.default_rng(seed).random((batch, 3, height, width), np.float32)
    image[..., : width // 2] *= np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return image


def measured(content: bytes, image: Floats) -> Floats:
    (found,) = open_session(measure_form(content)).run(None, {INPUT: image})
    statistics: Floats = found
    return statistics


def test_what_is_measured_is_what_the_networks_normalizations_find(style: tuple[TransformerNetwork, bytes]) -> None:
    network, content = style
    image = photo(88, 75)
    expected = record_statistics(network, torch.from_numpy(image))
    np.testing.assert_allclose(measured(content, image), expected, rtol=1e-3, atol=1e-4)


def test_a_batch_is_measured_as_one_picture(style: tuple[TransformerNetwork, bytes]) -> None:
    image = photo(64, 48)
    once, twice = (measured(style[1], np.concatenate([image] * count)) for count in (1, 2))
    np.testing.assert_allclose(once, twice, rtol=1e-3, atol=1e-4)
    # Of two pictures, the first layer's mean lies in the middle.
    parts = [photo(64, 48, seed, 1) for seed in (1, 2)]
    first = [measured(style[1], part)[0, 0] for part in parts]
    assert measured(style[1], np.concatenate(parts))[0, 0] == pytest.approx(np.mean(first), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (97, 131), (40, 233)])
def test_with_its_own_statistics_a_picture_is_as_ever(
    style: tuple[TransformerNetwork, bytes], size: tuple[int, int]
) -> None:
    network, content = style
    image = photo(*size)
    statistics = measured(content, image)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).clamp(0, 1).numpy()
    fixed = fixed_form(content, statistics, stride=network.stride)
    np.testing.assert_allclose(open_session(fixed).run(None, {INPUT: image})[0], expected, atol=1e-4)


def test_a_tile_is_its_place_in_the_whole_up_to_its_reach_and_no_further(
    style: tuple[TransformerNetwork, bytes],
) -> None:
    network, content = style
    far = find_reach(content)
    image = photo(3 * far + 104, 3 * far + 77, seed=3)
    statistics = measured(content, image)
    session = open_session(fixed_form(content, statistics, stride=network.stride))
    whole = session.run(None, {INPUT: image})[0]
    top, left = (far // 2 + 24) // 8 * 8, far // 8 * 8
    height, width = 2 * far + 40, 2 * far + 56
    tile = np.ascontiguousarray(image[..., top : top + height, left : left + width])
    drawn = session.run(None, {INPUT: tile, ORIGIN: np.array([top, left])})[0]
    difference = np.abs(drawn - whole[..., top : top + height, left : left + width]).max((0, 1))
    assert difference[far : height - far, far : width - far].max() < 1e-4
    # It is no guess on the safe side: all but a cell of what is cut off does differ.
    wrong = np.flatnonzero(difference[:, far : width - far].max(1) > 1e-4)
    assert far - network.stride - 4 <= wrong[wrong < height // 2].max() < far


def test_noise_lies_still_in_the_whole() -> None:
    content = read_checked(find_style("starry-night").path)
    image = np.full((1, 3, 64, 64), 0.5, np.float32)
    session = open_session(fixed_form(content, measured(content, image), stride=8))
    here, there, again = (
        session.run(None, {INPUT: image, ORIGIN: np.array(at)})[0] for at in ((0, 0), (8, 0), (512, 1024))
    )
    assert not np.allclose(here, there, atol=1e-2)
    np.testing.assert_allclose(here, again, atol=1e-6)


def test_fixed_normalizations_vanish_into_convolutions(tmp_path: Path) -> None:
    content = read_checked(find_style("udnie-fine").path)
    fixed = fixed_form(content, measured(content, photo(64, 64)), stride=8)
    counts = []
    for name, model in (("plain", content), ("fixed", fixed)):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        counts.append([node.op_type for node in onnx.load_model(options.optimized_model_filepath).graph.node])
    assert counts[0].count("InstanceNormalization") == 29
    assert "InstanceNormalization" not in counts[1]
    # Of 29 scales and shifts, one is left: it follows a sum. Two additions more roll the noise.
    assert counts[1].count("Mul") <= counts[0].count("Mul") + 1
    assert counts[1].count("Add") <= counts[0].count("Add") + 3


def test_variants_pass_the_checker_and_name_what_they_take() -> None:
    content = read_checked(find_style("great-wave-tiny").path)
    statistics = measured(content, photo(64, 64))
    variants = {
        ("image",): measure_form(content),
        ("image", "mask"): measure_form(content, masked=True),
        ("image", "origin"): fixed_form(content, statistics, stride=8),
        ("image", "noise0", "noise1"): fixed_form(content, statistics, stride=8, noise_given=True),
    }
    for takes, variant in variants.items():
        model = onnx.load_model_from_string(variant)
        onnx.checker.check_model(model, full_check=True)
        assert tuple(value.name for value in model.graph.input) == takes


def test_a_rim_narrower_than_a_cell_leaves_nothing_out() -> None:
    content = read_checked(find_style("great-wave-tiny").path)
    image = photo(64, 64)
    (narrow,) = open_session(measure_form(content, rim=1)).run(None, {INPUT: image})
    np.testing.assert_array_equal(narrow, measured(content, image))


def test_info_tells_the_reach(capsys: pytest.CaptureFixture[str]) -> None:
    path = find_style("starry-night").path
    assert main(["info", str(path)]) == 0
    assert f"{find_reach(read_checked(path))} px around a pixel" in capsys.readouterr().out


def convolution(**attributes: Any) -> onnx.ModelProto:
    weight = numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", [INPUT, "w"], ["stylized"], **attributes)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in (INPUT, "stylized")]
    return helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weight]))


@pytest.mark.parametrize(
    ("attributes", "reach"),
    [
        ({"pads": [1, 1, 1, 1]}, 1),
        ({"pads": [2, 2, 0, 0]}, 2),
        ({"pads": [0, 0, 2, 2]}, 2),
        ({"pads": [2, 2, 2, 2], "dilations": [2, 2]}, 2),
    ],
)
def test_the_reach_of_one_convolution_is_its_kernels(attributes: dict[str, Any], reach: int) -> None:
    assert find_reach(convolution(**attributes).SerializeToString()) == reach


def test_a_graph_without_normalizations_has_no_variants() -> None:
    content = convolution(pads=[1, 1, 1, 1]).SerializeToString()
    for make in (measure_form, lambda graph: fixed_form(graph, np.zeros((2, 0), np.float32), stride=1)):
        with pytest.raises(ModelError, match="no instance normalization"):
            make(content)


def test_an_operator_that_looks_everywhere_has_no_reach() -> None:
    model = convolution(pads=[1, 1, 1, 1])
    model.graph.node.insert(0, helper.make_node("Softmax", [INPUT], ["s"]))
    model.graph.node[1].input[0] = "s"
    with pytest.raises(ModelError, match="how far Softmax looks is unknown"):
        find_reach(model.SerializeToString())


def test_an_attribute_that_makes_no_sense_has_no_reach() -> None:
    with pytest.raises(ModelError, match="cannot be told"):
        find_reach(convolution(pads=["a", "b"]).SerializeToString())


def test_what_is_no_onnx_model_is_refused() -> None:
    for read in (find_reach, measure_form, read_sets, base_checksum):
        with pytest.raises(ModelError, match="not an ONNX model"):
            read(b"no model")


def test_values_in_another_file_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_bytes(bytes(4096))
    model = onnx.load_model_from_string(read_checked(find_style("great-wave-tiny").path))
    layer = next(node for node in model.graph.node if node.op_type == "InstanceNormalization")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == layer.input[1])
    onnx.external_data_helper.set_external_data(tensor, "secret", length=len(tensor.raw_data))
    with pytest.raises(ModelError, match="not in float32"):
        measure_form(model.SerializeToString())


def loaded_after(code: str) -> set[str]:
    script = (
        f"import sys\nimport numpy as np\nfrom fast_style.stylize.stylizer import Stylizer\n{code}\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_onnx_is_imported_only_where_a_graph_is_edited() -> None:
    """It takes 0.1 s, which a photo in one style does not pay."""
    draw = 'style = Stylizer("udnie-tiny").network; style.frame(np.zeros((48, 64, 3), np.uint8))'
    plain = loaded_after(draw)
    assert "onnxruntime" in plain
    assert not {"onnx", "torch"} & plain
    edited = loaded_after(f"{draw}\nstyle.fixed(style.measure(np.zeros((1, 3, 32, 32), np.float32)))")
    assert "onnx" in edited
    assert "torch" not in edited
