"""Changing a graph: its normalizations, and nodes that others take the place of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError
from fast_style.model.messages import read_attribute, read_tensor


class Layer:
    """A normalization.

    Attributes:
        node: Its node.
        features: What it normalizes.
        names: Its scale's name and its shift's.
        scale: (C).
        shift: (C).
        epsilon: Added to the variance.
    """

    def __init__(self, node: Any, constants: dict[str, NDArray[Any]]) -> None:
        self.node = node
        self.features, *self.names = node.input
        scale, shift = self.names
        if any(constants.get(name, np.empty(0)).dtype != np.float32 for name in self.names):
            raise ModelError(
                "the normalizations of this graph are not in float32, so that it can only see whole pictures",
                hint="Use the float32 file of the style.",
            )
        self.scale, self.shift = constants[scale], constants[shift]
        self.epsilon = float(read_attribute(node, "epsilon", 1e-5))


def find_layers(graph: Any) -> list[Layer]:
    """Find the normalizations of a parsed graph, in their order.

    Raises:
        ModelError: There are none, or they are not in float32.
    """
    constants = read_constants(graph)
    found = [Layer(node, constants) for node in graph.node if node.op_type == "InstanceNormalization"]
    if not found:
        raise ModelError("this graph has no instance normalization, whose statistics could be given")
    return found


def read_constants(graph: Any) -> dict[str, NDArray[Any]]:
    """Read the initializers of float32 and int64, by name."""
    return {tensor.name: values for tensor in graph.initializer if (values := read_tensor(tensor)) is not None}


class Nodes:
    """The nodes of a graph while some are replaced by others."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self._before: list[Any] = []
        self._after: list[Any] = []
        self._instead: dict[str, tuple[Any, ...]] = {}
        self._names: dict[str, str] = {}

    def prepend(self, *nodes: Any) -> None:
        """Put nodes before all others, after what was prepended so far."""
        self._before += nodes

    def append(self, *nodes: Any) -> None:
        """Put nodes after all others."""
        self._after += nodes

    def replace(self, node: Any, *nodes: Any) -> None:
        """Put nodes in the place of one."""
        self._instead[node.output[0]] = nodes

    def rename(self, old: str, new: str) -> None:
        """Let whoever takes one value take another."""
        self._names[old] = new

    def store(self, constants: Iterable[Any]) -> None:
        """Put all of it into the graph."""
        kept = [self._instead.get(node.output[0], (node,)) for node in self.graph.node]
        nodes = [*self._before, *(node for group in kept for node in group), *self._after]
        for node in nodes:
            node.input[:] = [self._names.get(name, name) for name in node.input]
        copies = [node.SerializeToString() for node in nodes]
        del self.graph.node[:]
        for copy in copies:
            self.graph.node.add().MergeFromString(copy)
        self.graph.initializer.extend(constants)


def prune(graph: Any) -> None:
    """Drop the nodes and constants that no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node.SerializeToString())
    del graph.node[:]
    for copy in reversed(kept):
        graph.node.add().MergeFromString(copy)
    needed.update(value.name for value in graph.input)  # a default may belong to an input that nothing heeds
    tensors = [tensor.SerializeToString() for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    for copy in tensors:
        graph.initializer.add().MergeFromString(copy)
