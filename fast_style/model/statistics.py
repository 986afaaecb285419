"""Graph variants of a style: one that measures a picture's statistics, and one whose statistics are fixed.

An instance normalization looks at the whole picture. The measuring variant returns what the normalizations find in a
picture, or in a batch of its parts. The fixed variant has those statistics as constants: a part of a picture is drawn
as in the whole, and a frame of a film like the others. Both are made from a style's own graph, so every file has them.

Reference:
    Chen et al. 2022 (URST), section 3.2, give a thumbnail's statistics to every part of a large picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError
from fast_style.model.editing import (
    FLOAT,
    INT64,
    GraphEdit,
    Layer,
    add_input,
    adder,
    find_layers,
    make_node,
    parse_model,
    read_constants,
    set_output,
)
from fast_style.model.reach import follow_picture

if TYPE_CHECKING:
    from onnx import NodeProto

STATISTICS, ORIGIN, MASK = "statistics", "origin", "mask"
Statistics = NDArray[np.float32]

# The names of the tensors and nodes that a variant adds begin with this.
_PREFIX = "form."
# Constants that its nodes share: the axes over which they measure, and an empty one.
_AXES, _NONE = f"{_PREFIX}axes", f"{_PREFIX}none"


def measure_form(content: bytes, *, rim: int = 0, masked: bool = False) -> bytes:
    """Make the measuring variant.

    It takes ``image`` (N, 3, H, W) and returns ``statistics`` (2, C): the means and the variances of all C channels of
    all the normalizations, over the whole batch, as if it were one picture.

    Args:
        content: A serialized style with float32 normalizations.
        rim: Leave out this many px along the border of each picture: for parts, which have much border for their size.
        masked: Take ``mask`` (N, 1, H, W), too: how much each pixel counts. Not together with a rim.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    layers = find_layers(graph)
    seen = follow_picture(graph) if rim else {}
    edit = GraphEdit(graph)
    edit.constant(_AXES, np.array([0, 2, 3]))
    if masked:
        add_input(graph, MASK, FLOAT, ("mask_batch", 1, "mask_height", "mask_width"))
        edit.constant(_NONE, np.empty(0, np.float32))
    measured = []
    for number, layer in enumerate(layers):
        prefix = f"{_PREFIX}{number}."
        nodes: list[NodeProto] = []
        if masked:
            found = _measure_masked(nodes, layer, prefix)
        else:
            cells = int(rim / seen[layer.features].cell) if rim else 0
            found = _measure(edit, nodes, layer, prefix, cells)
        _normalize(edit, nodes, layer, prefix, *found)
        edit.replace(layer.node, *nodes)
        measured.append(found)
    channels = sum(layer.scale.size for layer in layers)
    add = adder(edit.after, _PREFIX)
    means, variances = zip(*measured, strict=True)
    joined = add("Concat", [*means, *variances], "all", axis=1)
    shape = edit.constant(f"{_PREFIX}shape", np.array([2, channels]))
    edit.after.append(make_node("Reshape", [joined, shape], [STATISTICS]))
    set_output(graph, STATISTICS, (2, channels))
    edit.apply()
    return bytes(model.SerializeToString())


def _measure(edit: GraphEdit, nodes: list[NodeProto], layer: Layer, prefix: str, cells: int) -> tuple[str, str]:
    """Find mean and variance of the features, without ``cells`` positions along their border."""
    add, counted = adder(nodes, prefix), layer.features
    if cells:
        bounds = {"first": [cells, cells], "last": [-cells, -cells], "sides": [2, 3]}
        names = [edit.constant(prefix + name, np.array(values)) for name, values in bounds.items()]
        counted = add("Slice", [layer.features, *names], "counted")
    mean = add("ReduceMean", [counted, _AXES], "mean")
    deviations = add("Sub", [counted, mean], "deviations")
    squares = add("Mul", [deviations, deviations], "squares")
    return mean, add("ReduceMean", [squares, _AXES], "variance")


def _normalize(edit: GraphEdit, nodes: list[NodeProto], layer: Layer, prefix: str, mean: str, variance: str) -> None:
    """Normalize features by the mean and the variance that were measured."""
    add = adder(nodes, prefix)
    scale = edit.constant(f"{prefix}scale", layer.scale.reshape(1, -1, 1, 1))
    shift = edit.constant(f"{prefix}shift", layer.shift.reshape(1, -1, 1, 1))
    epsilon = edit.constant(f"{prefix}epsilon", np.array(layer.epsilon, np.float32))
    centered = add("Sub", [layer.features, mean], "centered")
    deviation = add("Sqrt", [add("Add", [variance, epsilon], "sum")], "deviation")
    scaled = add("Mul", [centered, add("Div", [scale, deviation], "factor")], "scaled")
    nodes.append(make_node("Add", [scaled, shift], [layer.node.output[0]]))


