"""A graph for pictures of one size, which computes no sizes: some runtimes and converters take no other."""

from __future__ import annotations

from copy import deepcopy

import onnx
import onnx_ir

from fast_style.model import INPUT, OUTPUT


def for_size(model: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """Return a copy that takes one picture of exactly this size at a time.

    Args:
        model: A graph from (N, 3, H, W) to the same, as ``export_onnx`` writes it; it is not changed.
        size: (width, height), px.
    """
    from onnxscript import optimizer

    fixed = deepcopy(model)
    del fixed.graph.value_info[:]
    for value in (*fixed.graph.input, *fixed.graph.output):
        if value.name in {INPUT, OUTPUT}:
            for dim, side in zip(value.type.tensor_type.shape.dim, (1, 3, size[1], size[0]), strict=True):
                dim.dim_value = side
    graph = onnx_ir.from_proto(fixed)
    optimizer.fold_constants(graph, onnx_shape_inference=True)
    optimizer.remove_unused_nodes(graph)
    folded = onnx_ir.to_proto(graph)
    del folded.graph.value_info[:]
    return folded
