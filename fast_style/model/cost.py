"""What an ONNX file says of itself, and what it costs: operators and multiplications, measured by running it once."""

import contextlib
import hashlib
import json
import math
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fast_style.errors import ModelError
from fast_style.model.checksum import read_checked
from fast_style.model.editing import parse_model
from fast_style.model.opening import open_graph
from fast_style.model.passes import MOST_PASSES, PASSES_KEY, smallest_side
from fast_style.model.reach import find_reach
from fast_style.model.session import first_line, open_session, session_options
from fast_style.model.table import number_in

# (width, height), px: the cost of a graph that takes any size is measured at this one, or larger if its passes need it.
COST_SIZE = (640, 480)
_CONVOLUTIONS = {"Conv", "FusedConv", "ConvInteger", "QLinearConv"}
_PRODUCTS = {"Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger", "QLinearMatMul"}


@dataclass(frozen=True)
class NodeCost:
    """What one node of a graph costs."""

    name: str  # name of the node
    operator: str  # its operator, such as `Conv`
    parameters: int  # weights and biases of a convolution; 0 for other operators
    multiplications: int  # multiply-adds of a convolution or matrix product; 0 for other operators


def measure_cost(model: Path | bytes, feed: Mapping[str, NDArray[Any]]) -> list[NodeCost]:
    """Measure the nodes that run for these inputs, in their order, by one unoptimized, profiled run of ONNX Runtime.

    Raises:
        ModelError: It cannot be opened, or cannot be run with these inputs.
    """
    import onnxruntime

    options = session_options(None)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Weights that are packed are missing in the profile.
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(model, options=options)
        try:
            session.run(None, feed)
        except Exception as error:  # its exceptions share no base but this one
            name = model if isinstance(model, Path) else "the graph"
            shapes = ", ".join("×".join(map(str, array.shape)) for array in feed.values())
            raise ModelError(f"{name} could not be run on inputs of {shapes}: {first_line(error)}") from error
        finally:
            profile = Path(session.end_profiling())
        events = json.loads(profile.read_text(encoding="utf-8"))
    suffix = "_kernel_time"
    return [
        _node_cost(event["name"].removesuffix(suffix), event["args"])
        for event in events
        if event.get("name", "").endswith(suffix)
    ]


def _node_cost(name: str, event: dict[str, Any]) -> NodeCost:
    """Read one node's cost from its event in the profile, which has the shapes of what went in and came out."""
    operator = event["op_name"]
    inputs = [next(iter(shape.values())) for shape in event["input_type_shape"]]
    outputs = [next(iter(shape.values())) for shape in event["output_type_shape"]]
    if operator in _CONVOLUTIONS or operator == "ConvTranspose":
        # The weight is (O, I / groups, kH, kW), or (I, O / groups, kH, kW) if transposed, when it meets each value that
        # goes in and not each that comes out. Scales and zero points may stand before it.
        weight = next(shape for shape in inputs[1:] if len(shape) > 2)
        met = inputs[0] if operator == "ConvTranspose" else outputs[0]
        return NodeCost(name, operator, sum(map(math.prod, inputs[1:])), math.prod(met) * math.prod(weight[1:]))
    if operator in _PRODUCTS:
        # Gemm may transpose its first input, (M, K), so K is found by dividing; its output is (M, N).
        depth = math.prod(inputs[0]) // outputs[0][0] if "Gemm" in operator else inputs[0][-1]
        return NodeCost(name, operator, 0, math.prod(outputs[0]) * depth)
    return NodeCost(name, operator, 0, 0)


def describe_model(path: str | Path) -> dict[str, Any]:
    """Describe an ONNX file: its own metadata, and its operators and cost as ONNX Runtime ran them once.

    Returns:
        Plain values for JSON: ``path``, ``bytes``, ``sha256``, ``metadata``; ``inputs`` and ``outputs``, types and
        shapes by name; ``reach``, how far a pixel's result looks if the statistics of the whole are given, px, or None
        if that cannot be told; ``operators``, how often each ran; ``cost`` at ``width`` and ``height``.

    Raises:
        ModelError: It is missing, not an ONNX model, or takes something for which nothing can be made up.
    """
    path = Path(path)
    content = read_checked(path)
    graph = open_graph(path)
    height, width = (None, None) if graph.signature.picture is None else graph.signature.picture.sides
    least = smallest_side(min(number_in(graph.metadata, PASSES_KEY) or 1, MOST_PASSES))
    width, height = width or max(COST_SIZE[0], least), height or max(COST_SIZE[1], least)
    nodes = measure_cost(path, graph.example((width, height)))
    multiplications = sum(node.multiplications for node in nodes)
    # Passes share their weights, each of which counts once.
    weights = {node.name: tuple(node.input[1:]) for node in parse_model(content).graph.node if node.name}
    parameters = {
        weights.get(node.name, number): node.parameters for number, node in enumerate(nodes) if node.parameters
    }
    reach: int | None = None
    with contextlib.suppress(ModelError):
        reach = find_reach(content)
    return {
        "path": str(path),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "metadata": graph.metadata,
        "inputs": {value.name: str(value) for value in (*graph.signature.inputs, *graph.signature.optional)},
        "outputs": {value.name: str(value) for value in graph.signature.outputs},
        "reach": reach,
        "operators": dict(Counter(node.operator for node in nodes).most_common()),
        "cost": {
            "width": width,
            "height": height,
            "parameters": sum(parameters.values()),
            "multiplications": multiplications,
            "multiplications_per_pixel": round(multiplications / (width * height), 1),
        },
    }
