"""Many styles in one file: their scales and shifts, mixed by weights that are given beside the picture.

Styles that share their convolutions differ in the scales and shifts of their instance normalizations only. Here these
become a table, of which a picture takes any mixture. Where a strength was learned, each of them is a parabola over its
logarithm. Made from the graphs of the styles themselves, and turned back into a graph of one style.

Reference:
    Dumoulin, Shlens and Kudlur 2017, section 2.2: a set of scales and shifts for each style, and linear mixtures.
    Babaeizadeh and Ghiasi 2018; Dosovitskiy and Djolonga 2020: a weight of the loss that the network is told.

Differs from them:
    The strength changes scales and shifts by a polynomial of its own for each, not by a network.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError, ModelError, did_you_mean
from fast_style.model.checksum import CHECKSUM_KEY, add_checksum
from fast_style.model.editing import Layer, Nodes, find_layers, prune
from fast_style.model.messages import FLOAT, FLOAT16, make_node, make_tensor, make_value, parse_model, read_tensor
from fast_style.model.signature import INPUT

STYLES, STRENGTH = "styles", "strength"
# A style's set: (P, 2, C), the scales and shifts of all C channels of all normalizations in their order, for
# each power of the logarithm of the strength to the base 4: one, or three of them.
Set = NDArray[np.float32]
# Below and above, a graph takes the nearest.
WEAKEST, STRONGEST = 0.25, 4.0

# Metadata: the styles' names as a JSON list, in the order of their weights.
NAMES_KEY = "styles"
_OWN = "styles."
# Names of a network's weights in a file of ours.
_WEIGHTS = "network."


def style_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Read from a file's metadata which styles it holds; none if it names none, as other programs' files.

    Raises:
        ModelError: They are no list of names.
    """
    if NAMES_KEY not in metadata:
        return ()
    try:
        names = json.loads(metadata[NAMES_KEY])
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ModelError("the names of its styles cannot be read", hint="Copy or download the file again.")
    return tuple(names)


def takes_styles(graph: Any) -> bool:
    """Whether a graph has the input ``styles``, which one of a single style need not have."""
    return any(value.name == STYLES for value in graph.input)


