"""How far a graph looks: which pixels of the picture a pixel of the result depends on, found from its operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from fast_style.errors import ModelError
from fast_style.model.editing import parse_model, read_attribute, read_constants
from fast_style.model.opening import INPUT, OUTPUT

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# Operators whose result at a place depends on their input at that place alone.
_POINTWISE = (
    *("Cast", "Clip", "DequantizeLinear", "Floor", "Identity", "InstanceNormalization", "LeakyRelu", "QuantizeLinear"),
    *("Relu", "Round", "Sigmoid", "Tanh", "Transpose"),
)


@dataclass(frozen=True)
class Seen:
    """What a tensor depends on: at position p, the pixels from p·cell − before to p·cell + after."""

    cell: Fraction  # px from one position to the next
    before: Fraction
    after: Fraction


def find_reach(content: bytes) -> int:
    """Return how far around a pixel its result looks in a serialized graph, px, with given statistics.

    Raises:
        ModelError: There is an operator whose reach is not known here.
    """
    seen = follow_picture(parse_model(content).graph)
    if OUTPUT not in seen or seen[OUTPUT].cell != 1:
        raise ModelError("the picture does not come out at the size at which it went in")
    end = seen[OUTPUT]
    return math.ceil(max(end.before, end.after))


def follow_picture(graph: GraphProto) -> dict[str, Seen]:
    """Follow the picture through a parsed graph: what each tensor made of it depends on, by the tensor's name.

    Raises:
        ModelError: There is an operator whose reach is not known here.
    """
    sizes = _Sizes(graph)
    seen = {INPUT: Seen(Fraction(1), Fraction(0), Fraction(0))}
    for node in graph.node:
        sources = [seen[name] for name in node.input if name in seen]
        # Sizes are computed from the picture's, without a look at its pixels.
        if not sources or node.op_type == "Shape":
            continue
        try:
            seen[node.output[0]] = _see(node, sources, sizes)
        # Weights that lie in another file, and attributes that are left out.
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ModelError("how far this graph looks cannot be told") from error
    return seen


class _Sizes:
    """The constants of a graph, and the lists of sizes that it computes."""

    def __init__(self, graph: GraphProto) -> None:
        self.constants = read_constants(graph)
        self._makers = {node.output[0]: node for node in graph.node}

    def entry(self, name: str, index: int) -> int | None:
        """Read one entry of a list, which is constant or joined of single entries; None if the entry is computed."""
        if name in self.constants:
            return int(self.constants[name].ravel()[index])
        node = self._makers.get(name)
        if node is not None and node.op_type == "Concat" and node.input[index] in self.constants:
            return int(self.constants[node.input[index]].ravel()[0])
        return None

    def kernel(self, node: NodeProto) -> int:
        """Height of the kernel of a convolution or a pooling."""
        return int((read_attribute(node, "kernel_shape", None) or self.constants[node.input[1]].shape[2:])[0])


def _see(node: NodeProto, sources: Sequence[Seen], sizes: _Sizes) -> Seen:
    """Compute what an operator's output sees from what those of its inputs see that are made of the picture."""
    source = sources[0]
    match node.op_type:
        case "Add" | "Sub" | "Mul" | "Div" | "Concat":
            if len({each.cell for each in sources}) > 1:
                raise ModelError(f"{node.name or node.op_type} joins features of different sizes")
            return Seen(source.cell, max(each.before for each in sources), max(each.after for each in sources))
        case "Conv" | "AveragePool":
            (source,) = sources
            span = (sizes.kernel(node) - 1) * _of_rows(node, "dilations", 1)
            wide = Seen(source.cell, source.before, source.after + span * source.cell)
            padded = _shifted(node, wide, _of_rows(node, "pads", 0))
            return replace(padded, cell=_of_rows(node, "strides", 1) * source.cell)
        case "ConvTranspose":
            (source,), stride = sources, _of_rows(node, "strides", 1)
            # Cell i adds to a kernel of cells, from i · stride on: the first that adds to a cell lies farthest before.
            before = source.before + source.cell * Fraction(sizes.kernel(node) - 1, stride)
            return _shifted(node, Seen(source.cell / stride, before, source.after), -_of_rows(node, "pads", 0))
        case "DepthToSpace":
            return _enlarged(source, int(read_attribute(node, "blocksize", 0)))
        case "Resize":
            scales = sizes.constants.get(node.input[2])
            nearest = read_attribute(node, "mode", b"nearest") == b"nearest"
            if scales is None or not nearest or scales[2] != int(scales[2]):
                raise ModelError("a resizing of this kind is unknown here")
            return _enlarged(source, int(scales[2]))
        case "Pad":
            return _shifted(node, source, sizes.entry(node.input[1], 2))
        case "Slice":
            axis = sizes.entry(node.input[3], 0) if len(node.input) > 3 else 0
            start = sizes.entry(node.input[1], 0)
            # Rows and columns are cut alike, one after the other; cutting columns does not change the rows.
            return _shifted(node, source, None if start is None or axis is None else -start if axis == 2 else 0)
        case operator if operator in _POINTWISE:
            return source
        case operator:
            raise ModelError(f"how far {operator} looks is unknown here")


def _of_rows(node: NodeProto, attribute: str, default: int) -> int:
    """Read what an attribute that lists values by axis says of the rows."""
    return int((read_attribute(node, attribute, None) or [default])[0])


def _enlarged(source: Seen, factor: int) -> Seen:
    """Each cell expands into ``factor`` cells along a side, which all see what it saw."""
    return Seen(source.cell / factor, source.before + source.cell * Fraction(factor - 1, factor), source.after)


def _shifted(node: NodeProto, source: Seen, rows: int | None) -> Seen:
    """``rows`` rows stand before the first; if negative, so many are cut off."""
    if rows is None:
        raise ModelError(f"{node.name or node.op_type} depends on the picture's size in a way that is unknown here")
    return replace(source, before=source.before + rows * source.cell, after=source.after - rows * source.cell)
