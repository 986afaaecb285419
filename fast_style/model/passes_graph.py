"""Passes inside one graph: it reduces the photo, paints each draft, enlarges it and mixes it with the photo.

:mod:`fast_style.networks.passes` does the same on tensors, and :mod:`fast_style.stylize.passes` on rasters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from fast_style.model.checksum import CHECKSUM_KEY
from fast_style.model.editing import (
    FLOAT,
    GraphEdit,
    add_input,
    make_node,
    parse_model,
    read_metadata,
    set_output,
    write_metadata,
)
from fast_style.model.ground import (
    GROUND_KEY,
    GROUND_RADIUS,
    STEEPNESS,
    Ground,
    ground_in,
    ground_share,
    ground_tile,
    passes_over,
)
from fast_style.model.opening import INPUT, OUTPUT
from fast_style.model.passes import (
    COARSE_SHARE,
    COARSEST_KEY,
    DETAIL_RADIUS,
    LEARNED_PASSES,
    LEAST_DETAIL,
    MUCH_DETAIL,
    PASSES_KEY,
    STRENGTH_KEY,
    SURROUNDINGS_RADIUS,
    draft_shares,
    strength_in,
)
from fast_style.model.statistics import ORIGIN

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

# What each pixel of a line adds to eight pixels of a line enlarged by two: the cubic kernel with a = -0.5, as Pillow's.
_TAPS = np.array([-3, -9, 29, 111, 111, 29, -9, -3], np.float32) / 128
# The names of the tensors and nodes between the passes begin with this.
_PREFIX = "passes."
_ALONE = f"{_PREFIX}0."
_GROUND_SHARE = f"{_PREFIX}groundshare"


def join_passes(graphs: Sequence[bytes], *, strength: float = 1.0, ground: Ground | None = None) -> bytes:
    """Make one graph that paints in passes.

    It takes and returns what its last graph does; no side may be under 16 · 2^(N - 1) px. The input ``styles`` is
    that of all passes. ``origin`` is that of the last pass, a multiple of the stride · 2^(N - 1).

    Args:
        graphs: A serialized style for each of the N passes, from coarse to fine, that paints in one pass, with float32
            input and output: the same for all passes, or others with the same inputs. A graph that takes one size only
            takes half of the next one's, rounded up.
        strength: How strongly to paint, in units of the last graph's own strength.
        ground: What to lay under flat places, see :mod:`fast_style.model.ground`; None is the last graph's own.

    Raises:
        ModelError: One is not an ONNX model.
    """
    models = [parse_model(content) for content in graphs]
    joined = deepcopy(models[-1])
    for part in (joined.graph.node, joined.graph.initializer, joined.graph.value_info):
        del part[:]
    edit = GraphEdit(joined.graph)
    _add_constants(edit)
    told = read_metadata(models[-1]) | ({} if ground is None else {GROUND_KEY: ground.forms})
    strength *= strength_in(told)
    for name, share in zip(("flat", "more"), draft_shares(strength), strict=True):
        edit.constant(_PREFIX + name, np.array(share, np.float32))
    edit.constant(_GROUND_SHARE, np.array(ground_share(strength), np.float32))
    origins = any(value.name == ORIGIN for value in joined.graph.input)
    laid = ground_in(told) if ground is None else ground
    base, grounded, over_ground = "", f"{_PREFIX}grounded", passes_over(laid, len(models))
    if over_ground:
        factor = 2 ** (len(models) - over_ground)
        base = _reduce(edit, INPUT, factor, f"{_PREFIX}base")
        origin = _divide_origin(edit, factor, f"{_PREFIX}ground.origin") if origins else ""
        side = _sides(models[over_ground - 1].graph)
        edit.append(*_lay_ground(edit, laid, over_ground, base, grounded, origin=origin, size=side))
    stored: dict[tuple[str, bytes], str] = {}
    copy, drawn = "", ""
    for number, model in enumerate(models):
        prefix, factor = f"{_PREFIX}{number}.", 2 ** (len(models) - 1 - number)
        smaller, draft = copy, drawn
        if 0 < number == over_ground:
            smaller = base
        drawn = OUTPUT if factor == 1 else f"{prefix}drawn"
        if number < over_ground:
            copy = _reduce(edit, grounded, 2 ** (over_ground - 1 - number), f"{prefix}copy")
        else:
            copy = _reduce(edit, INPUT, factor, f"{prefix}copy")
        seen = copy
        if number > 0:
            seen = f"{prefix}seen"
            if all(size := _sides(model.graph)):
                edit.constant(f"{prefix}size", np.array(size))
            else:
                edit.append(make_node("Shape", [copy], [f"{prefix}size"], start=2, end=4))
            edit.append(*_share(smaller, prefix), *_mix(draft, smaller, copy, seen, prefix))
        restores = number >= LEARNED_PASSES
        painted = f"{prefix}painted" if restores else drawn
        weights = _add_weights(joined.graph, model.graph, f"pass{number}.", stored)
        names = {**weights, INPUT: seen, OUTPUT: painted}
        if origins:
            names[ORIGIN] = _divide_origin(edit, factor, f"{prefix}origin")
        edit.append(*_pass(model.graph, names, f"pass{number}."))
        if restores:
            edit.append(*_restore(painted, draft, drawn, prefix))
    edit.apply()
    changed = {COARSEST_KEY, CHECKSUM_KEY}
    metadata = {key: value for key, value in told.items() if key not in changed}
    write_metadata(joined, {**metadata, STRENGTH_KEY: f"{strength:g}", PASSES_KEY: str(len(models))})
    return bytes(joined.SerializeToString())


def mixing_form() -> bytes:
    """Make a graph that mixes a draft with a photo, for programs that run a style's passes themselves.

    It takes ``photo`` (1, 3, H, W), and ``small`` and ``draft`` (1, 3, ⌈H / 2⌉, ⌈W / 2⌉): the photo at half the size,
    and what the style painted of it. It gives ``seen`` (1, 3, H, W), for the next pass. All are float32, RGB in [0, 1].
    ``shares`` (2), float32: of the draft where the photo is flat, and how much more where it has much detail, see
    :func:`~fast_style.model.passes.draft_shares`.
    """
    nodes = [*_share("small", _ALONE), *_mix("draft", "small", "photo", "seen", _ALONE)]
    return _alone(["photo", "small", "draft"], "seen", lambda edit: nodes, shares=True)


def sharing_form() -> bytes:
    """Make a graph that finds the draft's share in the next pass, for programs that mix a large photo in parts.

    It takes ``photo`` (1, 3, H, W) at the draft's size, float32, RGB in [0, 1], and ``shares`` as :func:`mixing_form`.
    It gives ``share`` (1, 1, H, W).
    """
    nodes = [*_share("photo", _ALONE), make_node("Identity", [f"{_ALONE}share"], ["share"])]
    return _alone(["photo"], "share", lambda edit: nodes, shares=True, channels=1)


def ground_form(ground: Ground, passes: int) -> bytes:
    """Make a graph that lays a ground under the flat places of a photo.

    It takes ``photo`` (1, 3, H, W), and gives ``grounded`` of the same shape, float32, RGB in [0, 1]. ``share`` (1),
    float32: how much of the ground, see :func:`~fast_style.model.ground.ground_share`.

    Args:
        ground: Which.
        passes: The last of how many passes, all of them learned, sees a photo of this size: 2 or 3.
    """

    def nodes(edit: GraphEdit) -> list[NodeProto]:
        add_input(edit.graph, "share", FLOAT, [1])
        renamed = make_node("Identity", ["share"], [_GROUND_SHARE])
        return [renamed, *_lay_ground(edit, ground, passes, "photo", "grounded")]

    return _alone(["photo"], "grounded", nodes)


def restoring_form() -> bytes:
    """Make a graph for the passes after the learned ones, see :mod:`fast_style.model.passes`.

    It takes ``painted`` (1, 3, H, W), which a pass has painted, and ``draft`` (1, 3, ⌈H / 2⌉, ⌈W / 2⌉), which the pass
    before left. It gives ``restored`` (1, 3, H, W). All are float32, RGB in [0, 1].
    """
    nodes = _restore("painted", "draft", "restored", _ALONE)
    return _alone(["painted", "draft"], "restored", lambda edit: nodes)


def _alone(
    inputs: Sequence[str],
    output: str,
    nodes: Callable[[GraphEdit], Sequence[NodeProto]],
    *,
    shares: bool = False,
    channels: int = 3,
) -> bytes:
    """Make a graph of what lies between two passes; the first input has the output's size, the others half of it."""
    from onnx import GraphProto, helper

    graph = GraphProto(name=output)
    for name in inputs:
        add_input(graph, name, FLOAT, [1, 3, *(("h", "w") if name == inputs[0] else ("h2", "w2"))])
    set_output(graph, output, [1, channels, "h", "w"])
    edit = GraphEdit(graph)
    _add_constants(edit)
    if shares:
        add_input(graph, "shares", FLOAT, [2])
        names = [f"{_PREFIX}flat", f"{_PREFIX}more"]
        edit.append(make_node("Split", ["shares", f"{_PREFIX}ones"], names, axis=0))
    edit.append(make_node("Shape", [inputs[0]], [f"{_ALONE}size"], start=2, end=4), *nodes(edit))
    edit.apply()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _sides(graph: GraphProto) -> list[int]:
    """Height and width that a graph takes, px; 0 for any."""
    image = next(value for value in graph.input if value.name == INPUT)
    return [dim.dim_value for dim in image.type.tensor_type.shape.dim[2:]]


