"""The part of ONNX's file format that is edited here, for Google's protobuf, which ONNX Runtime brings.

Only the fields that are read or written are named; protobuf keeps all others as they are. So graphs are changed where
styles are run, without the package onnx.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of each message: field's name, number, type, and whether it is repeated. From onnx.proto, version 1.
_MESSAGES: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "Dimension": (("dim_value", 1, "int64", False), ("dim_param", 2, "string", False)),
    "TensorShape": (("dim", 1, "Dimension", True),),
    "TensorType": (("elem_type", 1, "int32", False), ("shape", 2, "TensorShape", False)),
    "Type": (("tensor_type", 1, "TensorType", False),),
    "ValueInfo": (("name", 1, "string", False), ("type", 2, "Type", False)),
    "Tensor": (
        ("dims", 1, "int64", True),
        ("data_type", 2, "int32", False),
        ("float_data", 4, "float", True),
        ("int64_data", 7, "int64", True),
        ("name", 8, "string", False),
        ("raw_data", 9, "bytes", False),
    ),
    "Attribute": (
        ("name", 1, "string", False),
        ("f", 2, "float", False),
        ("i", 3, "int64", False),
        ("s", 4, "bytes", False),
        ("t", 5, "Tensor", False),
        ("ints", 8, "int64", True),
        ("type", 20, "int32", False),
    ),
    "Node": (
        ("input", 1, "string", True),
        ("output", 2, "string", True),
        ("name", 3, "string", False),
        ("op_type", 4, "string", False),
        ("attribute", 5, "Attribute", True),
    ),
    "Graph": (
        ("node", 1, "Node", True),
        ("name", 2, "string", False),
        ("initializer", 5, "Tensor", True),
        ("input", 11, "ValueInfo", True),
        ("output", 12, "ValueInfo", True),
    ),
    "Entry": (("key", 1, "string", False), ("value", 2, "string", False)),
    # What names the producer has to stand at the beginning of a file, see fast_style.model.checksum.
    "Model": (
        ("ir_version", 1, "int64", False),
        ("producer_name", 2, "string", False),
        ("graph", 7, "Graph", False),
        ("metadata_props", 14, "Entry", True),
    ),
}
FLOAT, INT64, FLOAT16 = 1, 7, 10
_DTYPES: dict[int, np.dtype[Any]] = {
    FLOAT: np.dtype(np.float32),
    INT64: np.dtype(np.int64),
    FLOAT16: np.dtype(np.float16),
}
_ATTRIBUTE_KINDS = {"f": 1, "i": 2, "s": 3, "ints": 7}


@cache
def _classes() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # 30 ms that a photo does not need

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="fast_style/onnx.proto", package="fast_style.onnx", syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            made = message.field.add(name=field, number=number)
            made.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".fast_style.onnx.{kind}"
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"fast_style.onnx.{name}"))
        for name in _MESSAGES
    }


def parse_model(content: bytes) -> Any:
    """Parse a serialized ONNX model.

    Raises:
        google.protobuf.message.DecodeError: It is none.
    """
    return _classes()["Model"].FromString(content)


def make_node(
    operator: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: float | list[int] | str
) -> Any:
    """Make a node, named after its first output; attributes are numbers, words or lists of whole numbers."""
    outputs = list(outputs)
    node = _classes()["Node"](op_type=operator, input=list(inputs), output=outputs, name=outputs[0])
    for name, value in attributes.items():
        field = {int: "i", float: "f", list: "ints", str: "s"}[type(value)]
        attribute = node.attribute.add(name=name, type=_ATTRIBUTE_KINDS[field])
        if isinstance(value, list):
            attribute.ints.extend(value)
        else:
            setattr(attribute, field, value.encode() if isinstance(value, str) else value)
    return node


def make_tensor(name: str, values: NDArray[Any]) -> Any:
    """Make an initializer of float32, float16 or int64."""
    kind = next(kind for kind, dtype in _DTYPES.items() if dtype == values.dtype)
    return _classes()["Tensor"](name=name, data_type=kind, dims=values.shape, raw_data=values.tobytes())


def make_value(name: str, kind: int, shape: Iterable[int | str]) -> Any:
    """Make an input or output; axes that are words are free."""
    value = _classes()["ValueInfo"](name=name)
    value.type.tensor_type.elem_type = kind
    value.type.tensor_type.shape.SetInParent()  # an empty shape is a scalar's, none at all is unknown
    for side in shape:
        value.type.tensor_type.shape.dim.add(**{"dim_param" if isinstance(side, str) else "dim_value": side})
    return value


def read_tensor(tensor: Any, kinds: tuple[int, ...] = (FLOAT, INT64)) -> NDArray[Any] | None:
    """Read an initializer of float32 or int64; None for other types, and for values that lie elsewhere."""
    if tensor.data_type not in kinds:
        return None
    dtype = _DTYPES[tensor.data_type]
    listed = tensor.float_data if tensor.data_type == FLOAT else tensor.int64_data
    values = np.frombuffer(tensor.raw_data, dtype) if tensor.raw_data else np.array(listed, dtype)
    shape = tuple(tensor.dims)
    return values.reshape(shape) if values.size == int(np.prod(shape)) else None


def read_attribute(node: Any, name: str, default: Any) -> Any:
    """Read a node's attribute: a number, or a list of whole numbers."""
    for attribute in node.attribute:
        if attribute.name == name:
            return {1: attribute.f, 2: attribute.i, 3: attribute.s, 7: list(attribute.ints)}.get(attribute.type)
    return default
