"""Exporting a style for a place: in fewer bits, with pixels in and out, for one size, in passes; proved each time."""

import json
import statistics
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from fast_style import __version__
from fast_style.checkpoint import Checkpoint
from fast_style.errors import DatasetError, ImageError, InputError, ModelError, VerificationError
from fast_style.export.forms import for_size, pixels_in_and_out
from fast_style.export.precision import SMALLEST_PSNR, Image, Precision, psnr, run, to_fp16, to_int8
from fast_style.export.styles import export_styles
from fast_style.export.to_onnx import export_onnx
from fast_style.export.verify import Verification, judge, verify_passes
from fast_style.export.writing import write_model
from fast_style.files import replacing
from fast_style.images import find_photos, fit, load_image, resize, to_float, to_uint8
from fast_style.images.arrays import example_image
from fast_style.model import open_graph
from fast_style.model.editing import parse_model, read_metadata, write_metadata
from fast_style.model.ground import GROUND_KEY, Forms, check_forms
from fast_style.model.opening import INPUT, OUTPUT, Feed
from fast_style.model.passes import (
    MOST_OWN_STRENGTH,
    SMALLEST_DRAFT,
    STRENGTH_KEY,
    check_strength,
    smallest_side,
    strength_in,
)
from fast_style.model.passes_graph import join_passes
from fast_style.model.session import open_session
from fast_style.model.table import STYLES, as_row, mixture_file, style_names, takes_styles
from fast_style.styles.mixture import Choice, recipe_metadata
from fast_style.stylize.checks import check_passes
from fast_style.stylize.contract import check_contract

IO = Literal["float", "uint8"]

# 8-bit convolutions are chosen on the calibration photos, so they leave room for the held-out ones, dB.
_PSNR_MARGIN = 3.0

CALIBRATION_PHOTOS = 16
HELD_OUT_PHOTOS = 12
PHOTO_SIZE = 256


def export_checkpoint(checkpoint: Checkpoint, path: Path) -> Verification:
    """Export a checkpoint's averaged network, with what is known about it in the metadata.

    Arguments and errors as of :func:`export_onnx`.
    """
    metadata = {
        "name": str(checkpoint.card["name"]),
        "styles": json.dumps(checkpoint.styles),
        "paintings": json.dumps(checkpoint.card["paintings"], ensure_ascii=False),
        "precision": "fp32",
        "network": checkpoint.recipe.network,
        "version": __version__,
        "steps": str(checkpoint.step),
        "recipe": json.dumps(checkpoint.recipe.as_dict()),
        "losses": json.dumps(checkpoint.losses),
        **recipe_metadata(checkpoint.recipe.as_dict()),
    }
    if not checkpoint.sets:
        return export_onnx(checkpoint.network(), path, metadata=metadata)
    return export_styles(checkpoint.network(), checkpoint.sets, path, metadata=metadata)