def _add_weights(
    joined: GraphProto, graph: GraphProto, prefix: str, stored: dict[tuple[str, bytes], str]
) -> dict[str, str]:
    """Add the constants of a pass to the joined graph, where equal ones of several passes are stored once.

    ``stored`` has the names there by name and content, and by content alone. Return them by the pass's own names.
    """
    taken = {tensor.name for tensor in joined.initializer}
    names: dict[str, str] = {}
    new: dict[tuple[str, bytes], str] = {}
    for tensor in graph.initializer:
        name, tensor.name = tensor.name, ""
        content = tensor.SerializeToString()
        same = stored.get((name, content)) or stored.get(("", content))
        names[name] = same or (prefix + name if name in taken else name)
        if same is None:
            tensor.name = new[name, content] = names[name]
            joined.initializer.append(tensor)
    # Only now, as weights of one pass that are equal are read back by their own names.
    for (name, content), there in new.items():
        stored[name, content] = there
        stored.setdefault(("", content), there)
    return names


def _pass(graph: GraphProto, names: dict[str, str], prefix: str) -> Iterator[NodeProto]:
    """The nodes of a pass, with other names for its constants, its input and its output."""
    own = {name: prefix + name for node in graph.node for name in node.output if name}
    renamed = own | names
    for node in graph.node:
        node.name = prefix + (node.name or node.output[0])
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        yield node


