"""What an ONNX file says of itself, what it is made of, and what it costs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_style.errors import ModelError
from fast_style.model.checksum import read_checked
from fast_style.model.cost import Cost, measure_cost
from fast_style.model.opening import open_graph
from fast_style.model.reach import Reach, find_reach

# (width, height), px: the cost of a graph that takes any size is measured at this one.
COST_SIZE = (640, 480)


@dataclass(frozen=True)
class ModelDescription:
    """A model file, described.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: SHA-256 of the whole file.
        metadata: What its exporter stored: name, styles, paintings, network, stride, range, layout, …
        inputs: Name to type and shape; free axes are named.
        outputs: The same for what comes back.
        size: (width, height), px, at which the cost was measured.
        cost: Its operators, parameters and multiplications for one picture of that size.
        reach: How far a pixel's result looks, where the statistics of the whole are given; None if that cannot be told.
    """

    path: Path
    bytes: int
    sha256: str
    metadata: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, str]
    size: tuple[int, int]
    cost: Cost
    reach: Reach | None

    @property
    def multiplications_per_pixel(self) -> float:
        """Multiply-adds for each pixel of the picture."""
        return self.cost.multiplications / (self.size[0] * self.size[1])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "metadata": self.metadata,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "reach": None if self.reach is None else max(self.reach.before, self.reach.after),
            "operators": self.cost.operators,
            "cost": {
                "width": self.size[0],
                "height": self.size[1],
                "parameters": self.cost.parameters,
                "multiplications": self.cost.multiplications,
                "multiplications_per_pixel": round(self.multiplications_per_pixel, 1),
            },
        }


def describe_model(path: str | Path) -> ModelDescription:
    """Describe an ONNX file: its own metadata, and its operators and cost as ONNX Runtime ran them once.

    Raises:
        ModelError: It is missing, not an ONNX model, or takes something for which nothing can be made up.
    """
    path = Path(path)
    content = read_checked(path)
    graph = open_graph(path)
    height, width = (None, None) if graph.signature.picture is None else graph.signature.picture.sides
    size = (width or COST_SIZE[0], height or COST_SIZE[1])
    return ModelDescription(
        path=path,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata=graph.metadata,
        inputs={value.name: str(value) for value in (*graph.signature.inputs, *graph.signature.optional)},
        outputs={value.name: str(value) for value in graph.signature.outputs},
        size=size,
        cost=measure_cost(path, graph.example(size)),
        reach=_reach(content),
    )


def _reach(content: bytes) -> Reach | None:
    try:
        return find_reach(content)
    except ModelError:
        return None
