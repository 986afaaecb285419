"""The graph as ONNX Runtime's WebGPU can run it."""

import numpy as np
from numpy.typing import NDArray

from fast_style.model.checksum import PRODUCER
from fast_style.model.editing import GraphEdit, make_node, parse_model, read_constants
from fast_style.model.table import with_metadata


def webgpu_form(content: bytes) -> bytes:
    """Return an equal graph without the convolutions that WebGPU gets wrong; unchanged if there are none.

    ONNX Runtime Web 1.30 is wrong with inputs of 6, 9 or 15 channels and not of 3, 5, 8, 12 or 24, if the output's
    channels are divisible by 4 (https://github.com/microsoft/onnxruntime/issues/29651 may be the same). Channels of
    zeros make such a number, as 6 in ``tiny``, divisible by 4.

    Raises:
        ModelError: It is not an ONNX model.
    """
    model = parse_model(content)
    constants = read_constants(model.graph)
    edit = GraphEdit(model.graph)
    wrong = [node for node in model.graph.node if node.op_type == "Conv" and _is_wrong(constants.get(node.input[1]))]
    if not wrong:
        return content
    for number, node in enumerate(wrong):
        weights = constants[node.input[1]]
        more = -weights.shape[1] % 4
        name = f"webgpu.{number}."
        pads = edit.constant(f"{name}pads", np.array([0, 0, 0, 0, 0, more, 0, 0]))
        widened = edit.constant(f"{name}weight", np.pad(weights, [(0, 0), (0, more), (0, 0), (0, 0)]))
        padding = make_node("Pad", [node.input[0], pads], [f"{name}features"])
        node.input[:2] = [padding.output[0], widened]
        edit.replace(node, padding, node)
    edit.apply()
    changed = bytes(model.SerializeToString())
    return with_metadata(changed, {}) if model.producer_name == PRODUCER else changed


def _is_wrong(weights: NDArray[np.float32] | None) -> bool:
    """Whether weights of a convolution, (M, C, H, W), are among those that WebGPU gets wrong."""
    if weights is None or weights.ndim != 4:
        return False
    out, channels = weights.shape[:2]
    return bool(channels > 3 and channels % 3 == 0 and channels % 4 != 0 and out % 4 == 0)
