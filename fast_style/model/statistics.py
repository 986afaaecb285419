"""More forms of a style: one that measures a picture, one that is told what was measured, and one that knows it.

An instance normalization looks at the whole picture. ``measure`` gives what the normalizations of a picture, or of a
batch of its parts, find. ``apply`` normalizes by what it is given: a part of a picture is drawn as in the whole, and a
frame of a film as the others. Where the statistics stay the same, ``fixed`` has them in its convolutions. All are
made from the graph of the style itself, so every file has them.

Reference:
    Chen et al. 2022 (URST), section 3.2, give a thumbnail's statistics to every part of a large picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError
from fast_style.model.editing import Layer, Nodes, find_layers, prune, read_constants
from fast_style.model.messages import (
    FLOAT,
    INT64,
    make_node,
    make_tensor,
    make_value,
    parse_model,
)
from fast_style.model.reach import follow_picture

STATISTICS, ORIGIN, MASK = "statistics", "origin", "mask"
Statistics = NDArray[np.float32]

# The names of what is added to a graph begin with this.
_OWN = "form."


def measure_form(content: bytes, *, rim: int = 0, masked: bool = False) -> bytes:
    """Make the form that measures.

    It takes ``image`` (N, 3, H, W) and gives ``statistics`` (2, C): the means and the variances of all C channels of
    all the normalizations, over the whole batch, as if it were one picture.

    Args:
        content: A serialized style with float32 normalizations.
        rim: So many px along the border of each picture do not count: for parts, which have much border for their size.
        masked: Take ``mask`` (N, 1, H, W), too: how much each pixel counts. Not together with a rim.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    layers = find_layers(graph)
    seen = follow_picture(graph) if rim else {}
    nodes, constants = Nodes(graph), [make_tensor(f"{_OWN}axes", np.array([0, 2, 3]))]
    constants.append(make_tensor(f"{_OWN}sides", np.array([2, 3])))
    for number, layer in enumerate(layers):
        own = f"{_OWN}{number}."
        constants += [
            make_tensor(f"{own}scale", layer.scale.reshape(1, -1, 1, 1)),
            make_tensor(f"{own}shift", layer.shift.reshape(1, -1, 1, 1)),
            make_tensor(f"{own}epsilon", np.array(layer.epsilon, np.float32)),
        ]
        counted, cut = layer.features, []
        if masked:
            nodes.replace(layer.node, *_measure_masked(layer, own), *_normalize(layer, own))
            continue
        if rim:
            cells = int(rim / seen[layer.features].cell)
            constants += [
                make_tensor(f"{own}first", np.array([cells, cells])),
                make_tensor(f"{own}last", np.array([-cells, -cells])),
            ]
            counted = f"{own}counted"
            bounds = [f"{own}first", f"{own}last", f"{_OWN}sides"]
            cut = [make_node("Slice", [layer.features, *bounds], [counted])]
        nodes.replace(
            layer.node,
            *cut,
            make_node("ReduceMean", [counted, f"{_OWN}axes"], [f"{own}mean"]),
            make_node("Sub", [counted, f"{own}mean"], [f"{own}deviations"]),
            make_node("Mul", [f"{own}deviations", f"{own}deviations"], [f"{own}squares"]),
            make_node("ReduceMean", [f"{own}squares", f"{_OWN}axes"], [f"{own}variance"]),
            *_normalize(layer, own),
        )
    found = [f"{_OWN}{number}.{what}" for what in ("mean", "variance") for number in range(len(layers))]
    channels = sum(layer.scale.size for layer in layers)
    constants.append(make_tensor(f"{_OWN}shape", np.array([2, channels])))
    nodes.append(
        make_node("Concat", found, [f"{_OWN}all"], axis=1),
        make_node("Reshape", [f"{_OWN}all", f"{_OWN}shape"], [STATISTICS]),
    )
    if masked:
        graph.input.append(make_value(MASK, FLOAT, ("mask_batch", 1, "mask_height", "mask_width")))
        constants += [make_tensor(f"{_OWN}first", np.array([0])), make_tensor(f"{_OWN}second", np.array([2]))]
        constants += [make_tensor(f"{_OWN}last", np.array([4])), make_tensor(f"{_OWN}none", np.empty(0, np.float32))]
    nodes.store(constants)
    del graph.output[:]
    graph.output.append(make_value(STATISTICS, FLOAT, (2, channels)))
    prune(graph)
    return bytes(model.SerializeToString())


