"""A graph from pixels to pixels: an app hands over its frame as it is, and shows what comes back."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import onnx
from onnx import TensorProto, helper

from fast_style.model import INPUT, OUTPUT
from fast_style.model.editing import GraphEdit, make_node


def pixels_in_and_out(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that takes (N, H, W, 3) uint8 RGB and returns the same: casts, layout and rounding inside.

    Args:
        model: A graph from (N, 3, H, W) float32 RGB in [0, 1] to the same, as ``export_onnx`` writes it; it is
            not changed. Further inputs, such as styles, stay as they are.
    """
    wrapped = deepcopy(model)
    graph = wrapped.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = {INPUT: "image_float", OUTPUT: "stylized_float"}.get(name, name)
    edit = GraphEdit(graph)
    for name, number in (("one_255th", 1 / 255), ("levels", 255.0), ("half", 0.5)):
        edit.constant(name, np.array(number, np.float32))
    edit.prepend(
        make_node("Cast", [INPUT], ["image_cast"], to=TensorProto.FLOAT),
        make_node("Transpose", ["image_cast"], ["image_nchw"], perm=[0, 3, 1, 2]),
        make_node("Mul", ["image_nchw", "one_255th"], ["image_float"]),
    )
    # A cast to integer drops the fraction, so adding a half first rounds as the Python runtime does.
    edit.append(
        make_node("Mul", ["stylized_float", "levels"], ["stylized_levels"]),
        make_node("Add", ["stylized_levels", "half"], ["stylized_half"]),
        make_node("Transpose", ["stylized_half"], ["stylized_nhwc"], perm=[0, 2, 3, 1]),
        make_node("Cast", ["stylized_nhwc"], [OUTPUT], to=TensorProto.UINT8),
    )
    edit.apply()
    for value in (value for value in (*graph.input, *graph.output) if value.name in {INPUT, OUTPUT}):
        n, _, height, width = (dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, [n, height, width, 3]))
    return wrapped
