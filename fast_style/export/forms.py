"""Graphs for a place: from pixels to pixels, as apps have their frames, and for pictures of one size."""

from copy import deepcopy

import numpy as np
import onnx
import onnx_ir
from onnx import TensorProto, helper

from fast_style.model.editing import GraphEdit, make_node
from fast_style.model.opening import INPUT, OUTPUT


def pixels_in_and_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that takes (N, H, W, 3) uint8 RGB and returns the same: casts, layout and rounding inside.

    Args:
        model: A graph from (N, 3, H, W) float32 RGB in [0, 1] to the same, as ``export_onnx`` writes it; it is
            not changed. Further inputs, such as styles, stay as they are.
    """
    wrapped = deepcopy(model)
    graph = wrapped.graph
    floats = {INPUT: "image_float", OUTPUT: "stylized_float"}
    for node in graph.node:
        node.name = floats.get(node.name, node.name)
        for names in (node.input, node.output):
            names[:] = [floats.get(name, name) for name in names]
    edit = GraphEdit(graph)
    for name, number in (("one_255th", 1 / 255), ("levels", 255.0), ("half", 0.5)):
        edit.constant(name, np.array(number, np.float32))
    edit.before += [
        make_node("Cast", [INPUT], ["image_cast"], to=TensorProto.FLOAT),
        make_node("Transpose", ["image_cast"], ["image_nchw"], perm=[0, 3, 1, 2]),
        make_node("Mul", ["image_nchw", "one_255th"], ["image_float"]),
    ]
    # A cast to integer drops the fraction, so adding a half first rounds as the Python runtime does.
    edit.after += [
        make_node("Mul", ["stylized_float", "levels"], ["stylized_levels"]),
        make_node("Add", ["stylized_levels", "half"], ["stylized_half"]),
        make_node("Transpose", ["stylized_half"], ["stylized_nhwc"], perm=[0, 2, 3, 1]),
        make_node("Cast", ["stylized_nhwc"], [OUTPUT], to=TensorProto.UINT8),
    ]
    edit.apply()
    for value in (value for value in (*graph.input, *graph.output) if value.name in {INPUT, OUTPUT}):
        n, _, height, width = (dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, [n, height, width, 3]))
    return wrapped


def for_size(model: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """Return a copy that takes one picture of exactly this size at a time; some runtimes take no other.

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