def _add_constants(edit: GraphEdit) -> None:
    """Add what the nodes of :func:`_share`, :func:`_mix`, :func:`_restore` and :func:`_lay_ground` take."""
    for radius in (DETAIL_RADIUS, SURROUNDINGS_RADIUS, GROUND_RADIUS):
        edit.constant(f"{_PREFIX}border{radius}", np.array([0, 0, radius, radius] * 2))
    numbers = {"much": MUCH_DETAIL, "least": LEAST_DETAIL, "all": 1.0, "none": 0.0, "coarse": COARSE_SHARE}
    for name, number in numbers.items():
        edit.constant(_PREFIX + name, np.array(number, np.float32))
    lists = {"first": [0, 0], "sides": [2, 3], "parts5": [4, 1], "parts4": [3, 1], "ones": [1, 1]}
    for name, values in lists.items():
        edit.constant(_PREFIX + name, np.array(values))
    # A mean over channels as a convolution: pnnx 20261020 drops the axis of ReduceMean if it is that of the channels.
    edit.constant(f"{_PREFIX}thirds", np.full((1, 3, 1, 1), 1 / 3, np.float32))
    for maps in (4, 5):
        taps = np.tile(_TAPS, (maps, 1))
        edit.constant(f"{_PREFIX}down{maps}", taps.reshape(maps, 1, 8, 1))
        edit.constant(f"{_PREFIX}across{maps}", taps.reshape(maps, 1, 1, 8))