def deploy(
    source: Checkpoint | Choice,
    path: Path,
    *,
    precision: Precision = "fp32",
    io: IO = "float",
    size: tuple[int, int] | None = None,
    passes: int = 1,
    strength: float = 1.0,
    ground: Forms | None = None,
    photos: Path | None = None,
) -> tuple[Verification, dict[str, Any]]:
    """Write a style as ONNX for a place and prove it; no file is left if the proof fails.

    A checkpoint's plain graph is proved equal to its network, that of a mixture equal to the graph that takes weights,
    and whatever is made of a plain graph equal to that one, run for each pass, with each of its styles.

    Args:
        source: A checkpoint, whose averaged network is exported; or a style of fast-style, float and for pictures of
            any size. A mixture becomes a graph that takes only the photo.
        path: Where to write.
        precision: ``fp16`` and ``int8`` need photos.
        io: ``uint8`` takes and gives (N, H, W, 3) pixels.
        size: (width, height) px for a graph of one fixed size; None for any.
        passes: Number of passes in which the graph paints by itself, 1 to 8.
        strength: How strongly it paints in them, 0.25 to 4; 1 is the style's own.
        ground: What it lays under flat places of a photo that is painted in passes, see
            :mod:`fast_style.model.ground`; None keeps the style's.
        photos: Folder of photos; half of those that are drawn calibrate, the others validate.

    Returns:
        The comparisons of float32 graphs, none if that of an ONNX file stays as it is; and values for the card:
        ``precision``, ``fp32_bytes``, ``io``, several ``passes``, a given ``ground``, what a mixture is made of
        (``name``, ``styles``, ``paintings``, ``weights``); with fewer bits ``fidelity`` (worst ``psnr``, dB,
        ``largest`` and ``mean`` difference in [0, 1] on so many ``photos``); of an 8-bit graph ``float_convolutions``
        and ``share_of_work_in_int8``; of pixels out ``largest_level``, their difference from the rounded float graph.

    Raises:
        InputError: Photos are missing, the size is too small, there is no such ground, or the number of passes or the
            strength, alone or multiplied by the style's own, is out of its range.
        ModelError: The file is not such a style.
        DatasetError: Too few usable photos.
        VerificationError: The graph differs too much; the message has the figures.
        ExportError: The graph cannot be written or made 8-bit.
    """
    check_passes(passes)
    check_strength(strength)
    check_forms(ground)
    smallest = smallest_side(passes)
    if size is not None and min(size) < smallest:
        raise InputError(f"size is {size[0]}×{size[1]} px; expected at least {smallest} on each side")
    if precision != "fp32" and photos is None:
        raise InputError(f"{precision} is proved on photos", hint="Give --photos FOLDER.")
    if precision == "fp32" and photos is not None:
        raise InputError("photos are for fp16 and int8", hint="Give --precision, or leave --photos out.")
    with replacing(path) as partial:
        graph, verification = _plain_graph(source, partial)
        told = read_metadata(graph)
        if strength != 1:
            own = strength_in(told)
            told[STRENGTH_KEY] = f"{strength * own:g}"
            if not 0 < float(told[STRENGTH_KEY]) < MOST_OWN_STRENGTH:
                raise InputError(
                    f"strength is {strength:g} times the style's own, {own:g}; "
                    f"expected a product above 0 and below {MOST_OWN_STRENGTH:g}"
                )
        if ground is not None:
            told[GROUND_KEY] = ground
        write_metadata(graph, told)
        plain = _for_place(graph, size, passes)
        if plain is not graph:
            verification = _verify(graph, plain, size, passes, verification)
        model, metadata = plain, {**read_metadata(plain), "precision": str(precision)}
        facts: dict[str, Any] = {"precision": precision, "fp32_bytes": plain.ByteSize()}
        if photos is not None and precision != "fp32":
            drawn = _load_photos(photos, size, smallest)
            calibration, held_out = (_with_styles(graph, part) for part in drawn)
            if precision == "fp16":  # each pass by itself, so that drafts are mixed in float32
                model = _for_place(to_fp16(graph, calibration), size, passes)
            else:  # all passes together: each has other ranges, and the errors of one are those of the next
                model, kept, work = _to_int8(plain, calibration)
                facts |= {"float_convolutions": kept, "share_of_work_in_int8": round(work, 4)}
            facts["fidelity"] = _compare(plain, model, held_out, precision)
        facts |= {"io": io} | ({"passes": passes} if passes > 1 else {})
        facts |= {} if ground is None else {"ground": ground}
        if isinstance(source, Choice) and source.weights:
            name, paintings = metadata["name"], json.loads(metadata["paintings"])
            facts |= {"name": name, "styles": [name], "paintings": paintings, "weights": dict(source.weights)}
        if io == "uint8":
            floats, model = model, pixels_in_and_out(model)
            facts["largest_level"] = _check_pixels(floats, model, size, smallest)
            metadata |= {"layout": "NHWC RGB", "range": "0-255"}
        write_metadata(model, metadata)
        write_model(model, partial)
        return verification, facts


def _plain_graph(source: Checkpoint | Choice, place: Path) -> tuple[onnx.ModelProto, Verification]:
    """Export a checkpoint to a place, or read a style as a float graph for any size and one pass; and its proof."""
    if isinstance(source, Checkpoint):
        verification = export_checkpoint(source, place)
        return onnx.load(place), verification
    path = source.style.path
    opened = open_graph(path, content=source.content)
    contract = check_contract(opened)
    if not contract.is_plain or contract.passes > 1:
        raise ModelError(
            f"{path} is not a float graph that paints pictures of any size in one pass",
            hint="Give the file that it was made from, or one that 'fast-style train' wrote.",
        )
    content = source.read()
    model = parse_model(content)
    if not source.weights:
        return model, Verification({})
    mixture = mixture_file(content, source.weights)
    feed = {STYLES: as_row(style_names(opened.metadata), source.weights)} if takes_styles(model.graph) else {}
    return parse_model(mixture), judge(verify_passes(_painter(opened.session, feed), mixture, 1))