def _measure_masked(nodes: list[NodeProto], layer: Layer, prefix: str) -> tuple[str, str]:
    """Find a mean and a variance in which each position counts as much as the mask says there."""
    add = adder(nodes, prefix)
    # The mask at the features' size. They have up to four cells around the picture more, by which it is stretched: the
    # mask is off by that much at the border, and right in the middle.
    sides, batch = add("Shape", [layer.features], "sides", start=2), add("Shape", [MASK], "batch", end=2)
    target = add("Concat", [batch, sides], "target", axis=0)
    weights = add("Resize", [MASK, _NONE, _NONE, target], "weights", mode="linear", antialias=1)
    total = add("ReduceSum", [weights, _AXES], "total")
    weighted = add("Mul", [layer.features, weights], "weighted")
    mean = add("Div", [add("ReduceSum", [weighted, _AXES], "added"), total], "mean")
    deviations = add("Sub", [layer.features, mean], "deviations")
    squares = add("Mul", [deviations, deviations], "squares")
    heavy = add("Mul", [squares, weights], "heavy")
    return mean, add("Div", [add("ReduceSum", [heavy, _AXES], "spread"), total], "variance")


def features_per_pixel(content: bytes) -> float:
    """Return how many values the largest normalized features have for each pixel of the picture.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    graph = parse_model(content).graph
    seen = follow_picture(graph)
    return max(float(layer.scale.size / seen[layer.features].cell ** 2) for layer in find_layers(graph))


def noise_tiles(content: bytes) -> list[NDArray[np.float32]]:
    """Read the tile of each map of noise, (1, 1, S, S), the one at the stride first; none if they are not float32."""
    graph = parse_model(content).graph
    constants = read_constants(graph)
    tiles = [constants.get(node.input[0]) for node in graph.node if node.op_type == "Tile"]
    floats = [tile for tile in tiles if tile is not None and tile.dtype == np.float32]
    return floats if len(floats) == len(tiles) else []


def noise_input(number: int) -> str:
    """Name the input of a fixed variant with ``noise_given`` for its map of noise of that number."""
    return f"noise{number}"


def fixed_form(content: bytes, statistics: Statistics, *, stride: int, noise_given: bool = False) -> bytes:
    """Make the fixed variant: its normalizations become a scale and a shift, which ONNX Runtime adds to convolutions.

    It takes ``image`` and returns ``stylized``, like the style itself. ``origin`` (2), int64, may be given: row and
    column of the picture's upper left corner in the whole picture, px, multiples of the network's stride; by default
    0, 0. With ``noise_given`` the maps of noise are given instead.

    Args:
        content: A serialized style with float32 normalizations.
        statistics: (2, C), from the measuring variant.
        stride: Of its network, px: the side of a cell in which it works.
        noise_given: Take each map of noise as an input, (1, 1, h, w), at least as large as the features it is added to.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    if noise_given:
        for number, node in enumerate(node for node in graph.node if node.op_type == "Tile"):
            add_input(graph, noise_input(number), FLOAT, (1, 1, f"rows{number}", f"columns{number}"))
            for user in graph.node:
                user.input[:] = [noise_input(number) if name == node.output[0] else name for name in user.input]
    layers, edit = find_layers(graph), GraphEdit(graph)
    ends = np.cumsum([layer.scale.size for layer in layers])
    parts = np.split(statistics, ends[:-1], axis=1)
    for number, (layer, (mean, variance)) in enumerate(zip(layers, parts, strict=True)):
        factor = layer.scale / np.sqrt(variance + np.float32(layer.epsilon))
        offset = layer.shift - mean * factor
        prefix = f"{_PREFIX}{number}."
        factors = edit.constant(f"{prefix}factor", factor.reshape(1, -1, 1, 1))
        offsets = edit.constant(f"{prefix}offset", offset.reshape(1, -1, 1, 1))
        edit.replace(
            layer.node,
            make_node("Mul", [layer.features, factors], [f"{prefix}scaled"]),
            make_node("Add", [f"{prefix}scaled", offsets], [layer.node.output[0]]),
        )
    if not noise_given:
        _move_noise(edit, stride)
    edit.apply()
    return bytes(model.SerializeToString())


def _move_noise(edit: GraphEdit, stride: int) -> None:
    """Add the input ``origin``, and roll each tile of noise by it before the tile is repeated."""
    add_input(edit.graph, ORIGIN, INT64, (2,))
    edit.constant(ORIGIN, np.array([0, 0]))
    shapes = {tensor.name: tuple(tensor.dims) for tensor in edit.graph.initializer}
    # The first lies at the network's stride, the second at half of it.
    for number, node in enumerate(node for node in edit.graph.node if node.op_type == "Tile"):
        prefix, tile = f"{_PREFIX}noise{number}.", node.input[0]
        if tile not in shapes:
            raise ModelError("this graph repeats a tensor that is not constant noise")
        cell = edit.constant(f"{prefix}cell", np.array(stride >> number))
        side = edit.constant(f"{prefix}side", np.array([shapes[tile][-1]] * 2))
        axes = edit.constant(f"{prefix}axes", np.array([2, 3]))
        twice = edit.constant(f"{prefix}twice", np.array([1, 1, 2, 2]))
        nodes: list[NodeProto] = []
        add = adder(nodes, prefix)
        first = add("Mod", [add("Div", [ORIGIN, cell], "cells"), side], "first")
        last = add("Add", [first, side], "last")
        rolled = add("Slice", [add("Tile", [tile, twice], "doubled"), first, last, axes], "rolled")
        edit.replace(node, *nodes, make_node("Tile", [rolled, node.input[1]], [node.output[0]]))