def _normalize(layer: Layer, own: str) -> list[Any]:
    """Normalize features by the mean and the variance that were found."""
    return [
        make_node("Sub", [layer.features, f"{own}mean"], [f"{own}centred"]),
        make_node("Add", [f"{own}variance", f"{own}epsilon"], [f"{own}sum"]),
        make_node("Sqrt", [f"{own}sum"], [f"{own}deviation"]),
        make_node("Div", [f"{own}scale", f"{own}deviation"], [f"{own}factor"]),
        make_node("Mul", [f"{own}centred", f"{own}factor"], [f"{own}scaled"]),
        make_node("Add", [f"{own}scaled", f"{own}shift"], [layer.node.output[0]]),
    ]


def _measure_masked(layer: Layer, own: str) -> list[Any]:
    """Find a mean and a variance in which each position counts as much as the mask says there."""
    none = f"{_OWN}none"
    return [
        # The mask at the features' size. They have up to four cells around the picture more, by which it is stretched:
        # what belongs to which mask is off by that much at the border, and right in the middle.
        make_node("Shape", [layer.features], [f"{own}size"]),
        make_node("Slice", [f"{own}size", f"{_OWN}second", f"{_OWN}last"], [f"{own}sides"]),
        make_node("Shape", [MASK], [f"{own}mask"]),
        make_node("Slice", [f"{own}mask", f"{_OWN}first", f"{_OWN}second"], [f"{own}batch"]),
        make_node("Concat", [f"{own}batch", f"{own}sides"], [f"{own}target"], axis=0),
        make_node("Resize", [MASK, none, none, f"{own}target"], [f"{own}weights"], mode="linear", antialias=1),
        make_node("ReduceSum", [f"{own}weights", f"{_OWN}axes"], [f"{own}total"]),
        make_node("Mul", [layer.features, f"{own}weights"], [f"{own}weighted"]),
        make_node("ReduceSum", [f"{own}weighted", f"{_OWN}axes"], [f"{own}added"]),
        make_node("Div", [f"{own}added", f"{own}total"], [f"{own}mean"]),
        make_node("Sub", [layer.features, f"{own}mean"], [f"{own}deviations"]),
        make_node("Mul", [f"{own}deviations", f"{own}deviations"], [f"{own}squares"]),
        make_node("Mul", [f"{own}squares", f"{own}weights"], [f"{own}heavy"]),
        make_node("ReduceSum", [f"{own}heavy", f"{_OWN}axes"], [f"{own}spread"]),
        make_node("Div", [f"{own}spread", f"{own}total"], [f"{own}variance"]),
    ]


