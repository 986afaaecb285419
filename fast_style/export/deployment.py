"""Exporting a checkpoint for a place: in fewer bits, with pixels in and out, or for one size; proved each time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from fast_style import __version__
from fast_style.checkpoint import Checkpoint
from fast_style.errors import DatasetError, ImageError, InputError, VerificationError
from fast_style.export.card import card_checksum
from fast_style.export.pixels import pixels_in_and_out
from fast_style.export.precision import SMALLEST_PSNR, Image, Precision, Quantized, psnr, run, to_fp16, to_int8
from fast_style.export.styles import export_styles
from fast_style.export.to_onnx import export_onnx
from fast_style.export.verify import Verification
from fast_style.export.writing import write_model
from fast_style.files import replacing
from fast_style.images import find_photos, fit, load_image, resize, to_float, to_uint8
from fast_style.model import INPUT, STRENGTH, STYLES, Feed, style_names, takes_styles
from fast_style.model.editing import read_metadata, write_metadata
from fast_style.model.passes import COARSEST, COARSEST_KEY

IO = Literal["float", "uint8"]

# 8-bit convolutions are chosen on the calibration photos, so they leave room for the held-out ones, dB.
_PSNR_MARGIN = 3.0

CALIBRATION_PHOTOS = 16
HELD_OUT_PHOTOS = 12
PHOTO_SIZE = 256
# Strengths at which a file that has learned one is calibrated and validated.
_STRENGTHS = (1.0, 4.0, 0.25)


def export_checkpoint(checkpoint: Checkpoint, path: Path, *, size: tuple[int, int] | None = None) -> Verification:
    """Export a checkpoint's averaged network, with what is known about it in the metadata.

    The metadata's ``card_sha256`` is the checksum of the card's part that training wrote: see
    :func:`fast_style.export.card.card_checksum`. Arguments and errors as of :func:`export_onnx`.
    """
    metadata = {
        "name": str(checkpoint.card["name"]),
        "styles": json.dumps(checkpoint.styles),
        "paintings": json.dumps(checkpoint.card["paintings"], ensure_ascii=False),
        "precision": "fp32",
        "card_sha256": card_checksum(checkpoint),
        "network": checkpoint.recipe.network,
        "version": __version__,
        "steps": str(checkpoint.step),
        "recipe": json.dumps(checkpoint.recipe.as_dict()),
        "losses": json.dumps(checkpoint.losses),
    }
    if checkpoint.recipe.passes > 1:
        metadata[COARSEST_KEY] = str(COARSEST)
    if not checkpoint.sets:
        return export_onnx(checkpoint.network(), path, metadata=metadata, size=size)
    if size is not None:
        raise InputError("a file of several styles or with a strength takes any size", hint="Leave the size out.")
    return export_styles(checkpoint.network(), checkpoint.sets, path, metadata=metadata)


def deploy(
    checkpoint: Checkpoint,
    path: Path,
    *,
    precision: Precision = "fp32",
    io: IO = "float",
    size: tuple[int, int] | None = None,
    photos: Path | None = None,
) -> tuple[Verification, dict[str, Any]]:
    """Write a checkpoint's network as ONNX and prove it; no file is left if the proof fails.

    Args:
        checkpoint: Whose averaged network is exported.
        path: Where to write.
        precision: ``fp16`` and ``int8`` need photos.
        io: ``uint8`` takes and gives (N, H, W, 3) pixels.
        size: (width, height) px for a graph of one fixed size; None for any.
        photos: Folder of photos; half of those that are drawn calibrate, the others validate.

    Returns:
        Comparison of the float32 graph with the network, and values for the card: ``precision``, ``io``,
        ``fp32_bytes``; with fewer bits ``fidelity`` (worst ``psnr``, dB, ``largest`` and ``mean`` difference in [0, 1]
        on so many ``photos``); of an 8-bit graph ``float_convolutions`` and ``share_of_work_in_int8``; of pixels out
        ``largest_level``, their largest difference from the float graph, rounded.

    Raises:
        InputError: Photos are missing, or the size is too small.
        DatasetError: Too few usable photos.
        VerificationError: The reduced graph differs too much; the message has the figures.
        ExportError: The graph cannot be written or made 8-bit.
    """
    if size is not None and min(size) < 16:
        raise InputError(f"size is {size[0]}×{size[1]} px; expected at least 16 on each side")
    if precision != "fp32" and photos is None:
        raise InputError(f"{precision} is proved on photos", hint="Give --photos FOLDER.")
    with replacing(path) as partial:
        verification = export_checkpoint(checkpoint, partial, size=size)
        plain = onnx.load(partial)
        model, metadata = plain, {**read_metadata(plain), "precision": str(precision)}
        facts: dict[str, Any] = {"precision": precision, "io": io, "fp32_bytes": plain.ByteSize()}
        if photos is not None and precision != "fp32":
            calibration, held_out = (_with_styles(plain, part) for part in _load_photos(photos, size))
            reduced = _reduce(plain, precision, calibration)
            model, facts["fidelity"] = reduced.model, _compare(plain, reduced.model, held_out, precision)
            if precision == "int8":
                facts |= {"float_convolutions": list(reduced.kept), "share_of_work_in_int8": round(reduced.work, 4)}
        if io == "uint8":
            floats, model = model, pixels_in_and_out(model)
            facts["largest_level"] = _check_pixels(floats, model, size)
            metadata |= {"layout": "NHWC RGB", "range": "0-255"}
        write_metadata(model, metadata)
        write_model(model, partial)
        return verification, facts


def _reduce(model: onnx.ModelProto, precision: Precision, calibration: Sequence[Feed]) -> Quantized:
    """Make a graph half-precision, or 8-bit as far as the first calibration photos stay near float32."""
    if precision == "fp16":
        return Quantized(to_fp16(model, calibration))
    judged = calibration[:4]
    expected, enough = run(model, judged), SMALLEST_PSNR["int8"] + _PSNR_MARGIN
    return to_int8(model, calibration, accept=lambda candidate: psnr(run(candidate, judged), expected) >= enough)


def _load_photos(folder: Path, size: tuple[int, int] | None) -> tuple[list[Image], list[Image]]:
    """Read the calibration photos and the held-out ones, drawn in a fixed random order."""
    paths = find_photos(folder)
    usable: list[Image] = []
    for index in np.random.default_rng(0).permutation(len(paths)):
        try:
            picture = load_image(paths[index], size=2 * PHOTO_SIZE, opaque=True)
        except ImageError:
            continue
        picture = resize(picture, size) if size is not None else fit(picture, PHOTO_SIZE)
        if min(picture.size) >= 16:
            usable.append(to_float(picture.pixels))
        if len(usable) == CALIBRATION_PHOTOS + HELD_OUT_PHOTOS:
            break
    if len(usable) < 4:
        raise DatasetError(
            f"{folder} holds {len(usable)} usable photos; at least 4 are needed", hint="A few dozen are better."
        )
    held_out = min(HELD_OUT_PHOTOS, len(usable) // 2)
    return usable[held_out:], usable[:held_out]


def _with_styles(model: onnx.ModelProto, photos: Sequence[Image]) -> list[Feed]:
    """Give each photo one of a graph's styles and strengths, in turn, if it takes these."""
    if not takes_styles(model.graph):
        return [{INPUT: photo} for photo in photos]
    names = style_names(read_metadata(model))
    able = any(value.name == STRENGTH for value in model.graph.input)
    feeds: list[Feed] = []
    for number, photo in enumerate(photos):
        weights = np.eye(len(names), dtype=np.float32)[number % len(names)][None]
        strength = {STRENGTH: np.full((1, 1), _STRENGTHS[number % len(_STRENGTHS)], np.float32)} if able else {}
        feeds.append({INPUT: photo, STYLES: weights, **strength})
    return feeds


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


def _check_pixels(model: onnx.ModelProto, pixels: onnx.ModelProto, size: tuple[int, int] | None) -> int:
    """Compare pixels in and out with the float graph and the runtime's own rounding: one level is allowed."""
    random = np.random.default_rng(0)
    largest = 0
    for width, height in [size] if size is not None else [(131, 97), (16, 17), (64, 40)]:
        frame = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        frame[:, : width // 2] = np.linspace(0, 255, height)[:, None, None].astype(np.uint8)
        (expected,), (result,) = run(model, [{INPUT: to_float(frame)}]), run(pixels, [{INPUT: frame[None]}])
        if result.shape != (1, *frame.shape) or result.dtype != np.uint8:
            raise VerificationError(f"the uint8 graph gives {result.shape} {result.dtype} for {frame.shape} uint8")
        levels = np.abs(result[0].astype(int) - to_uint8(expected).astype(int))
        largest = max(largest, int(levels.max()))
    if largest > 1:
        raise VerificationError(f"the uint8 graph differs from the float graph by {largest} levels; 1 is allowed")
    return largest