def read_sets(content: bytes) -> dict[str, Set]:
    """Read the sets of a serialized graph by style; that of a graph without names is called ``""``.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    names = _names_in(model)
    if not takes_styles(model.graph):
        return {"".join(names[:1]): _set_of(find_layers(model.graph))}
    tables = _tables(model.graph)
    if tables[0].shape[0] != len(names) or tables[0].shape[1] % 2:
        raise ModelError(
            "its table of styles does not have a row for each name", hint="Copy or download the file again."
        )
    count = tables[0].shape[1] // 2
    powers = np.stack([table.reshape(len(names), 2, count) for table in tables], axis=1)
    return dict(zip(names, powers, strict=True))


def give_styles(content: bytes, sets: Mapping[str, Set]) -> bytes:
    """Make a graph of many styles out of a graph of one.

    It takes ``styles`` (N or 1, K) and, if the sets have three powers, ``strength`` (N or 1, 1), both float32 with
    defaults inside: whoever gives only the picture gets the first style at strength 1.

    Args:
        content: A serialized style with float32 normalizations; its own set plays no part.
        sets: The styles by name.

    Raises:
        InputError: The sets differ in shape, or do not fit the graph.
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    graph = model.graph
    layers = find_layers(graph)
    sizes = [layer.scale.size for layer in layers]
    shapes = {values.shape for values in sets.values()}
    if len(shapes) != 1 or (shape := shapes.pop())[1:] != (2, sum(sizes)) or shape[0] not in {1, 3}:
        raise InputError("the styles' sets of scales and shifts do not fit the network", hint="Take those of one base.")
    powers, count = shape[0], len(sets)
    tables = [np.stack([values[power].ravel() for values in sets.values()]) for power in range(powers)]
    first = np.zeros((1, count), np.float32)
    first[0, 0] = 1.0
    constants = [
        make_tensor(STYLES, first),
        make_tensor(f"{_OWN}table0", tables[0]),
        make_tensor(f"{_OWN}width", np.array([2 * sum(sizes)])),
        make_tensor(f"{_OWN}sizes", np.array([*sizes, *sizes])),
        make_tensor(f"{_OWN}flat", np.array([-1])),
        make_tensor(f"{_OWN}joined", np.array([1, -1, 0, 0])),
        make_tensor(f"{_OWN}axis", np.array([0])),
        make_tensor(f"{_OWN}end", np.array([1])),
    ]
    nodes = Nodes(graph)
    mixed = [f"{_OWN}mixed{power}" for power in range(powers)]
    for power in range(1, powers):  # in half the size
        constants.append(make_tensor(f"{_OWN}half{power}", tables[power].astype(np.float16)))
        nodes.prepend(make_node("Cast", [f"{_OWN}half{power}"], [f"{_OWN}table{power}"], to=FLOAT))
    nodes.prepend(*(make_node("MatMul", [STYLES, f"{_OWN}table{power}"], [mixed[power]]) for power in range(powers)))
    graph.input.append(make_value(STYLES, FLOAT, ("styles_batch", count)))
    whole = mixed[0]
    if powers == 3:
        constants += [
            make_tensor(STRENGTH, np.ones((1, 1), np.float32)),
            make_tensor(f"{_OWN}weakest", np.array(WEAKEST, np.float32)),
            make_tensor(f"{_OWN}strongest", np.array(STRONGEST, np.float32)),
            make_tensor(f"{_OWN}base", np.array(1 / math.log(4.0), np.float32)),
        ]
        graph.input.append(make_value(STRENGTH, FLOAT, ("strength_batch", 1)))
        whole = f"{_OWN}whole"
        nodes.prepend(
            make_node("Clip", [STRENGTH, f"{_OWN}weakest", f"{_OWN}strongest"], [f"{_OWN}bounded"]),
            make_node("Log", [f"{_OWN}bounded"], [f"{_OWN}logarithm"]),
            make_node("Mul", [f"{_OWN}logarithm", f"{_OWN}base"], [f"{_OWN}power"]),
            make_node("Mul", [mixed[2], f"{_OWN}power"], [f"{_OWN}bend"]),
            make_node("Add", [mixed[1], f"{_OWN}bend"], [f"{_OWN}slope"]),
            make_node("Mul", [f"{_OWN}slope", f"{_OWN}power"], [f"{_OWN}change"]),
            make_node("Add", [mixed[0], f"{_OWN}change"], [whole]),
        )
    # One row of scales and shifts for each picture, whether one row or as many were given.
    nodes.prepend(
        make_node("Shape", [INPUT], [f"{_OWN}image"]),
        make_node("Slice", [f"{_OWN}image", f"{_OWN}axis", f"{_OWN}end"], [f"{_OWN}batch"]),
        make_node("Concat", [f"{_OWN}batch", f"{_OWN}width"], [f"{_OWN}shape"], axis=0),
        make_node("Expand", [whole, f"{_OWN}shape"], [f"{_OWN}rows"]),
    )
    scales, shifts = ([f"{_OWN}{what}{number}" for number in range(len(layers))] for what in ("scales", "shifts"))
    nodes.prepend(make_node("Split", [f"{_OWN}rows", f"{_OWN}sizes"], [*scales, *shifts], axis=1))
    taken: set[str] = set()
    for number, layer in enumerate(layers):
        own = f"{_OWN}{number}."
        # Layers whose values were equal, as of a network that has learned nothing yet, may share them by one name.
        names = [name if name not in taken else f"{name}.{number}" for name in layer.names]
        taken.update(names)
        constants.append(make_tensor(f"{own}apart", np.array([-1, layer.scale.size, 0, 0])))
        # The pictures of a batch side by side as channels: so each has scales and shifts of its own, at no cost.
        scale, shift = (f"{_OWN}{name}" for name in names)
        joined, normalized = f"{own}joined", f"{own}normalized"
        nodes.replace(
            layer.node,
            make_node("Reshape", [scales[number], f"{_OWN}flat"], [scale]),
            make_node("Reshape", [shifts[number], f"{_OWN}flat"], [shift]),
            make_node("Reshape", [layer.features, f"{_OWN}joined"], [joined]),
            make_node("InstanceNormalization", [joined, scale, shift], [normalized], epsilon=layer.epsilon),
            make_node("Reshape", [normalized, f"{own}apart"], [layer.node.output[0]]),
        )
    nodes.store(constants)
    prune(graph)
    _name_styles(model, list(sets))
    return bytes(model.SerializeToString())


