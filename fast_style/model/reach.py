"""How far a graph looks: which pixels of the picture a pixel of the result depends on, found from its operators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fast_style.errors import ModelError
from fast_style.model.messages import parse_model, read_attribute, read_tensor
from fast_style.model.signature import INPUT, OUTPUT

# Operators whose result at a place depends on their operands at that place.
_POINTWISE = {"Add", "Sub", "Mul", "Div", "Relu", "Sigmoid", "Tanh", "Clip", "Cast", "InstanceNormalization"}
_POINTWISE |= {"QuantizeLinear", "DequantizeLinear", "LeakyRelu", "Identity", "Transpose", "Round", "Floor"}


@dataclass(frozen=True)
class Reach:
    """How far a pixel's result looks, with the statistics of normalizations given.

    Attributes:
        before: Px up, and to the left.
        after: Px down, and to the right.
    """

    before: int
    after: int


@dataclass(frozen=True)
class Seen:
    """What a tensor depends on: at position p, the pixels from p·cell − before to p·cell + after.

    Attributes:
        cell: Px from one position to the next.
        before: Px.
        after: Px.
    """

    cell: Fraction
    before: Fraction
    after: Fraction


def find_reach(content: bytes) -> Reach:
    """Follow the picture through a serialized graph.

    Raises:
        ModelError: There is an operator whose reach is not known here.
    """
    seen = follow_picture(parse_model(content).graph)
    if OUTPUT not in seen or seen[OUTPUT].cell != 1:
        raise ModelError("the picture does not come out at the size at which it went in")
    end = seen[OUTPUT]
    return Reach(-int(-end.before // 1), -int(-end.after // 1))


def follow_picture(graph: Any) -> dict[str, Seen]:
    """Follow the picture through a parsed graph: what each tensor made of it depends on, by the tensor's name.

    Raises:
        ModelError: There is an operator whose reach is not known here.
    """
    try:
        return _follow(graph)
    except (KeyError, IndexError, TypeError) as error:  # weights that lie elsewhere, attributes that are left out
        raise ModelError("how far this graph looks cannot be told") from error


def _follow(graph: Any) -> dict[str, Seen]:
    constants = {tensor.name: values for tensor in graph.initializer if (values := read_tensor(tensor)) is not None}
    makers = {node.output[0]: node for node in graph.node}
    seen: dict[str, Seen] = {INPUT: Seen(Fraction(1), Fraction(0), Fraction(0))}

    def first_sides(name: str, axes: int) -> int | None:
        """What a list of sizes, constant or put together of parts, says of the rows; None if a part is computed."""
        if name in constants:
            return int(constants[name].ravel()[axes])
        node = makers.get(name)
        if node is not None and node.op_type == "Concat" and node.input[axes] in constants:
            return int(constants[node.input[axes]].ravel()[0])
        return None

    for node in graph.node:
        sources = [seen[name] for name in node.input if name in seen]
        # Sizes are computed from the picture's, which is no look at its pixels.
        if not sources or node.op_type == "Shape":
            continue
        operator, source = node.op_type, sources[0]
        if operator in {"Add", "Sub", "Mul", "Div", "Concat"}:
            if len({one.cell for one in sources}) > 1:
                raise ModelError(f"{node.name or operator} joins features of different sizes")
            found = Seen(source.cell, max(one.before for one in sources), max(one.after for one in sources))
        elif operator in _POINTWISE:
            found = source
        elif operator == "Conv":
            kernel = (read_attribute(node, "kernel_shape", None) or constants[node.input[1]].shape[2:])[0]
            pad = (read_attribute(node, "pads", None) or [0])[0]
            look = (kernel - 1) * (read_attribute(node, "dilations", None) or [1])[0]
            stride = (read_attribute(node, "strides", None) or [1])[0]
            found = Seen(
                stride * source.cell, source.before + pad * source.cell, source.after + (look - pad) * source.cell
            )
        elif operator in {"ConvTranspose", "DepthToSpace", "Resize"}:
            # Each cell becomes some of its own, which all look where it looked.
            factor = _factor(node, constants)
            found = Seen(source.cell / factor, source.before + source.cell * Fraction(factor - 1, factor), source.after)
        elif operator in {"Pad", "Slice"}:
            inserted = _inserted(node, first_sides)
            found = replace(
                source,
                before=source.before + inserted * source.cell,
                after=source.after - inserted * source.cell,
            )
        else:
            raise ModelError(f"how far {operator} looks is unknown here")
        seen[node.output[0]] = found
    return seen


def _factor(node: Any, constants: dict[str, Any]) -> int:
    """How many cells each becomes, along a side."""
    if node.op_type == "DepthToSpace":
        return int(read_attribute(node, "blocksize", 0))
    if node.op_type == "Resize":
        scales = constants.get(node.input[2])
        if scales is None or read_attribute(node, "mode", b"nearest") != b"nearest" or scales[2] != int(scales[2]):
            raise ModelError("a resizing of this kind is unknown here")
        return int(scales[2])
    strides, pads = read_attribute(node, "strides", None) or [1], read_attribute(node, "pads", None) or [0]
    kernel = (read_attribute(node, "kernel_shape", None) or constants[node.input[1]].shape[2:])[0]
    if kernel != strides[0] or any(pads):
        raise ModelError("a transposed convolution that overlaps is unknown here")
    return int(strides[0])


def _inserted(node: Any, first_sides: Any) -> int:
    """How many rows a Pad puts before the first; negative for those that a Slice cuts off."""
    rows: int | None
    if node.op_type == "Pad":
        rows = first_sides(node.input[1], 2)
    else:
        axes = first_sides(node.input[3], 0) if len(node.input) > 3 else 0
        start = first_sides(node.input[1], 0)
        # Rows and columns are cut alike, one after the other; the columns' turn has no part in the rows.
        rows = None if start is None or axes is None else -start if axes == 2 else 0
    if rows is None:
        raise ModelError(f"{node.name or node.op_type} depends on the picture's size in a way that is unknown here")
    return rows
