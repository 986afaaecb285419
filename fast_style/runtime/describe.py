"""What an ONNX file says of itself, what it is made of, and what it costs: found by running it once."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fast_style.errors import ModelError

# (width, height), px: where a graph takes any size, its cost is measured at this one.
COST_SIZE = (640, 480)


@dataclass(frozen=True)
class ModelDescription:
    """A model file, described.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Its checksum.
        metadata: What its exporter stored: style, network, stride, range, layout, licence, …
        inputs: Name to type and shape; free axes are named.
        outputs: Likewise.
        operators: How often each operator occurs.
        size: (width, height), px, at which the cost was measured.
        parameters: Weights and biases of the convolutions.
        multiplications: Multiply-adds of the convolutions for one picture of that size.
    """

    path: Path
    bytes: int
    sha256: str
    metadata: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]
    size: tuple[int, int]
    parameters: int
    multiplications: int

    @property
    def multiplications_per_pixel(self) -> float:
        """Multiply-adds for each pixel of the picture."""
        return self.multiplications / (self.size[0] * self.size[1])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "metadata": self.metadata,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "operators": self.operators,
            "cost": {
                "width": self.size[0],
                "height": self.size[1],
                "parameters": self.parameters,
                "multiplications": self.multiplications,
                "multiplications_per_pixel": round(self.multiplications_per_pixel, 1),
            },
        }


def describe_model(path: str | Path) -> ModelDescription:
    """Describe an ONNX file: its own metadata, and its operators and cost as ONNX Runtime ran them.

    The graph is run once, unoptimized and profiled, so no library but ONNX Runtime is needed.

    Raises:
        ModelError: It is missing, no ONNX model, or takes something other than one batch of pictures.
    """
    import onnxruntime  # 0.15 s

    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but this one
            raise ModelError(f"{path} cannot be opened as an ONNX model: {str(error).splitlines()[0]}") from error
        size, feeds = _picture_for(session.get_inputs(), path)
        try:
            session.run(None, feeds)
        except Exception as error:
            session.end_profiling()
            raise ModelError(
                f"{path} could not be run on a picture of {size[0]}×{size[1]} px: {str(error).splitlines()[0]}"
            ) from error
        profile = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [event["args"] for event in profile if event.get("name", "").endswith("_kernel_time")]
    costs = [_convolution_cost(node) for node in nodes if node["op_name"] in {"Conv", "ConvTranspose"}]
    return ModelDescription(
        path=path,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        inputs={value.name: _signature(value) for value in session.get_inputs()},
        outputs={value.name: _signature(value) for value in session.get_outputs()},
        operators=dict(Counter(node["op_name"] for node in nodes).most_common()),
        size=size,
        parameters=sum(parameters for parameters, _ in costs),
        multiplications=sum(multiplications for _, multiplications in costs),
    )


def _picture_for(inputs: list[Any], path: Path) -> tuple[tuple[int, int], dict[str, Any]]:
    """Make a grey picture that the graph takes, and say its (width, height)."""
    types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}
    if len(inputs) != 1 or inputs[0].type not in types or len(inputs[0].shape) != 4:
        takes = ", ".join(f"{value.name} {_signature(value)}" for value in inputs)
        raise ModelError(f"{path} takes {takes or 'nothing'}; expected one batch of pictures")
    shape = inputs[0].shape
    last = shape[3] == 3 and shape[1] != 3  # channels last
    sides = shape[1:3] if last else shape[2:4]
    height, width = (side if isinstance(side, int) else free for side, free in zip(sides, COST_SIZE[::-1], strict=True))
    channels = shape[3 if last else 1]
    channels = channels if isinstance(channels, int) else 3
    concrete = (1, height, width, channels) if last else (1, channels, height, width)
    return (width, height), {inputs[0].name: np.ones(concrete, types[inputs[0].type])}


def _convolution_cost(node: dict[str, Any]) -> tuple[int, int]:
    """Parameters and multiply-adds of one convolution in ONNX Runtime's profile."""
    shapes = [next(iter(shape.values())) for shape in node["input_type_shape"]]
    (output,) = (next(iter(shape.values())) for shape in node["output_type_shape"])
    if node["op_name"] == "ConvTranspose":
        # The profile leaves out its weights, which are packed. Taken to be as large as the stride: no output overlaps.
        inputs, channels = shapes[0][1], output[1]
        kernel = math.prod(output[2:]) // math.prod(shapes[0][2:])
        return inputs * channels * kernel + channels, math.prod(output) * inputs
    return sum(math.prod(shape) for shape in shapes[1:]), math.prod(output) * math.prod(shapes[1][1:])


def _signature(value: Any) -> str:
    """Render type and shape, such as ``float (batch, 3, height, width)``."""
    kind = value.type.removeprefix("tensor(").removesuffix(")")
    return f"{kind} ({', '.join(str(side) for side in value.shape)})"
