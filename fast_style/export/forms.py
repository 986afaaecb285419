"""The forms of a style with statistics outside, proved equal to it: see :mod:`fast_style.model.statistics`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from fast_style.errors import ModelError, VerificationError
from fast_style.export.precision import SMALLEST_PSNR, psnr
from fast_style.export.writing import write_model
from fast_style.model import (
    INPUT,
    ORIGIN,
    STATISTICS,
    Graph,
    apply_form,
    find_reach,
    fixed_form,
    measure_form,
    open_graph,
    open_session,
    read_checked,
)
from fast_style.networks import InstanceNormalization, TransformerNetwork, record_statistics

Form = Literal["measure", "apply"]
# Of a tile, in which there must be room beside its reach, px.
_ROOM = 64
# Channels that vary by less are constant, as far as a normalization is concerned.
_LEAST_VARIANCE = 1e-5


def verify_forms(network: TransformerNetwork, path: Path) -> dict[str, float]:
    """Compare the forms of an ONNX file of any size with its network.

    Args:
        network: The original, in eval mode.
        path: The ONNX file.

    Returns:
        Largest absolute differences by what was compared: ``statistics``, in deviations of their channel; ``apply``,
        a picture with its own statistics; ``tile``, a part of it with the statistics of the whole, as far as the tile's
        border is out of reach; ``fixed``, the picture with its statistics in the convolutions. Nothing of a network
        without normalizations, which sees no whole.

    Raises:
        ModelError: The graph has no such forms.
    """
    if not any(isinstance(layer, InstanceNormalization) for layer in network.modules()):
        return {}
    content, stride = read_checked(path), network.stride
    reach = find_reach(content)
    # Tiles begin at cells of the network, and here at none that the noise repeats.
    margin = -(-max(reach.before, reach.after) // stride) * stride
    image = _picture(2 * margin + _ROOM + 3 * stride, 2 * margin + _ROOM + 5 * stride + 3)
    device = next(network.parameters()).device
    with torch.no_grad():
        expected = network(torch.from_numpy(image).to(device)).clamp(0.0, 1.0).cpu().numpy()
        found = record_statistics(network, torch.from_numpy(image).to(device)).values()
    recorded = np.stack(
        [np.concatenate([getattr(one, what).cpu().numpy().ravel() for one in found]) for what in ("mean", "variance")]
    )
    (statistics,) = open_session(measure_form(content)).run(None, {INPUT: image})
    deviation = np.sqrt(recorded[1] + _LEAST_VARIANCE)
    means, deviations = (statistics[0] - recorded[0]) / deviation, np.sqrt(statistics[1] + _LEAST_VARIANCE) / deviation
    apply, fixed = (
        open_session(apply_form(content, stride=stride)),
        open_session(fixed_form(content, statistics, stride=stride)),
    )

    def drawn(part: NDArray[np.float32], origin: tuple[int, int]) -> NDArray[np.float32]:
        (result,) = apply.run(None, {INPUT: part, STATISTICS: statistics, ORIGIN: np.array(origin)})
        return result  # type: ignore[no-any-return]  # sessions return what the graph says

    row, column = stride, 2 * stride
    tile = drawn(np.ascontiguousarray(image[..., row:, column:]), (row, column))
    return {
        "statistics": float(max(np.abs(means).max(), np.abs(deviations - 1).max())),
        "apply": float(np.abs(drawn(image, (0, 0)) - expected).max()),
        "tile": float(np.abs(tile[..., margin:, margin:] - expected[..., row + margin :, column + margin :]).max()),
        "fixed": float(np.abs(fixed.run(None, {INPUT: image})[0] - expected).max()),
    }


def write_form(style: Path, form: Form, path: Path, *, tolerance: float) -> float:
    """Write a form of an exported style, and prove that both forms together equal it.

    Args:
        style: The style's ONNX file.
        form: Which one.
        path: Where to write; a failure may leave something there.
        tolerance: Largest absolute difference allowed; of fp16 and int8, the distance in dB is what counts.

    Returns:
        The largest difference between the style and its form that is given the picture's own statistics.

    Raises:
        ModelError: It is no style of ours, or takes one size only.
        VerificationError: The difference is larger.
    """
    graph, content = open_graph(style), read_checked(style)
    if not graph.ours or graph.fixed is not None:
        raise ModelError(
            f"{style} has no form with statistics", hint="Give a style that fast-style exported for any size."
        )
    stride = int(graph.metadata.get("stride", 1))
    measure, apply = measure_form(content), apply_form(content, stride=stride)
    image = example_picture(graph, (1, 131, 117))
    (statistics,) = open_session(measure).run(None, {INPUT: image})
    (expected,) = graph.session.run(None, {INPUT: image})
    (found,) = open_session(apply).run(None, {INPUT: image, STATISTICS: statistics, ORIGIN: np.zeros(2, np.int64)})
    difference = judge_copy(graph, "the form", found, expected, tolerance=tolerance)
    model = onnx.load_model_from_string(measure if form == "measure" else apply)
    onnx.helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, "form": form})
    write_model(model, path)
    return difference


def example_picture(graph: Graph, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    """Make (N, H, W) pictures of the kind that a graph of ours takes, floats or pixels: noise, and a smooth half."""
    image: NDArray[np.generic] = np.concatenate([_picture(*shape[1:])] * shape[0])
    if graph.signature.picture is not None and graph.signature.picture.type == "uint8":
        image = np.rint(255 * image.transpose(0, 2, 3, 1)).astype(np.uint8)
    return image


def judge_copy(
    graph: Graph, what: str, found: NDArray[np.generic], expected: NDArray[np.generic], *, tolerance: float
) -> float:
    """Compare what a copy of a file in another form or format gives with what the file gives.

    In fewer bits, a difference in the last one is enough for a value to be rounded the other way: a copy of such a file
    is judged by its distance in dB, as the file itself was. Pixels are rounded, too.

    Args:
        graph: The file.
        what: The copy, for the message.
        found: What the copy gave.
        expected: What the file gave.
        tolerance: Largest absolute difference allowed, in [0, 1]; pixels may be one level apart.

    Returns:
        The largest absolute difference, in [0, 1].

    Raises:
        VerificationError: The difference is larger, or not a number.
    """
    scale = np.float32(255 if expected.dtype == np.uint8 else 1)
    ours, theirs = found.astype(np.float32) / scale, expected.astype(np.float32) / scale
    if ours.shape != theirs.shape:
        raise VerificationError(f"{what} gives {ours.shape}, {graph.path} {theirs.shape}")
    difference = float(np.abs(ours - theirs).max())
    least = SMALLEST_PSNR.get(graph.metadata.get("precision", "fp32"))  # type: ignore[call-overload]  # any word
    allowed = tolerance if scale == 1 else max(tolerance, 1.001 / 255)
    # Written so that a NaN fails.
    if not (difference <= allowed if least is None else psnr([ours], [theirs]) >= least):
        raise VerificationError(f"{what} differs from {graph.path} by up to {difference:.2e}; {allowed:.0e} is allowed")
    return difference


def _picture(height: int, width: int) -> NDArray[np.float32]:
    """Noise, but for a smooth left half."""
    image = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    image[..., : width // 2] = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return image
