"""What scripts/benchmark measures: networks, their arithmetic, and the peak of what the machine can do."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fast_style.errors import ModelError
from fast_style.runtime.session import session_options

# Convolutions to find the peak with, as (channels, height and width). Which of them is fastest depends on the
# caches and the vector width; all are large enough to hide their start, and hold nothing but convolutions.
PEAK_SHAPES = ((64, 128), (128, 96), (256, 48))
_PEAK_DEPTH = 8

Feed = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Network:
    """An ONNX file and how pictures go into it.

    Attributes:
        name: In tables.
        path: The file.
        image: Name of the input for the picture.
        channels_last: The picture is (1, H, W, 3), not (1, 3, H, W).
        uint8: It takes pixels, not floats in [0, 1].
        fixed: (width, height), px, of a file that takes one size only.
        others: Inputs beside the picture, such as a style vector.
        quantized: It computes in 8 bits.
    """

    name: str
    path: Path
    image: str
    channels_last: bool
    uint8: bool
    fixed: tuple[int, int] | None
    others: Mapping[str, NDArray[np.float32]]
    quantized: bool = False

    def feed(self, size: tuple[int, int]) -> Feed:
        """Make the inputs for a picture of (width, height) px."""
        shape = (1, size[1], size[0], 3) if self.channels_last else (1, 3, size[1], size[0])
        random = np.random.default_rng(0)
        if self.uint8:
            return {self.image: random.integers(0, 256, shape, np.uint8), **self.others}
        return {self.image: random.random(shape, np.float32), **self.others}


def read_network(path: Path, name: str) -> Network:
    """Find out how pictures go into an ONNX file; only its graph is read.

    Raises:
        ModelError: It is no ONNX file, or takes no picture.
    """
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's errors share no base but this one
        raise ModelError(f"{path} cannot be read as an ONNX model: {str(error).splitlines()[0]}") from error
    weights = {tensor.name for tensor in graph.initializer}
    found: Network | None = None
    others: dict[str, NDArray[np.float32]] = {}
    for value in graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        shape = [axis.dim_value for axis in tensor.shape.dim]  # 0 where an axis is free
        if found is None and len(shape) == 4 and 3 in (shape[1], shape[3]):
            last = shape[1] != 3
            height, width = shape[1:3] if last else shape[2:]
            fixed = (width, height) if width and height else None
            found = Network(name, path, value.name, last, tensor.elem_type == TensorProto.UINT8, fixed, {})
        elif 0 in shape or tensor.elem_type != TensorProto.FLOAT:
            raise ModelError(f"{path}: the input {value.name!r} of shape {shape} is unknown here")
        else:
            # Such as weights of styles, in equal parts: the time does not depend on them.
            others[value.name] = np.full(shape, 1.0 / max(1, math.prod(shape)), np.float32)
    if found is None:
        raise ModelError(f"{path} has no input for a picture")
    quantized = any("QuantizeLinear" in node.op_type for node in graph.node)
    return replace(found, others=others, quantized=quantized)


def count_macs(network: Network, size: tuple[int, int]) -> int:
    """Count the multiply-adds of a network's convolutions and matrix products for one picture.

    Sizes that a graph computes are first folded into constants by ONNX Runtime; then ONNX's own shape inference
    gives the shape of every result.

    Args:
        network: What to count.
        size: (width, height) of the picture, px.

    Raises:
        ModelError: The shapes cannot be inferred.
    """
    model = onnx.load(network.path)
    inputs = {name: array.shape for name, array in network.feed(size).items()}
    for value in model.graph.input:
        for axis, length in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False):
            axis.dim_value = length
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        graph = onnx.shape_inference.infer_shapes(onnx.load(folded), data_prop=True).graph
    shapes: dict[str, list[int]] = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    return sum(_node_macs(node, shapes, network.path) for node in graph.node)


def _node_macs(node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]], path: Path) -> int:
    def shape(name: str) -> Sequence[int]:
        found = shapes.get(name, ())
        if not found or 0 in found:
            raise ModelError(f"{path}: the shape of {name!r} cannot be inferred")
        return found

    if node.op_type in {"Conv", "FusedConv", "ConvInteger", "QLinearConv"}:
        weight = node.input[3] if node.op_type == "QLinearConv" else node.input[1]
        # The weight is (O, I / groups, kH, kW).
        return math.prod(shape(node.output[0])) * math.prod(shape(weight)[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(shape(node.input[0])) * math.prod(shape(node.input[1])[1:])
    if node.op_type in {"MatMul", "Gemm", "FusedMatMul", "FusedGemm"}:
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return math.prod(shape(node.output[0])) * shape(node.input[0])[-2 if transposed else -1]
    return 0


def peak_graph(channels: int, side: int) -> bytes:
    """Build a chain of 3×3 convolutions and nothing else, as an ONNX file's bytes.

    Args:
        channels: In and out of each.
        side: Height and width, px.
    """
    random = np.random.default_rng(0)
    shape = [1, channels, side, side]
    scale = np.float32(1 / math.sqrt(9 * channels))  # keeps the values' size from one to the next
    nodes, weights = [], []
    for number in range(_PEAK_DEPTH):
        weight = random.standard_normal((channels, channels, 3, 3), np.float32) * scale
        weights.append(numpy_helper.from_array(weight, f"w{number}"))
        nodes.append(
            helper.make_node(
                "Conv", [f"x{number}", f"w{number}"], [f"x{number + 1}"], kernel_shape=[3, 3], pads=[1] * 4
            )
        )
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{_PEAK_DEPTH}", TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized


def peak_feed(channels: int, side: int) -> Feed:
    """Make what goes into :func:`peak_graph`."""
    return {"x0": np.random.default_rng(1).standard_normal((1, channels, side, side), np.float32)}


def peak_macs(channels: int, side: int) -> int:
    """Count the multiply-adds of :func:`peak_graph`; those with the zeros of the padding count, as everywhere."""
    return _PEAK_DEPTH * channels * channels * 9 * side * side


def prepare(model: Path | bytes, feed: Feed, *, threads: int) -> Callable[[], None]:
    """Open a graph as the runtime does and return what runs it once.

    Raises:
        ModelError: ONNX Runtime refuses it.
    """
    try:
        session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            session_options(threads),
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # its exceptions share no base but this one
        raise ModelError(f"{model!r:.80} cannot be opened: {str(error).splitlines()[0]}") from error

    def run() -> None:
        session.run(None, feed)

    return run