def features_per_pixel(content: bytes) -> float:
    """Return how many values the largest features that are normalized have for each pixel of the picture.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    graph = parse_model(content).graph
    seen = follow_picture(graph)
    return max(float(layer.scale.size / seen[layer.features].cell ** 2) for layer in find_layers(graph))


def apply_form(content: bytes, *, stride: int) -> bytes:
    """Make the form that is told what was measured.

    It takes ``image`` (N, 3, H, W), ``statistics`` (2, C) and ``origin`` (2), int64: row and column of the picture's
    upper left corner in the whole picture, px, multiples of the network's stride. It gives ``stylized``.

    Args:
        content: A serialized style with float32 normalizations.
        stride: Of its network, px: the side of a cell in which it works.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    layers = find_layers(graph)
    nodes = Nodes(graph)
    sizes = [layer.scale.size for layer in layers]
    channels = sum(sizes)
    constants = [
        make_tensor(f"{_OWN}scale", np.concatenate([layer.scale for layer in layers])),
        make_tensor(f"{_OWN}shift", np.concatenate([layer.shift for layer in layers])),
        make_tensor(
            f"{_OWN}epsilon",
            np.concatenate([np.full(layer.scale.size, layer.epsilon, np.float32) for layer in layers]),
        ),
        make_tensor(f"{_OWN}shape", np.array([1, channels, 1, 1])),
        make_tensor(f"{_OWN}halves", np.array([1, 1])),
        make_tensor(f"{_OWN}sizes", np.array(sizes)),
    ]
    factors, offsets = ([f"{_OWN}{number}.{what}" for number in range(len(layers))] for what in ("factor", "offset"))
    nodes.prepend(
        make_node("Split", [STATISTICS, f"{_OWN}halves"], [f"{_OWN}mean", f"{_OWN}variance"], axis=0),
        make_node("Add", [f"{_OWN}variance", f"{_OWN}epsilon"], [f"{_OWN}sum"]),
        make_node("Sqrt", [f"{_OWN}sum"], [f"{_OWN}deviation"]),
        make_node("Div", [f"{_OWN}scale", f"{_OWN}deviation"], [f"{_OWN}factor"]),
        make_node("Mul", [f"{_OWN}mean", f"{_OWN}factor"], [f"{_OWN}scaled"]),
        make_node("Sub", [f"{_OWN}shift", f"{_OWN}scaled"], [f"{_OWN}offset"]),
        make_node("Reshape", [f"{_OWN}factor", f"{_OWN}shape"], [f"{_OWN}factors"]),
        make_node("Reshape", [f"{_OWN}offset", f"{_OWN}shape"], [f"{_OWN}offsets"]),
        make_node("Split", [f"{_OWN}factors", f"{_OWN}sizes"], factors, axis=1),
        make_node("Split", [f"{_OWN}offsets", f"{_OWN}sizes"], offsets, axis=1),
    )
    for number, layer in enumerate(layers):
        nodes.replace(
            layer.node,
            make_node("Mul", [layer.features, factors[number]], [f"{_OWN}{number}.scaled"]),
            make_node("Add", [f"{_OWN}{number}.scaled", offsets[number]], [layer.node.output[0]]),
        )
    constants += _move_noise(graph, nodes, stride)
    nodes.store(constants)
    graph.input.append(make_value(STATISTICS, FLOAT, (2, channels)))
    graph.input.append(make_value(ORIGIN, INT64, (2,)))
    return bytes(model.SerializeToString())


def noise_tiles(content: bytes) -> list[NDArray[np.float32]]:
    """Read the tile of each map of noise, (1, 1, S, S), the one at the stride first; none if they are not float32."""
    graph = parse_model(content).graph
    constants = read_constants(graph)
    found = [constants.get(node.input[0]) for node in graph.node if node.op_type == "Tile"]
    tiles = [tile for tile in found if tile is not None and tile.dtype == np.float32]
    return tiles if len(tiles) == len(found) else []


def noise_input(number: int) -> str:
    """The name under which a form with ``noise_given`` takes its map of noise of that number."""
    return f"noise{number}"


