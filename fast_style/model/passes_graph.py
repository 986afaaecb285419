"""Passes inside one graph: it reduces the photo, paints each draft, enlarges it and mixes it with the photo.

:mod:`fast_style.networks.passes` does the same on tensors, and :mod:`fast_style.stylize.passes` on rasters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from fast_style.model.checksum import CHECKSUM_KEY
from fast_style.model.editing import (
    FLOAT,
    GraphEdit,
    add_input,
    adder,
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
from fast_style.model.table import number_in

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
    that of all passes. ``origin`` is that of the last pass, a multiple of the stride and of 2^(N - 1): the passes
    before are padded to whole cells of their own.

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
    stride = number_in(told, "stride") or 1
    laid = ground_in(told) if ground is None else ground
    base, grounded, over_ground = "", f"{_PREFIX}grounded", passes_over(laid, len(models))
    if over_ground:
        factor = 2 ** (len(models) - over_ground)
        base = _reduce(edit, INPUT, factor, f"{_PREFIX}base")
        origin = _divide_origin(edit, factor, f"{_PREFIX}ground.origin") if origins else ""
        _lay_ground(edit, laid, over_ground, base, grounded, origin=origin, size=_sides(models[over_ground - 1].graph))
    stored: dict[bytes, dict[str, str]] = {}
    copy, drawn = "", ""
    for number, model in enumerate(models):
        prefix, factor = f"{_PREFIX}{number}.", 2 ** (len(models) - 1 - number)
        draft, smaller = drawn, base if 0 < number == over_ground else copy
        drawn = OUTPUT if factor == 1 else f"{prefix}drawn"
        if number < over_ground:
            copy = _reduce(edit, grounded, 2 ** (over_ground - 1 - number), f"{prefix}copy")
        else:
            copy = _reduce(edit, INPUT, factor, f"{prefix}copy")
        seen = _draft_over(edit, draft, smaller, copy, _sides(model.graph), prefix) if number > 0 else copy
        restores = number >= LEARNED_PASSES
        painted = f"{prefix}painted" if restores else drawn
        weights = _add_weights(joined.graph, model.graph, f"pass{number}.", stored)
        names = {**weights, INPUT: seen, OUTPUT: painted}
        if origins:
            names[ORIGIN] = _divide_origin(edit, factor, f"{prefix}origin")
        is_between = origins and max(stride, 1 << (len(models) - 1)) // factor % stride != 0
        if is_between:
            names |= _pad_to_cells(edit, names, stride, prefix)
        edit.after += _pass(model.graph, names, f"pass{number}.")
        if is_between:
            _cut_cells(edit, names[OUTPUT], painted, prefix)
        if restores:
            _restore(edit, painted, draft, drawn, prefix)
    edit.apply()
    metadata = {key: value for key, value in told.items() if key not in {COARSEST_KEY, CHECKSUM_KEY}}
    write_metadata(joined, {**metadata, STRENGTH_KEY: f"{strength:g}", PASSES_KEY: str(len(models))})
    return bytes(joined.SerializeToString())


def mixing_form() -> bytes:
    """Make a graph that mixes a draft with a photo, for programs that run a style's passes themselves.

    It takes ``photo`` (1, 3, H, W), and ``small`` and ``draft`` (1, 3, ⌈H / 2⌉, ⌈W / 2⌉): the photo at half the size,
    and what the style painted of it. It gives ``seen`` (1, 3, H, W), for the next pass. All are float32, RGB in [0, 1].
    ``shares`` (2), float32: of the draft where the photo is flat, and how much more where it has much detail, see
    :func:`~fast_style.model.passes.draft_shares`.
    """
    edit = _begin(["photo", "small", "draft"], "seen", shares=True)
    _mix(edit, "draft", "small", "photo", _share(edit, "small", _ALONE), "seen", _ALONE)
    return _finish(edit)


def sharing_form() -> bytes:
    """Make a graph that finds the draft's share in the next pass, for programs that mix a large photo in parts.

    It takes ``photo`` (1, 3, H, W) at the draft's size, float32, RGB in [0, 1], and ``shares`` as :func:`mixing_form`.
    It gives ``share`` (1, 1, H, W).
    """
    edit = _begin(["photo"], "share", shares=True, channels=1)
    edit.after.append(make_node("Identity", [_share(edit, "photo", _ALONE)], ["share"]))
    return _finish(edit)


def ground_form(ground: Ground, passes: int) -> bytes:
    """Make a graph that lays a ground under the flat places of a photo.

    It takes ``photo`` (1, 3, H, W), and gives ``grounded`` of the same shape, float32, RGB in [0, 1]. ``share`` (1),
    float32: how much of the ground, see :func:`~fast_style.model.ground.ground_share`.

    Args:
        ground: Which.
        passes: The last of how many passes, all of them learned, sees a photo of this size: 2 or 3.
    """
    edit = _begin(["photo"], "grounded")
    add_input(edit.graph, "share", FLOAT, [1])
    _lay_ground(edit, ground, passes, "photo", "grounded", share="share")
    return _finish(edit)


def restoring_form() -> bytes:
    """Make a graph for the passes after the learned ones, see :mod:`fast_style.model.passes`.

    It takes ``painted`` (1, 3, H, W), which a pass has painted, and ``draft`` (1, 3, ⌈H / 2⌉, ⌈W / 2⌉), which the pass
    before left. It gives ``restored`` (1, 3, H, W). All are float32, RGB in [0, 1].
    """
    edit = _begin(["painted", "draft"], "restored")
    _restore(edit, "painted", "draft", "restored", _ALONE)
    return _finish(edit)


def _begin(inputs: Sequence[str], output: str, *, shares: bool = False, channels: int = 3) -> GraphEdit:
    """Begin a graph of what lies between passes; the first input has the output's size, the others half of it."""
    from onnx import GraphProto

    edit = GraphEdit(GraphProto(name=output))
    for name in inputs:
        add_input(edit.graph, name, FLOAT, [1, 3, *(("h", "w") if name == inputs[0] else ("h2", "w2"))])
    set_output(edit.graph, output, [1, channels, "h", "w"])
    _add_constants(edit)
    if shares:
        add_input(edit.graph, "shares", FLOAT, [2])
        names = [f"{_PREFIX}flat", f"{_PREFIX}more"]
        edit.after.append(make_node("Split", ["shares", f"{_PREFIX}ones"], names, axis=0))
    edit.after.append(make_node("Shape", [inputs[0]], [f"{_ALONE}size"], start=2, end=4))
    return edit


