"""Editing ONNX graphs: reading and making their parts, and putting nodes in the place of others.

Importing the package ``onnx`` takes 0.1 s, which a small photo, painted in one pass, need not pay. So it is imported
inside the functions here, and the modules that edit graphs call these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError, damaged_model

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# onnx.TensorProto.FLOAT and .INT64.
FLOAT, INT64 = 1, 7


def parse_model(content: bytes) -> ModelProto:
    """Parse a serialized ONNX model.

    Raises:
        ModelError: It is not an ONNX model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(
            "the file is not an ONNX model", hint="Give a file that 'fast-style export' or 'fast-style train' wrote."
        ) from error
    return model


def read_metadata(model: ModelProto) -> dict[str, str]:
    """Read the metadata of a parsed model."""
    return {entry.key: entry.value for entry in model.metadata_props}


def write_metadata(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of a parsed model."""
    from onnx import helper

    helper.set_model_props(model, dict(metadata))


def make_node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    """Make a node, named after its first output."""
    from onnx import helper

    return helper.make_node(operator, inputs, outputs, name=outputs[0], **attributes)


def adder(nodes: list[NodeProto], prefix: str) -> Callable[..., str]:
    """Return a function that adds a node, whose outputs begin with the prefix, and returns its first output."""

    def add(operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        nodes.append(make_node(operator, inputs, [prefix + output for output in outputs], **attributes))
        return prefix + outputs[0]

    return add


def add_input(graph: GraphProto, name: str, kind: int, shape: Sequence[int | str]) -> None:
    """Add an input of elements of ``kind``, such as FLOAT; axes with a name are free."""
    from onnx import helper

    graph.input.append(helper.make_tensor_value_info(name, kind, shape))


def set_output(graph: GraphProto, name: str, shape: Sequence[int | str]) -> None:
    """Make a float32 tensor the only output."""
    from onnx import helper

    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, FLOAT, shape))


def read_tensor(tensor: TensorProto, dtypes: Sequence[str] = ("float32", "int64")) -> NDArray[Any] | None:
    """Read an initializer; None if its type is another, or its values lie in another file or do not fit its shape."""
    from onnx import TensorProto, helper, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        if helper.tensor_dtype_to_np_dtype(tensor.data_type).name not in dtypes:
            return None
        values = numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError):  # an unknown type, or too few or too many values
        return None
    return values if values.shape == tuple(tensor.dims) else None


def read_attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Read a node's attribute."""
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def read_constants(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """Read the initializers of float32 and int64, by name."""
    return {tensor.name: values for tensor in graph.initializer if (values := read_tensor(tensor)) is not None}


class Layer:
    """A normalization: its node, the name of its features, the names and values, (C), of its scale and shift."""

    def __init__(self, node: NodeProto, constants: Mapping[str, NDArray[Any]]) -> None:
        self.node = node
        self.features, *self.names = node.input
        scale, shift = self.names
        if any(constants.get(name, np.empty(0)).dtype != np.float32 for name in self.names):
            raise ModelError(
                "the normalizations of this graph are not in float32, so that it can only see whole pictures",
                hint="Use the float32 file of the style.",
            )
        self.scale, self.shift = constants[scale], constants[shift]
        if self.scale.ndim != 1 or self.scale.shape != self.shift.shape:
            raise damaged_model("the normalizations of this graph cannot be read")
        self.epsilon = float(read_attribute(node, "epsilon", 1e-5))


def find_layers(graph: GraphProto) -> list[Layer]:
    """Find the normalizations of a parsed graph, in their order.

    Raises:
        ModelError: There are none, or they are not in float32.
    """
    constants = read_constants(graph)
    layers = [Layer(node, constants) for node in graph.node if node.op_type == "InstanceNormalization"]
    if not layers:
        raise ModelError("this graph has no instance normalization, whose statistics could be given")
    return layers


class GraphEdit:
    """Changes to a graph, which :meth:`apply` carries out."""

    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        # Nodes to put before and after all others.
        self.before: list[NodeProto] = []
        self.after: list[NodeProto] = []
        self._instead: dict[str, tuple[NodeProto, ...]] = {}
        self._constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def replace(self, node: NodeProto, *nodes: NodeProto) -> None:
        """Put nodes in the place of another."""
        self._instead[node.output[0]] = nodes

    def apply(self) -> None:
        """Change the graph, and drop the nodes and constants that no output needs any longer."""
        kept = (self._instead.get(node.output[0], (node,)) for node in self.graph.node)
        needed = {value.name for value in self.graph.output}
        nodes = []
        for node in reversed([*self.before, *(node for group in kept for node in group), *self.after]):
            if needed.intersection(node.output):
                needed.update(node.input)
                nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(reversed(nodes))
        self.graph.initializer.extend(self._constants)
        needed.update(value.name for value in self.graph.input)  # a default may belong to an input that no node takes
        keep_initializers(self.graph, needed)


def keep_initializers(graph: GraphProto, names: set[str]) -> None:
    """Drop all initializers but those."""
    kept = [tensor for tensor in graph.initializer if tensor.name in names]
    del graph.initializer[:]
    graph.initializer.extend(kept)