def fixed_form(content: bytes, statistics: Statistics, *, stride: int, noise_given: bool = False) -> bytes:
    """Make the form whose statistics are fixed: its normalizations vanish into the convolutions before them.

    It takes ``image`` and gives ``stylized``, as the style itself. ``origin``, as of :func:`apply_form`, may be given;
    or the maps of noise themselves must be.

    Args:
        content: A serialized style with float32 normalizations.
        statistics: (2, C), of the form that measures.
        stride: Of its network, px.
        noise_given: Take each map of noise as an input, (1, 1, h, w), at least as large as the features it is added to.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    layers = find_layers(graph)
    nodes = Nodes(graph)
    folding = _Folding(graph)
    first = 0
    for number, layer in enumerate(layers):
        mean, variance = statistics[:, first : first + layer.scale.size]
        first += layer.scale.size
        factor = layer.scale / np.sqrt(variance + np.float32(layer.epsilon))
        offset = layer.shift - mean * factor
        if folding.fold(layer.features, factor, offset):
            nodes.rename(layer.node.output[0], layer.features)
            nodes.replace(layer.node)
            continue
        own = f"{_OWN}{number}."
        folding.constants += [
            make_tensor(f"{own}factor", factor.reshape(1, -1, 1, 1)),
            make_tensor(f"{own}offset", offset.reshape(1, -1, 1, 1)),
        ]
        nodes.replace(
            layer.node,
            make_node("Mul", [layer.features, f"{own}factor"], [f"{own}scaled"]),
            make_node("Add", [f"{own}scaled", f"{own}offset"], [layer.node.output[0]]),
        )
    if noise_given:
        tiles = [node for node in graph.node if node.op_type == "Tile"]
        for number, node in enumerate(tiles):
            name = noise_input(number)
            nodes.rename(node.output[0], name)
            nodes.replace(node)
            graph.input.append(make_value(name, FLOAT, (1, 1, f"rows{number}", f"columns{number}")))
        nodes.store(folding.constants)
    else:
        nodes.store([*folding.constants, *_move_noise(graph, nodes, stride), make_tensor(ORIGIN, np.array([0, 0]))])
        graph.input.append(make_value(ORIGIN, INT64, (2,)))
    prune(graph)
    return bytes(model.SerializeToString())


def _move_noise(graph: Any, nodes: Nodes, stride: int) -> list[Any]:
    """Roll each tile of noise by the origin before it is repeated; return the constants that this takes."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    constants: list[Any] = []
    # The first lies at the network's stride, the second at half of it.
    for number, node in enumerate(node for node in graph.node if node.op_type == "Tile"):
        own, tile = f"{_OWN}noise{number}.", node.input[0]
        if tile not in shapes:
            raise ModelError("this graph repeats something that is no constant noise")
        side = shapes[tile][-1]
        constants += [
            make_tensor(f"{own}cell", np.array(stride >> number)),
            make_tensor(f"{own}side", np.array([side, side])),
            make_tensor(f"{own}axes", np.array([2, 3])),
            make_tensor(f"{own}twice", np.array([1, 1, 2, 2])),
        ]
        moved = make_node("Tile", [f"{own}rolled", node.input[1]], [node.output[0]])
        nodes.replace(
            node,
            make_node("Div", [ORIGIN, f"{own}cell"], [f"{own}cells"]),
            make_node("Mod", [f"{own}cells", f"{own}side"], [f"{own}first"]),
            make_node("Add", [f"{own}first", f"{own}side"], [f"{own}last"]),
            make_node("Tile", [tile, f"{own}twice"], [f"{own}doubled"]),
            make_node("Slice", [f"{own}doubled", f"{own}first", f"{own}last", f"{own}axes"], [f"{own}rolled"]),
            moved,
        )
    return constants


class _Folding:
    """Convolutions whose weights take over a scale and a shift of their outputs."""

    def __init__(self, graph: Any) -> None:
        self.constants: list[Any] = []
        self._graph = graph
        self._known = read_constants(graph)
        self._makers = {output: node for node in graph.node for output in node.output}
        names = [name for node in graph.node for name in node.input] + [value.name for value in graph.output]
        self._uses = {name: names.count(name) for name in set(names)}

    def fold(self, features: str, factor: Statistics, offset: Statistics) -> bool:
        """Scale and shift features, (N, C, H, W), where they are made; return False if that cannot be done."""
        parts = self._parts(features)
        if not parts:
            return False
        for number, node in enumerate(parts):
            self._scale(node, factor, offset if number == 0 else np.zeros_like(offset))
        return True

    def _parts(self, features: str) -> Sequence[Any]:
        """The convolutions whose sum the features are, if nobody else sees them."""
        node = self._makers.get(features)
        if node is None or self._uses.get(features) != 1:
            return ()
        if node.op_type in {"Conv", "ConvTranspose"}:
            weights = node.input[1:]
            return (node,) if all(name in self._known and self._uses[name] == 1 for name in weights) else ()
        if node.op_type != "Add":
            return ()
        first, second = map(self._parts, node.input)
        return (*first, *second) if first and second else ()

    def _scale(self, node: Any, factor: Statistics, offset: Statistics) -> None:
        weight = self._known[node.input[1]]
        axis = 0 if node.op_type == "Conv" else 1
        shape = [-1 if number == axis else 1 for number in range(weight.ndim)]
        bias = self._known[node.input[2]] if len(node.input) > 2 else np.zeros_like(factor)
        names = [f"{_OWN}{node.output[0]}.{what}" for what in ("weight", "bias")]
        self.constants += [
            make_tensor(names[0], np.ascontiguousarray(weight * factor.reshape(shape), np.float32)),
            make_tensor(names[1], np.ascontiguousarray(bias * factor + offset, np.float32)),
        ]
        node.input[:] = [node.input[0], *names]
