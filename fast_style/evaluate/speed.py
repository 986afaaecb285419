"""What scripts/benchmark measures: networks, their arithmetic, and the peak of what the machine can do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fast_style.model import Feed, Graph, open_graph, open_session

# Convolutions to find the peak with, as (channels, height and width). Which of them is fastest depends on the
# caches and the vector width; all are large enough to hide their start, and hold nothing but convolutions.
PEAK_SHAPES = ((64, 128), (128, 96), (256, 48))
_PEAK_DEPTH = 8


@dataclass(frozen=True)
class Network:
    """An ONNX file to be measured.

    Attributes:
        name: In tables.
        graph: The file, opened.
        quantized: It computes in 8 bits.
    """

    name: str
    graph: Graph
    quantized: bool

    @property
    def path(self) -> Path:
        """The file."""
        return self.graph.path

    @property
    def fixed(self) -> tuple[int, int] | None:
        """(width, height), px, of a file that takes one size only."""
        return self.graph.fixed

    def feed(self, size: tuple[int, int]) -> Feed:
        """Make the inputs for a picture of (width, height) px."""
        return self.graph.example(size)


def read_network(path: Path, name: str) -> Network:
    """Find out how pictures go into an ONNX file.

    Raises:
        ModelError: It is not an ONNX file, or takes no picture, or something unknown beside it.
    """
    graph = open_graph(path)
    graph.example((16, 16))
    # Operators' names stand in the file as they are.
    return Network(name, graph, quantized=b"QuantizeLinear" in path.read_bytes())


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
    session = open_session(model, threads=threads)

    def run() -> None:
        session.run(None, feed)

    return run