def _for_place(graph: onnx.ModelProto, size: tuple[int, int] | None, passes: int) -> onnx.ModelProto:
    """Let a graph of one pass and any size paint in passes, and for one size."""
    factors = [2**step for step in reversed(range(passes))]
    parts = [graph] * passes
    if size is not None:
        parts = [for_size(graph, (-(-size[0] // factor), -(-size[1] // factor))) for factor in factors]
    if passes == 1:
        return parts[0]
    return onnx.load_model_from_string(join_passes([part.SerializeToString() for part in parts]))


def _verify(
    graph: onnx.ModelProto, plain: onnx.ModelProto, size: tuple[int, int] | None, passes: int, before: Verification
) -> Verification:
    """Compare a graph for a place with the graph it was made from, with each of its styles."""
    content, session = plain.SerializeToString(), open_session(graph.SerializeToString())
    sizes = None if size is None else [(1, size[1], size[0])]
    differences = verify_passes(_painter(session, {}), content, passes, sizes=sizes)
    if takes_styles(graph.graph):
        side = smallest_side(passes) + 9
        for name, feed in zip(style_names(read_metadata(graph)), _style_feeds(graph), strict=False):
            own_sizes = sizes or [(2, side, side + 8)]
            compared = verify_passes(_painter(session, feed), content, passes, sizes=own_sizes, feed=feed)
            differences[f"{passes} passes {name}" if passes > 1 else name] = max(compared.values())
    return judge({**before.differences, **differences})


def _painter(session: onnxruntime.InferenceSession, feed: Feed) -> Callable[[Tensor], Tensor]:
    """Let a graph paint tensors, with its other inputs as given."""
    return lambda image: torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy(), **feed})[0])


def _to_int8(model: onnx.ModelProto, calibration: Sequence[Feed]) -> tuple[onnx.ModelProto, list[str], float]:
    """Make a graph 8-bit, as far as the first calibration photos stay near float32."""
    judged = calibration[:4]
    expected, enough = run(model, judged), SMALLEST_PSNR["int8"] + _PSNR_MARGIN
    return to_int8(model, calibration, accept=lambda candidate: psnr(run(candidate, judged), expected) >= enough)


def _load_photos(folder: Path, size: tuple[int, int] | None, smallest: int) -> tuple[list[Image], list[Image]]:
    """Read the calibration photos and the held-out ones, drawn in a fixed random order.

    They have the size, or else no side under ``smallest`` px.
    """
    long_side = max(PHOTO_SIZE, 2 * smallest)
    paths = find_photos(folder)
    usable: list[Image] = []
    for index in np.random.default_rng(0).permutation(len(paths)):
        try:
            picture = load_image(paths[index], size=2 * long_side, opaque=True)
        except ImageError:
            continue
        picture = resize(picture, size) if size is not None else fit(picture, long_side)
        if size is not None or min(picture.size) >= smallest:
            usable.append(to_float(picture.pixels))
        if len(usable) == CALIBRATION_PHOTOS + HELD_OUT_PHOTOS:
            break
    if len(usable) < 4:
        raise DatasetError(
            f"at least 4 photos are needed; {folder} holds {len(usable)} with sides of at least {smallest} px",
            hint="A few dozen are better.",
        )
    held_out = min(HELD_OUT_PHOTOS, len(usable) // 2)
    return usable[held_out:], usable[:held_out]


def _with_styles(model: onnx.ModelProto, photos: Sequence[Image]) -> list[Feed]:
    """Give each photo one of a graph's styles, in turn, if it takes these."""
    return [{INPUT: photo, **feed} for photo, feed in zip(photos, cycle(_style_feeds(model)), strict=False)]


def _style_feeds(model: onnx.ModelProto) -> list[Feed]:
    """Weights for a graph: each of its styles, or none if it takes none."""
    if not takes_styles(model.graph):
        return [{}]
    return [{STYLES: row[None]} for row in np.eye(len(style_names(read_metadata(model))), dtype=np.float32)]


def _compare(
    plain: onnx.ModelProto, reduced: onnx.ModelProto, held_out: Sequence[Feed], precision: Precision
) -> dict[str, float]:
    """Compare a reduced graph with the float32 one, and refuse it if it differs too much."""
    expected, pictures = run(plain, held_out), run(reduced, held_out)
    differences = [np.abs(a - b) for a, b in zip(pictures, expected, strict=True)]
    worst = psnr(pictures, expected)
    if not worst >= SMALLEST_PSNR[precision]:  # so that a NaN fails
        raise VerificationError(
            f"the {precision} graph is {worst:.1f} dB from float32 on the worst of {len(held_out)} photos; "
            f"at least {SMALLEST_PSNR[precision]:.0f} dB are asked",
            hint="More and more varied photos help an 8-bit graph; else use --precision fp16 or fp32.",
        )
    return {
        "psnr": worst,
        "largest": max(float(difference.max()) for difference in differences),
        "mean": statistics.fmean(float(difference.mean()) for difference in differences),
        "photos": len(held_out),
    }


def _check_pixels(model: onnx.ModelProto, pixels: onnx.ModelProto, size: tuple[int, int] | None, smallest: int) -> int:
    """Compare pixels in and out with the float graph and the runtime's own rounding: one level is allowed."""
    largest = 0
    more = smallest - SMALLEST_DRAFT
    sizes = [(width + more, height + more) for width, height in ((131, 97), (16, 17), (64, 40))]
    for width, height in [size] if size is not None else sizes:
        frame = to_uint8(example_image(1, height, width))
        (expected,), (result,) = run(model, [{INPUT: to_float(frame)}]), run(pixels, [{INPUT: frame[None]}])
        if result.shape != (1, *frame.shape) or result.dtype != np.uint8:
            raise VerificationError(f"the uint8 graph gives {result.shape} {result.dtype} for {frame.shape} uint8")
        levels = np.abs(result[0].astype(int) - to_uint8(expected).astype(int))
        largest = max(largest, int(levels.max()))
    if largest > 1:
        raise VerificationError(f"the uint8 graph differs from the float graph by {largest} levels; 1 is allowed")
    return largest
