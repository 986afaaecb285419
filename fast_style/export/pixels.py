"""A graph from pixels to pixels: an app hands over its frame as it is, and shows what comes back."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fast_style.model import INPUT, OUTPUT


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
    before = [
        helper.make_node("Cast", [INPUT], ["image_cast"], name="image_cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["image_cast"], ["image_nchw"], name="image_nchw", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["image_nchw", "one_255th"], ["image_float"], name="image_float"),
    ]
    # A cast to integer drops the fraction, so adding a half first rounds as the Python runtime does.
    after = [
        helper.make_node("Mul", ["stylized_float", "levels"], ["stylized_levels"], name="stylized_levels"),
        helper.make_node("Add", ["stylized_levels", "half"], ["stylized_half"], name="stylized_half"),
        helper.make_node("Transpose", ["stylized_half"], ["stylized_nhwc"], name="stylized_nhwc", perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["stylized_nhwc"], [OUTPUT], name="stylized_cast", to=TensorProto.UINT8),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    for name, value in (("one_255th", 1 / 255), ("levels", 255.0), ("half", 0.5)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    for value in (value for value in (*graph.input, *graph.output) if value.name in {INPUT, OUTPUT}):
        n, _, height, width = (dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim)
        value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.UINT8, [n, height, width, 3]))
    return wrapped
