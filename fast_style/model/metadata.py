"""What an ONNX file says of itself, what it is made of, and what it costs."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from fast_style.errors import ModelError
from fast_style.model.checksum import read_checked
from fast_style.model.cost import measure_cost
from fast_style.model.opening import open_graph
from fast_style.model.reach import find_reach

# (width, height), px: the cost of a graph that takes any size is measured at this one.
COST_SIZE = (640, 480)


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
    width, height = width or COST_SIZE[0], height or COST_SIZE[1]
    nodes = measure_cost(path, graph.example((width, height)))
    multiplications = sum(node.multiplications for node in nodes)
    reach: int | None = None
    with contextlib.suppress(ModelError):
        found = find_reach(content)
        reach = max(found.before, found.after)
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
            "parameters": sum(node.parameters for node in nodes),
            "multiplications": multiplications,
            "multiplications_per_pixel": round(multiplications / (width * height), 1),
        },
    }
