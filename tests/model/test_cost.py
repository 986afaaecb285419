"""The arithmetic of graphs, by closed forms."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch.utils.flop_counter import FlopCounterMode

from fast_style.errors import ModelError
from fast_style.model import describe_model, open_graph
from fast_style.model.checksum import read_checked
from fast_style.model.cost import COST_SIZE, measure_cost
from fast_style.model.opening import Graph
from fast_style.model.passes_graph import join_passes
from fast_style.model.table import with_metadata
from fast_style.networks import build_network
from fast_style.styles.catalog import find_style


def save_convolution(path: Path, *, strides: int = 1, groups: int = 1, transposed: bool = False) -> Path:
    weight = np.ones((3, 4, 5, 5) if transposed else (6, 3 // groups, 5, 5), np.float32)
    node = helper.make_node(
        "ConvTranspose" if transposed else "Conv",
        ["image", "w"],
        ["out"],
        strides=[strides] * 2,
        pads=[2] * 4,
        group=groups,
    )
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", None, None, None])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def count_macs(graph: Graph, size: tuple[int, int]) -> int:
    return sum(node.multiplications for node in measure_cost(graph.path, graph.example(size)))


@pytest.mark.parametrize(
    ("options", "macs"),
    [
        ({}, 40 * 24 * 6 * 3 * 25),
        ({"strides": 2}, 20 * 12 * 6 * 3 * 25),
        ({"groups": 3}, 40 * 24 * 6 * 1 * 25),
        ({"strides": 2, "transposed": True}, 40 * 24 * 3 * 4 * 25),
    ],
    ids=["plain", "strided", "by channel", "transposed"],
)
def test_multiply_adds_of_one_convolution(tmp_path: Path, options: dict[str, Any], macs: int) -> None:
    assert count_macs(open_graph(save_convolution(tmp_path / "one.onnx", **options)), (40, 24)) == macs


def test_multiply_adds_of_a_network_are_those_that_torch_counts(model_file: Path) -> None:
    network = build_network("tiny").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, COST_SIZE[1], COST_SIZE[0]))
    assert 2 * count_macs(open_graph(model_file), COST_SIZE) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("operator", "shape", "transposed"), [("MatMul", (7, 5), {}), ("Gemm", (7, 5), {}), ("Gemm", (5, 7), {"transA": 1})]
)
def test_multiply_adds_of_a_matrix_product(operator: str, shape: tuple[int, int], transposed: Any) -> None:
    given = helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)
    weight = onnx.numpy_helper.from_array(np.ones((5, 11), np.float32), "b")
    node = helper.make_node(operator, ["a", "b"], ["out"], **transposed)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [7, 11])
    graph = helper.make_graph([node], "product", [given], [out], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (cost,) = measure_cost(model.SerializeToString(), {"a": np.ones(shape, np.float32)})
    assert cost.multiplications == 7 * 5 * 11


def test_passes_count_the_weights_that_they_share_once(tmp_path: Path) -> None:
    plain, joined = find_style("udnie-tiny").path, tmp_path / "joined.onnx"
    joined.write_bytes(with_metadata(join_passes([read_checked(plain)] * 3), {}))
    once, thrice = (describe_model(path)["cost"]["parameters"] for path in (plain, joined))
    # Beside its weights, the mean over three channels and two filters of 5 maps of 8 taps.
    assert thrice == once + 3 + 2 * 5 * 8


def test_many_passes_are_measured_at_a_size_that_has_room_for_them(tmp_path: Path) -> None:
    path = tmp_path / "joined.onnx"
    path.write_bytes(with_metadata(join_passes([read_checked(find_style("udnie-tiny").path)] * 6), {}))
    cost = describe_model(path)["cost"]
    assert (cost["width"], cost["height"]) == (640, 512)


def test_examples_fit_the_graph(tmp_path: Path, model_file: Path) -> None:
    free = open_graph(model_file)
    assert {name: given.shape for name, given in free.example((40, 24)).items()} == {"image": (1, 3, 24, 40)}
    values = [
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [4]),
        helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 24, 40, 3]),
    ]
    node = helper.make_node("Identity", ["pixels"], ["out"])
    out = helper.make_tensor_value_info("out", TensorProto.UINT8, [1, 24, 40, 3])
    graph = helper.make_graph([node], "other", values, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, tmp_path / "other.onnx")
    other = open_graph(tmp_path / "other.onnx")
    feed = other.example((40, 24))
    assert feed["pixels"].shape == (1, 24, 40, 3)
    assert feed["pixels"].dtype == np.uint8
    assert feed["style"].tolist() == [0.25] * 4


def test_a_graph_without_a_picture_is_an_error(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "none", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="no input for a picture"):
        open_graph(tmp_path / "none.onnx").example((16, 16))