def with_metadata(content: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Change the metadata of a serialized graph of ours, None drops an entry, and end it with its checksum anew."""
    model = parse_model(content)
    changes = {CHECKSUM_KEY: None, **changes}
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key not in changes}
    del model.metadata_props[:]
    for key, value in {**kept, **changes}.items():
        if value is not None:
            model.metadata_props.add(key=key, value=value)
    return add_checksum(bytes(model.SerializeToString()))


def without_defaults(content: bytes) -> bytes:
    """Make a graph's weights and strength inputs that must be given: some runtimes take no others."""
    model = parse_model(content)
    kept = [one.SerializeToString() for one in model.graph.initializer if one.name not in {STYLES, STRENGTH}]
    del model.graph.initializer[:]
    for copy in kept:
        model.graph.initializer.add().MergeFromString(copy)
    return with_metadata(bytes(model.SerializeToString()), {})


def choose_styles(content: bytes, weights: Mapping[str, float], strength: float = 1.0) -> bytes:
    """Turn a graph of many styles into the graph of one mixture at one strength, which takes only the picture.

    A graph that takes only the picture is returned as it is.

    Raises:
        InputError: It does not hold such a style.
    """
    model = parse_model(content)
    graph = model.graph
    if not takes_styles(graph):
        as_row(_names_in(model), weights)
        return content
    values = mixture(read_sets(content), weights, strength)
    nodes = Nodes(graph)
    makers = {node.output[0]: node for node in graph.node}
    users = {name: node for node in graph.node for name in node.input}
    constants, first = [], 0
    for node in [node for node in graph.node if node.op_type == "InstanceNormalization"]:
        joined, apart = makers[node.input[0]], users[node.output[0]]
        names = [name.removeprefix(_OWN) for name in node.input[1:]]
        size = int(_constant(graph, apart.input[1])[1])
        constants += [
            make_tensor(name, np.ascontiguousarray(row[first : first + size]))
            for name, row in zip(names, values, strict=True)
        ]
        first += size
        epsilon = next(attribute.f for attribute in node.attribute if attribute.name == "epsilon")
        nodes.replace(node)
        nodes.replace(
            apart,
            make_node("InstanceNormalization", [joined.input[0], *names], [apart.output[0]], epsilon=float(epsilon)),
        )
    nodes.store(constants)
    kept = [value.SerializeToString() for value in graph.input if value.name not in {STYLES, STRENGTH}]
    del graph.input[:]
    for value in kept:
        graph.input.add().MergeFromString(value)
    prune(graph)
    _name_styles(model, ["+".join(name for name, weight in weights.items() if weight)])
    return bytes(model.SerializeToString())


def base_checksum(content: bytes) -> str:
    """Tell the network of a serialized graph by what its styles share: the SHA-256 of all weights but the sets.

    Raises:
        ModelError: It is no float32 style of ours.
    """
    graph = parse_model(content).graph
    own = {name for node in graph.node if node.op_type == "InstanceNormalization" for name in node.input[1:]}
    weights = {
        tensor.name: values
        for tensor in graph.initializer
        if tensor.name.startswith(_WEIGHTS) and tensor.name not in own
        if (values := read_tensor(tensor, (FLOAT,))) is not None
    }
    if not own or not weights:
        raise ModelError(
            "its styles cannot be told from its network", hint="Give a float32 file that fast-style exported."
        )
    digest = hashlib.sha256()
    for name, values in sorted(weights.items()):
        digest.update(f"{name} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def mixture(sets: Mapping[str, Set], weights: Mapping[str, float], strength: float) -> NDArray[np.float32]:
    """Mix sets to scales and shifts, (2, C)."""
    power = math.log(min(max(strength, WEAKEST), STRONGEST), 4.0)
    row = as_row(tuple(sets), weights)
    mixed = np.tensordot(row[0], np.stack(list(sets.values())), 1)
    powers = np.array([power**exponent for exponent in range(len(mixed))], np.float32)
    return np.tensordot(powers, mixed, 1).astype(np.float32)


def as_row(names: Sequence[str], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """Put weights of styles in the graph's order, (1, K), summing to 1.

    Raises:
        InputError: A style is not among them, a weight is negative, or there is none.
    """
    for name, weight in weights.items():
        if name not in names:
            raise InputError(
                f"there is no style {name!r} in the file{did_you_mean(name, names)}",
                hint=f"It holds {', '.join(names) or 'one style without a name'}.",
            )
        if not 0 <= weight < math.inf:
            raise InputError(f"the weight of {name} is {weight}; expected a number from 0 up")
    total = sum(weights.values())
    if not total:
        raise InputError("the weights of the styles are all zero; at least one has to count")
    return np.array([[weights.get(name, 0.0) / total for name in names]], np.float32)


def _names_in(model: Any) -> tuple[str, ...]:
    return style_names({entry.key: entry.value for entry in model.metadata_props})


def _name_styles(model: Any, names: Sequence[str]) -> None:
    entries = [entry for entry in model.metadata_props if entry.key == NAMES_KEY]
    entry = entries[0] if entries else model.metadata_props.add(key=NAMES_KEY)
    entry.value = json.dumps(names)


def _set_of(layers: Sequence[Layer]) -> Set:
    scales, shifts = (np.concatenate([getattr(layer, what) for layer in layers]) for what in ("scale", "shift"))
    return np.stack([scales, shifts])[None]


def _tables(graph: Any) -> list[NDArray[np.float32]]:
    """Read the tables of all powers, each (K, 2C)."""
    found = {tensor.name: tensor for tensor in graph.initializer if tensor.name.startswith(_OWN)}
    tables = []
    for name in ("table0", "half1", "half2"):
        if f"{_OWN}{name}" in found:
            values = read_tensor(found[f"{_OWN}{name}"], (FLOAT, FLOAT16))
            if values is not None and values.ndim == 2:
                tables.append(values.astype(np.float32))
    if len(tables) not in {1, 3} or len({table.shape for table in tables}) != 1:
        raise ModelError("its table of styles cannot be read", hint="Copy or download the file again.")
    return tables


def _constant(graph: Any, name: str) -> NDArray[Any]:
    values = next((read_tensor(tensor) for tensor in graph.initializer if tensor.name == name), None)
    if values is None:
        raise ModelError("its normalizations cannot be read", hint="Copy or download the file again.")
    return values