def _maker(prefix: str) -> Callable[..., NodeProto]:
    """Return a function that makes nodes, whose outputs begin with the prefix."""

    def made(operator: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> NodeProto:
        return make_node(operator, inputs, [prefix + output for output in outputs], **attributes)

    return made


def _share(photo: str, prefix: str) -> list[NodeProto]:
    """Find the share of the draft by place: see :func:`fast_style.networks.passes.draft_share`."""
    made = _maker(prefix)
    return [
        *_detail(photo, prefix),
        made("Mul", [f"{prefix}bounded", f"{_PREFIX}more"], "less"),
        made("Add", [f"{prefix}less", f"{_PREFIX}flat"], "share"),
    ]


def _detail(photo: str, prefix: str) -> list[NodeProto]:
    """Find how much detail there is by place, ``bounded`` to [0, 1]."""
    made = _maker(prefix)
    return [
        made("Conv", [photo, f"{_PREFIX}thirds"], "brightness", kernel_shape=[1, 1]),
        *_blur(f"{prefix}brightness", f"{prefix}coarse", DETAIL_RADIUS),
        made("Sub", [f"{prefix}brightness", f"{prefix}coarse"], "fine"),
        made("Mul", [f"{prefix}fine", f"{prefix}fine"], "squares"),
        *_blur(f"{prefix}squares", f"{prefix}energy", SURROUNDINGS_RADIUS),
        made("Sqrt", [f"{prefix}energy"], "detail"),
        made("ReduceMean", [f"{prefix}detail", f"{_PREFIX}sides"], "average"),
        made("Mul", [f"{prefix}average", f"{_PREFIX}much"], "scaled"),
        made("Add", [f"{prefix}scaled", f"{_PREFIX}least"], "limit"),
        made("Div", [f"{prefix}detail", f"{prefix}limit"], "relative"),
        made("Min", [f"{prefix}relative", f"{_PREFIX}all"], "bounded"),
    ]


def _reduce(edit: GraphEdit, photo: str, factor: int, reduced: str) -> str:
    """Average squares, smaller at the right and the bottom; return the name of the result."""
    if factor == 1:
        return photo
    pooling = {"kernel_shape": [factor, factor], "strides": [factor, factor], "ceil_mode": 1}
    edit.append(make_node("AveragePool", [photo], [reduced], **pooling))
    return reduced


def _divide_origin(edit: GraphEdit, factor: int, divided: str) -> str:
    """Convert the origin to px of a smaller copy; return the name of the result."""
    if factor == 1:
        return ORIGIN
    edit.append(make_node("Div", [ORIGIN, edit.constant(f"{divided}.factor", np.array(factor))], [divided]))
    return divided


def _lay_ground(
    edit: GraphEdit,
    ground: Ground,
    passes: int,
    photo: str,
    grounded: str,
    *,
    origin: str = "",
    size: Sequence[int] = (0, 0),
) -> list[NodeProto]:
    """Lay a ground under the flat places: see :func:`fast_style.networks.passes.lay_ground`.

    Args:
        edit: Of the graph.
        ground: Which.
        passes: The last of how many learned passes sees the photo.
        photo: (N, 3, H, W).
        grounded: The result.
        origin: Row and column of the photo in the whole, px; empty for none.
        size: H and W, where the graph takes one size only.
    """
    prefix, factor = f"{_PREFIX}ground.", 2 ** (passes - 1)
    made = _maker(prefix)
    tile, amount = ground_tile(ground, passes)
    side = tile.shape[-1]
    small = _reduce(edit, photo, factor, f"{prefix}small")
    edit.constant(f"{prefix}steepness", np.array(STEEPNESS, np.float32))
    edit.constant(f"{prefix}least", np.array(1 - STEEPNESS, np.float32))
    edit.constant(f"{prefix}scales", np.array([1, 1, factor, factor], np.float32))
    edit.constant(f"{prefix}level", np.array(amount / 127.5, np.float32))
    edit.constant(f"{prefix}amount", np.array(amount, np.float32))
    nodes = [
        *_detail(small, prefix),
        made("Sub", [f"{_PREFIX}all", f"{prefix}bounded"], "even"),
        *_blur(f"{prefix}even", f"{prefix}wide", GROUND_RADIUS),
        made("Mul", [f"{prefix}wide", f"{prefix}steepness"], "steep"),
        made("Add", [f"{prefix}steep", f"{prefix}least"], "moved"),
        made("Clip", [f"{prefix}moved", f"{_PREFIX}none", f"{_PREFIX}all"], "where"),
        made("Resize", [f"{prefix}where", "", f"{prefix}scales"], "enlarged", mode="linear"),
    ]
    edit.constant(f"{prefix}tile", tile)
    if all(size):
        edit.constant(f"{prefix}size", np.array(size))
        edit.constant(f"{prefix}start", np.array([0, 0]))
        edit.constant(f"{prefix}end", np.array(size))
        edit.constant(f"{prefix}times", np.array([1, 1, *(length // side + 1 for length in size)]))
    else:
        edit.constant(f"{prefix}side", np.array(side))
        edit.constant(f"{prefix}two", np.array(2))
        nodes += [
            made("Shape", [photo], "size", start=2, end=4),
            made("Mod", [origin or f"{_PREFIX}first", f"{prefix}side"], "start"),
            made("Add", [f"{prefix}start", f"{prefix}size"], "end"),
            made("Div", [f"{prefix}size", f"{prefix}side"], "whole"),
            made("Add", [f"{prefix}whole", f"{prefix}two"], "enough"),
            made("Concat", [f"{_PREFIX}ones", f"{prefix}enough"], "times", axis=0),
        ]
    return [
        *nodes,
        made("Tile", [f"{prefix}tile", f"{prefix}times"], "repeated"),
        made("Slice", [f"{prefix}repeated", f"{prefix}start", f"{prefix}end", f"{_PREFIX}sides"], "levels"),
        made("Cast", [f"{prefix}levels"], "numbers", to=FLOAT),
        made("Mul", [f"{prefix}numbers", f"{prefix}level"], "changes"),
        made("Sub", [f"{prefix}changes", f"{prefix}amount"], "forms"),
        made("Slice", [f"{prefix}enlarged", f"{_PREFIX}first", f"{prefix}size", f"{_PREFIX}sides"], "flat"),
        made("Mul", [f"{prefix}forms", f"{prefix}flat"], "all"),
        made("Mul", [f"{prefix}all", _GROUND_SHARE], "ground"),
        made("Add", [photo, f"{prefix}ground"], "sum"),
        make_node("Clip", [f"{prefix}sum", f"{_PREFIX}none", f"{_PREFIX}all"], [grounded]),
    ]


def _blur(image: str, blurred: str, radius: int) -> list[NodeProto]:
    """Average over squares, twice; borders are repeated."""
    nodes = []
    for source, result in ((image, f"{blurred}.once"), (f"{blurred}.once", blurred)):
        nodes += [
            make_node("Pad", [source, f"{_PREFIX}border{radius}"], [f"{result}.padded"], mode="edge"),
            make_node("AveragePool", [f"{result}.padded"], [result], kernel_shape=[2 * radius + 1] * 2),
        ]
    return nodes


def _mix(draft: str, smaller: str, copy: str, seen: str, prefix: str) -> list[NodeProto]:
    """Enlarge what the draft changed, and its share, by two, and add them to the photo's copy."""
    made = _maker(prefix)
    return [
        made("Sub", [draft, smaller], "change"),
        made("Concat", [f"{prefix}change", f"{prefix}share"], "small", axis=1),
        *_enlarge(f"{prefix}small", f"{prefix}share", 4, prefix, prefix),
        made("Split", [f"{prefix}maps", f"{_PREFIX}parts4"], "changes", "shares", axis=1),
        made("Mul", [f"{prefix}changes", f"{prefix}shares"], "part"),
        made("Add", [copy, f"{prefix}part"], "sum"),
        make_node("Clip", [f"{prefix}sum", f"{_PREFIX}none", f"{_PREFIX}all"], [seen]),
    ]


def _restore(painted: str, draft: str, restored: str, prefix: str) -> list[NodeProto]:
    """Restore most of the coarse part of the draft in what a pass has painted over it."""
    own = f"{prefix}restoring."
    made = _maker(own)
    return [
        made("AveragePool", [painted], "half", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        made("Sub", [draft, f"{own}half"], "change"),
        made("Conv", [draft, f"{_PREFIX}thirds"], "brightness", kernel_shape=[1, 1]),
        *_enlarge(f"{own}change", f"{own}brightness", 3, prefix, own),
        made("Mul", [f"{own}maps", f"{_PREFIX}coarse"], "part"),
        made("Add", [painted, f"{own}part"], "sum"),
        make_node("Clip", [f"{own}sum", f"{_PREFIX}none", f"{_PREFIX}all"], [restored]),
    ]


def _enlarge(small: str, like: str, count: int, prefix: str, own: str) -> list[NodeProto]:
    """Enlarge ``small``, (N, count, h, w), by two, and cut it to the pass's size, to ``maps`` of the prefix ``own``.

    A transposed convolution adds the taps of the pixels inside; so does it with ones, by which the result is divided.
    The ones are made of ``like``, (N, 1, h, w).
    """
    made, maps = _maker(own), count + 1
    down = {"kernel_shape": [8, 1], "strides": [2, 1], "pads": [3, 0, 3, 0], "group": maps}
    across = {"kernel_shape": [1, 8], "strides": [1, 2], "pads": [0, 3, 0, 3], "group": maps}
    return [
        made("Mul", [like, f"{_PREFIX}none"], "zeros"),
        made("Add", [f"{own}zeros", f"{_PREFIX}all"], "ones"),
        made("Concat", [small, f"{own}ones"], "weighted", axis=1),
        made("ConvTranspose", [f"{own}weighted", f"{_PREFIX}down{maps}"], "tall", **down),
        made("ConvTranspose", [f"{own}tall", f"{_PREFIX}across{maps}"], "wide", **across),
        made("Slice", [f"{own}wide", f"{_PREFIX}first", f"{prefix}size", f"{_PREFIX}sides"], "cut"),
        made("Split", [f"{own}cut", f"{_PREFIX}parts{maps}"], "sums", "inside", axis=1),
        made("Div", [f"{own}sums", f"{own}inside"], "maps"),
    ]
