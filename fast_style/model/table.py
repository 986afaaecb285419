"""Many styles in one file: their scales and shifts, mixed by weights that are given beside the picture.

Styles that share their convolutions differ in the scales and shifts of their instance normalizations only. Here these
become a table, of which a picture takes any mixture. It is made from the styles' own graphs, and can be turned back.

Reference:
    Dumoulin, Shlens and Kudlur 2017, section 2.2: a set of scales and shifts for each style, and linear mixtures.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError, ModelError, damaged_model, did_you_mean
from fast_style.files import is_plain_name
from fast_style.model.checksum import CHECKSUM_KEY, add_checksum
from fast_style.model.editing import (
    FLOAT,
    GraphEdit,
    Layer,
    add_input,
    find_layers,
    keep_initializers,
    make_node,
    parse_model,
    read_attribute,
    read_constants,
    read_metadata,
    read_tensor,
    write_metadata,
)
from fast_style.model.opening import INPUT
from fast_style.model.passes import PASSES_KEY

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

STYLES = "styles"
# A style's set: (2, C), the scales and shifts of all C channels of all normalizations in their order.
Set = NDArray[np.float32]

# Metadata: the styles' names as a JSON list, in the order of their weights.
NAMES_KEY = "styles"
_PREFIX = "styles."
_TABLE = f"{_PREFIX}table"  # (K, 2C)
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
    except (ValueError, RecursionError):  # thousands of brackets nest too deeply
        names = None
    # Files are written under these names.
    if not isinstance(names, list) or not names or not all(map(is_plain_name, names)):
        raise _unreadable("the names of its styles")
    return tuple(names)


def paintings_in(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read from a file's metadata what is known of its paintings, by style; nothing if it does not say.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        known = json.loads(metadata.get("paintings", "{}"))
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or not all(isinstance(facts, dict) for facts in known.values()):
        raise _unreadable("what the file says of its paintings")
    return known


def number_in(metadata: Mapping[str, str], key: str) -> int | None:
    """Read a whole number, of at most nine digits, from a file's metadata; None if there is none."""
    text = metadata.get(key, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _unreadable(what: str) -> ModelError:
    return damaged_model(f"{what} cannot be read")


def takes_styles(graph: GraphProto) -> bool:
    """Whether a graph has the input ``styles``, which that of a single style need not have."""
    return any(value.name == STYLES for value in graph.input)


def read_sets(content: bytes) -> dict[str, Set]:
    """Read the sets of a serialized graph by style; that of a graph without names is called ``""``.

    Raises:
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    names = style_names(read_metadata(model))
    if not takes_styles(model.graph):
        _check_one_pass(model)
        values = np.concatenate([[layer.scale, layer.shift] for layer in find_layers(model.graph)], axis=1)
        return {"".join(names[:1]): values}
    tensors = [tensor for tensor in model.graph.initializer if tensor.name == _TABLE]
    table = read_tensor(tensors[0], ("float32",)) if tensors else None
    if table is None or table.ndim != 2 or table.shape[0] != len(names) or table.shape[1] % 2:
        raise _unreadable("its table of styles")
    return dict(zip(names, table.reshape(len(names), 2, -1), strict=True))


def give_styles(content: bytes, sets: Mapping[str, Set], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """Make a graph of many styles out of a serialized one with float32 normalizations, whose own set plays no part.

    It takes ``styles`` (N or 1, K), float32, with a default inside: if only the picture is given, it is drawn in the
    first style. ``metadata`` replaces entries of the graph's own.

    Raises:
        InputError: The sets differ in shape, or do not fit the graph.
        ModelError: It has no normalizations, or others.
    """
    model = parse_model(content)
    layers = find_layers(model.graph)
    sizes = [layer.scale.size for layer in layers]
    shapes = {values.shape for values in sets.values()}
    if shapes != {(2, sum(sizes))}:
        raise InputError("the styles' sets of scales and shifts do not fit the network", hint="Take those of one base.")
    edit = GraphEdit(model.graph)
    add_input(edit.graph, STYLES, FLOAT, ("styles_batch", len(sets)))
    edit.constant(STYLES, np.eye(1, len(sets), dtype=np.float32))
    edit.constant(_TABLE, np.stack([values.ravel() for values in sets.values()]))
    width = edit.constant(f"{_PREFIX}width", np.array([2 * sum(sizes)]))
    axis, end = edit.constant(f"{_PREFIX}axis", np.array([0])), edit.constant(f"{_PREFIX}end", np.array([1]))
    parts = edit.constant(f"{_PREFIX}sizes", np.array([*sizes, *sizes]))
    named = [f"{_PREFIX}{what}{number}" for what in ("scales", "shifts") for number in range(len(sizes))]
    edit.before += [
        make_node("MatMul", [STYLES, _TABLE], [f"{_PREFIX}mixed"]),
        # A row for each picture.
        make_node("Shape", [INPUT], [f"{_PREFIX}image"]),
        make_node("Slice", [f"{_PREFIX}image", axis, end], [f"{_PREFIX}batch"]),
        make_node("Concat", [f"{_PREFIX}batch", width], [f"{_PREFIX}shape"], axis=0),
        make_node("Expand", [f"{_PREFIX}mixed", f"{_PREFIX}shape"], [f"{_PREFIX}rows"]),
        make_node("Split", [f"{_PREFIX}rows", parts], named, axis=1),
    ]
    _normalize_each(edit, layers)
    edit.apply()
    write_metadata(model, {**read_metadata(model), **(metadata or {}), NAMES_KEY: json.dumps(list(sets))})
    return bytes(model.SerializeToString())


def _normalize_each(edit: GraphEdit, layers: Sequence[Layer]) -> None:
    """Let each layer take its scales and shifts from the row of its picture.

    The pictures of a batch lie side by side as channels: so each has scales and shifts of its own, at no cost.
    """
    flat = edit.constant(f"{_PREFIX}flat", np.array([-1]))
    together = edit.constant(f"{_PREFIX}joined", np.array([1, -1, 0, 0]))
    taken: set[str] = set()
    for number, layer in enumerate(layers):
        prefix = f"{_PREFIX}{number}."
        # Layers whose values were equal, as of a network that has learned nothing yet, may share them by one name.
        names = [name if name not in taken else f"{name}.{number}" for name in layer.names]
        taken.update(names)
        scale, shift = (f"{_PREFIX}{name}" for name in names)
        joined, normalized = f"{prefix}joined", f"{prefix}normalized"
        apart = edit.constant(f"{prefix}apart", np.array([-1, layer.scale.size, 0, 0]))
        edit.replace(
            layer.node,
            make_node("Reshape", [f"{_PREFIX}scales{number}", flat], [scale]),
            make_node("Reshape", [f"{_PREFIX}shifts{number}", flat], [shift]),
            make_node("Reshape", [layer.features, together], [joined]),
            make_node("InstanceNormalization", [joined, scale, shift], [normalized], epsilon=layer.epsilon),
            make_node("Reshape", [normalized, apart], [layer.node.output[0]]),
        )


def with_metadata(content: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Change the metadata of a serialized graph of ours, drop the entries that are None, and renew its checksum."""
    model = parse_model(content)
    entries = {**read_metadata(model), **changes, CHECKSUM_KEY: None}
    write_metadata(model, {key: value for key, value in entries.items() if value is not None})
    return add_checksum(bytes(model.SerializeToString()))


def without_defaults(content: bytes) -> bytes:
    """Make a graph's weights an input that must be given: some runtimes take no others."""
    model = parse_model(content)
    keep_initializers(model.graph, {tensor.name for tensor in model.graph.initializer} - {STYLES})
    return with_metadata(bytes(model.SerializeToString()), {})


def choose_styles(content: bytes, weights: Mapping[str, float]) -> bytes:
    """Turn a graph of many styles into the graph of one mixture, which takes only the picture.

    A graph that takes only the picture is returned as it is.

    Raises:
        InputError: It does not hold such a style.
    """
    model = parse_model(content)
    graph = model.graph
    if not takes_styles(graph):
        as_row(style_names(read_metadata(model)), weights)
        return content
    _check_one_pass(model)
    sets = read_sets(content)
    values = np.tensordot(as_row(tuple(sets), weights)[0], np.stack(list(sets.values())), 1)
    edit = GraphEdit(graph)
    makers = {node.output[0]: node for node in graph.node}
    users = {name: node for node in graph.node for name in node.input}
    constants = read_constants(graph)
    first = 0
    for node in [node for node in graph.node if node.op_type == "InstanceNormalization"]:
        names = [name.removeprefix(_PREFIX) for name in node.input[1:]]
        try:
            joined, apart = makers[node.input[0]], users[node.output[0]]
            last = first + int(constants[apart.input[1]][1])
        except (IndexError, KeyError):
            raise _unreadable("its normalizations") from None
        for name, row in zip(names, values, strict=True):
            edit.constant(name, np.ascontiguousarray(row[first:last]))
        first = last
        epsilon = read_attribute(node, "epsilon", 1e-5)
        whole = make_node("InstanceNormalization", [joined.input[0], *names], [apart.output[0]], epsilon=epsilon)
        edit.replace(apart, whole)
    graph.input.remove(next(value for value in graph.input if value.name == STYLES))
    edit.apply()
    name = "+".join(name for name, weight in weights.items() if weight)
    write_metadata(model, {**read_metadata(model), NAMES_KEY: json.dumps([name])})
    return bytes(model.SerializeToString())


def mixture_file(content: bytes, weights: Mapping[str, float]) -> bytes:
    """Turn a graph of many styles into the file of one mixture, which takes only the picture.

    Its metadata has a name of its own and the paintings that count, but not the whole file's recipe and losses.

    Raises:
        InputError: It does not hold such a style.
        ModelError: It paints in passes by itself, or what it says of its paintings cannot be read.
    """
    mixture = choose_styles(content, weights)
    known = read_metadata(parse_model(mixture))
    held = paintings_in(known)
    paintings = json.dumps({name: held.get(name, {}) for name in weights}, ensure_ascii=False)
    told = {"name": "+".join(style_names(known)), "paintings": paintings, "recipe": None, "losses": None}
    return with_metadata(mixture, told)


def base_checksum(content: bytes) -> str:
    """Tell the network of a serialized graph by what its styles share: the SHA-256 of all weights but the sets.

    Raises:
        ModelError: It is no float32 style of ours.
    """
    model = parse_model(content)
    _check_one_pass(model)
    graph = model.graph
    sets = {name for node in graph.node if node.op_type == "InstanceNormalization" for name in node.input[1:]}
    weights = {
        tensor.name: values
        for tensor in graph.initializer
        if tensor.name.startswith(_WEIGHTS) and tensor.name not in sets
        if (values := read_tensor(tensor, ("float32",))) is not None
    }
    if not sets or not weights:
        hint = "Give a float32 file that fast-style exported."
        raise ModelError("its styles cannot be told from its network", hint=hint)
    digest = hashlib.sha256()
    for name, values in sorted(weights.items()):
        digest.update(f"{name} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _check_one_pass(model: ModelProto) -> None:
    """Raise ModelError if a graph paints in passes by itself: it has each normalization several times."""
    if PASSES_KEY in read_metadata(model):
        hint = "Give the file that it was made from."
        raise ModelError("it paints in passes by itself, so its styles cannot be taken out", hint=hint)


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
    if not 0 < total < math.inf:
        size = "too large" if total else "all zero; at least one has to count"
        raise InputError(f"the weights of the styles are {size}", hint="Such as starry-night:0.7,udnie:0.3.")
    return np.array([[weights.get(name, 0.0) / total for name in names]], np.float32)