def _finish(edit: GraphEdit) -> bytes:
    from onnx import helper

    edit.apply()
    model = helper.make_model(edit.graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _sides(graph: GraphProto) -> list[int]:
    """Height and width that a graph takes, px; 0 for any."""
    image = next(value for value in graph.input if value.name == INPUT)
    return [dim.dim_value for dim in image.type.tensor_type.shape.dim[2:]]


def _add_weights(
    joined: GraphProto, graph: GraphProto, prefix: str, stored: dict[bytes, dict[str, str]]
) -> dict[str, str]:
    """Add the constants of a pass to the joined graph, where equal ones of several passes are stored once.

    ``stored`` has the names there by content and by the pass's own names. Return them by the latter.
    """
    taken = {tensor.name for tensor in joined.initializer}
    names: dict[str, str] = {}
    new: list[tuple[bytes, str]] = []
    for tensor in graph.initializer:
        name, tensor.name = tensor.name, ""
        content = tensor.SerializeToString()
        if same := stored.get(content):
            names[name] = same.get(name) or next(iter(same.values()))
        else:
            tensor.name = names[name] = prefix + name if name in taken else name
            joined.initializer.append(tensor)
            new.append((content, name))
    # Only now, as weights of one pass that are equal are read back by their own names.
    for content, name in new:
        stored.setdefault(content, {})[name] = names[name]
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


def _share(edit: GraphEdit, photo: str, prefix: str) -> str:
    """Find the share of the draft by place: see :func:`fast_style.networks.passes.draft_share`."""
    add = adder(edit.after, prefix)
    less = add("Mul", [_detail(edit, photo, prefix), f"{_PREFIX}more"], "less")
    return add("Add", [less, f"{_PREFIX}flat"], "share")


def _detail(edit: GraphEdit, photo: str, prefix: str) -> str:
    """Find how much detail there is by place, bounded to [0, 1]."""
    add = adder(edit.after, prefix)
    brightness = add("Conv", [photo, f"{_PREFIX}thirds"], "brightness", kernel_shape=[1, 1])
    fine = add("Sub", [brightness, _blur(edit, brightness, f"{prefix}coarse", DETAIL_RADIUS)], "fine")
    squares = add("Mul", [fine, fine], "squares")
    detail = add("Sqrt", [_blur(edit, squares, f"{prefix}energy", SURROUNDINGS_RADIUS)], "detail")
    average = add("ReduceMean", [detail, f"{_PREFIX}sides"], "average")
    scaled = add("Mul", [average, f"{_PREFIX}much"], "scaled")
    limit = add("Add", [scaled, f"{_PREFIX}least"], "limit")
    relative = add("Div", [detail, limit], "relative")
    return add("Min", [relative, f"{_PREFIX}all"], "bounded")


def _reduce(edit: GraphEdit, photo: str, factor: int, reduced: str) -> str:
    """Average squares, smaller at the right and the bottom; return the name of the result."""
    if factor == 1:
        return photo
    pooling = {"kernel_shape": [factor, factor], "strides": [factor, factor], "ceil_mode": 1}
    edit.after.append(make_node("AveragePool", [photo], [reduced], **pooling))
    return reduced


def _divide_origin(edit: GraphEdit, factor: int, divided: str) -> str:
    """Convert the origin to px of a smaller copy; return the name of the result."""
    if factor == 1:
        return ORIGIN
    edit.after.append(make_node("Div", [ORIGIN, edit.constant(f"{divided}.factor", np.array(factor))], [divided]))
    return divided


def _pad_to_cells(edit: GraphEdit, names: Mapping[str, str], stride: int, prefix: str) -> dict[str, str]:
    """Pad what a pass sees at the top and the left, so that its cells lie where they do in the whole picture.

    Return its new names for its input, its output and its origin; :func:`_cut_cells` takes the padding away.
    """
    add = adder(edit.after, prefix)
    cell = edit.constant(f"{prefix}cell", np.array(stride))
    before = edit.constant(f"{prefix}batch", np.array([0, 0]))
    after = edit.constant(f"{prefix}end", np.array([0, 0, 0, 0]))
    more = add("Mod", [names[ORIGIN], cell], "more")
    pads = add("Concat", [before, more, after], "pads", axis=0)
    padded = add("Pad", [names[INPUT], pads], "padded", mode="reflect")
    return {INPUT: padded, OUTPUT: f"{prefix}whole", ORIGIN: add("Sub", [names[ORIGIN], more], "corner")}


def _cut_cells(edit: GraphEdit, whole: str, cut: str, prefix: str) -> None:
    """Take away what :func:`_pad_to_cells` has added."""
    last = edit.constant(f"{prefix}last", np.array([2**31 - 1] * 2))
    edit.after.append(make_node("Slice", [whole, f"{prefix}more", last, f"{_PREFIX}sides"], [cut]))


def _lay_ground(
    edit: GraphEdit,
    ground: Ground,
    passes: int,
    photo: str,
    grounded: str,
    *,
    share: str = _GROUND_SHARE,
    origin: str = "",
    size: Sequence[int] = (0, 0),
) -> None:
    """Lay a ground under the flat places: see :func:`fast_style.networks.passes.lay_ground`.

    ``origin`` names the row and column of the photo in the whole, px, if it is a part. A graph that takes one ``size``
    only, (height, width) px, needs none.
    """
    prefix, factor = f"{_PREFIX}ground.", 2 ** (passes - 1)
    add = adder(edit.after, prefix)
    tile, amount = ground_tile(ground, passes)
    side = tile.shape[-1]
    numbers = {"steepness": STEEPNESS, "least": 1 - STEEPNESS, "scales": [1, 1, factor, factor]}
    for name, values in (numbers | {"level": amount / 127.5, "amount": amount}).items():
        edit.constant(prefix + name, np.array(values, np.float32))
    detail = _detail(edit, _reduce(edit, photo, factor, f"{prefix}small"), prefix)
    even = add("Sub", [f"{_PREFIX}all", detail], "even")
    steep = add("Mul", [_blur(edit, even, f"{prefix}wide", GROUND_RADIUS), f"{prefix}steepness"], "steep")
    moved = add("Add", [steep, f"{prefix}least"], "moved")
    where = add("Clip", [moved, f"{_PREFIX}none", f"{_PREFIX}all"], "where")
    enlarged = add("Resize", [where, "", f"{prefix}scales"], "enlarged", mode="linear")
    edit.constant(f"{prefix}tile", tile)
    if all(size):
        times = [1, 1, *(length // side + 1 for length in size)]
        for name, lengths in {"size": size, "start": [0, 0], "end": size, "times": times}.items():
            edit.constant(prefix + name, np.array(lengths))
    else:
        edit.constant(f"{prefix}side", np.array(side))
        edit.constant(f"{prefix}two", np.array(2))
        add("Shape", [photo], "size", start=2, end=4)
        add("Mod", [origin or f"{_PREFIX}first", f"{prefix}side"], "start")
        add("Add", [f"{prefix}start", f"{prefix}size"], "end")
        whole = add("Div", [f"{prefix}size", f"{prefix}side"], "whole")
        enough = add("Add", [whole, f"{prefix}two"], "enough")
        add("Concat", [f"{_PREFIX}ones", enough], "times", axis=0)
    repeated = add("Tile", [f"{prefix}tile", f"{prefix}times"], "repeated")
    levels = add("Slice", [repeated, f"{prefix}start", f"{prefix}end", f"{_PREFIX}sides"], "levels")
    changes = add("Mul", [add("Cast", [levels], "numbers", to=FLOAT), f"{prefix}level"], "changes")
    forms = add("Sub", [changes, f"{prefix}amount"], "forms")
    flat = add("Slice", [enlarged, f"{_PREFIX}first", f"{prefix}size", f"{_PREFIX}sides"], "flat")
    laid = add("Mul", [add("Mul", [forms, flat], "all"), share], "ground")
    _clip_sum(edit, photo, laid, grounded, prefix)


def _clip_sum(edit: GraphEdit, image: str, change: str, result: str, prefix: str) -> None:
    """Add a change to a picture, and clip the sum to [0, 1]."""
    total = adder(edit.after, prefix)("Add", [image, change], "sum")
    edit.after.append(make_node("Clip", [total, f"{_PREFIX}none", f"{_PREFIX}all"], [result]))


def _blur(edit: GraphEdit, image: str, blurred: str, radius: int) -> str:
    """Average over squares, twice; borders are repeated. Return the name of the result."""
    for source, result in ((image, f"{blurred}.once"), (f"{blurred}.once", blurred)):
        edit.after += [
            make_node("Pad", [source, f"{_PREFIX}border{radius}"], [f"{result}.padded"], mode="edge"),
            make_node("AveragePool", [f"{result}.padded"], [result], kernel_shape=[2 * radius + 1] * 2),
        ]
    return blurred


def _draft_over(edit: GraphEdit, draft: str, smaller: str, copy: str, sides: Sequence[int], prefix: str) -> str:
    """What a later pass sees: the photo's copy with the draft over it."""
    if all(sides):
        edit.constant(f"{prefix}size", np.array(sides))
    else:
        edit.after.append(make_node("Shape", [copy], [f"{prefix}size"], start=2, end=4))
    _mix(edit, draft, smaller, copy, _share(edit, smaller, prefix), seen := f"{prefix}seen", prefix)
    return seen


def _mix(edit: GraphEdit, draft: str, smaller: str, copy: str, share: str, seen: str, prefix: str) -> None:
    """Enlarge what the draft changed, and its share, by two, and add them to the photo's copy."""
    add = adder(edit.after, prefix)
    small = add("Concat", [add("Sub", [draft, smaller], "change"), share], "small", axis=1)
    maps = _enlarge(edit, small, share, 4, prefix, prefix)
    add("Split", [maps, f"{_PREFIX}parts4"], "changes", "shares", axis=1)
    part = add("Mul", [f"{prefix}changes", f"{prefix}shares"], "part")
    _clip_sum(edit, copy, part, seen, prefix)


def _restore(edit: GraphEdit, painted: str, draft: str, restored: str, prefix: str) -> None:
    """Restore most of the coarse part of the draft in what a pass has painted over it."""
    own = f"{prefix}restoring."
    add = adder(edit.after, own)
    change = add("Sub", [draft, _reduce(edit, painted, 2, f"{own}half")], "change")
    brightness = add("Conv", [draft, f"{_PREFIX}thirds"], "brightness", kernel_shape=[1, 1])
    maps = _enlarge(edit, change, brightness, 3, prefix, own)
    part = add("Mul", [maps, f"{_PREFIX}coarse"], "part")
    _clip_sum(edit, painted, part, restored, own)


def _enlarge(edit: GraphEdit, small: str, like: str, count: int, prefix: str, own: str) -> str:
    """Enlarge ``small``, (N, count, h, w), by two, and cut it to the pass's size, to ``maps`` of the prefix ``own``.

    A transposed convolution adds the taps of the pixels inside; so does it with ones, by which the result is divided.
    The ones are made of ``like``, (N, 1, h, w).
    """
    add, maps = adder(edit.after, own), count + 1
    down = {"kernel_shape": [8, 1], "strides": [2, 1], "pads": [3, 0, 3, 0], "group": maps}
    across = {"kernel_shape": [1, 8], "strides": [1, 2], "pads": [0, 3, 0, 3], "group": maps}
    ones = add("Add", [add("Mul", [like, f"{_PREFIX}none"], "zeros"), f"{_PREFIX}all"], "ones")
    weighted = add("Concat", [small, ones], "weighted", axis=1)
    tall = add("ConvTranspose", [weighted, f"{_PREFIX}down{maps}"], "tall", **down)
    wide = add("ConvTranspose", [tall, f"{_PREFIX}across{maps}"], "wide", **across)
    cut = add("Slice", [wide, f"{_PREFIX}first", f"{prefix}size", f"{_PREFIX}sides"], "cut")
    add("Split", [cut, f"{_PREFIX}parts{maps}"], "sums", "inside", axis=1)
    return add("Div", [f"{own}sums", f"{own}inside"], "maps")
