"""How fast networks run beside one another: time, arithmetic, and the share of what the machine can do."""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fast_style.graph import Feed, Graph, core_count, measure_cost, open_graph, open_session

# Convolutions to find the peak with, as (channels, height and width). Which of them is fastest depends on the
# caches and the vector width; all are large enough to hide their start, and hold nothing but convolutions.
PEAK_SHAPES = ((64, 128), (128, 96), (256, 48))
_PEAK_DEPTH = 8
# What a network is run for in one round, at least, s: one frame of a fast one is too short to time.
ROUND_SECONDS = 0.25


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


def count_macs(network: Network, size: tuple[int, int]) -> int:
    """Count the multiply-adds of a network's convolutions and matrix products for one picture.

    Args:
        network: What to count.
        size: (width, height) of the picture, px.

    Raises:
        ModelError: It does not take pictures of that size.
    """
    return measure_cost(network.path, network.feed(size)).multiplications


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


def time_in_turn(
    cases: Mapping[str, Callable[[], None]], *, rounds: int, seconds: float = ROUND_SECONDS
) -> dict[str, list[float]]:
    """Time each case in every round, one after the other, so that a slower spell of the machine slows all alike.

    Args:
        cases: What to run.
        rounds: How often each gets its turn, after a warm-up.
        seconds: For how long a turn is repeated, at least once.

    Returns:
        For each case the median time of one run in each round, s.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    for run in cases.values():
        run()  # the first run allocates
    for _ in range(rounds):
        for name, run in cases.items():
            turns: list[float] = []
            while not turns or sum(turns) < seconds:
                start = time.perf_counter()
                run()
                turns.append(time.perf_counter() - start)
            times[name].append(statistics.median(turns))
    return times


def ratio(times: Sequence[float], reference: Sequence[float]) -> float:
    """How many times as fast as the reference: the median over the rounds of their quotients."""
    return statistics.median(base / own for own, base in zip(times, reference, strict=True))


def machine_facts(threads: int) -> dict[str, str | int]:
    """Name the machine and what runs on it."""
    return {
        "cpu": _cpu_name(),
        "cores": core_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _cpu_name() -> str:
    """The processor's name as the system has it."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
