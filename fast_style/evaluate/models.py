"""Opening what is to be evaluated: our ONNX files and checkpoints, and ONNX files from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError, ModelError
from fast_style.model import PICTURE_TYPES, Graph, Value, first_line, open_graph
from fast_style.styles.catalog import find_style
from fast_style.styles.mixture import find_mixture, mixture_name
from fast_style.stylize.stylizer import Stylizer

ValueRange = Literal["0-1", "0-255", "-1-1"]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """A style to be evaluated.

    Attributes:
        name: What the report calls it.
        path: Its file.
        kind: ``onnx`` or ``ckpt``.
        stylize: From (1, 3, H, W) float32 RGB in [0, 1] to the same, clamped.
        fixed: The only (width, height) it takes, px, or None.
        stylizer: What draws films with it, if it is an ONNX file of ours.
    """

    name: str
    path: Path
    kind: Literal["onnx", "ckpt"]
    stylize: Callable[[Image], Image]
    fixed: tuple[int, int] | None = None
    stylizer: Stylizer | None = None


def open_model(given: str | Path, *, value_range: ValueRange | None = None, strength: float = 1.0) -> Model:
    """Open a shipped name, an .onnx, a .ckpt or a mixture.

    Args:
        given: Name, path or a text as of :func:`fast_style.styles.mixture.find_mixture`.
        value_range: Of the pixels of an ONNX file from elsewhere; those of ours say it themselves.
        strength: Of styles that have learned one.

    Raises:
        StyleNotFoundError: There is neither such a style nor such a file.
        InputError: The styles cannot be mixed, or have learned no strength.
        CheckpointError: The checkpoint cannot be used.
        ModelError: The ONNX file is damaged, is not an image-to-image network, or does not say its value range.
    """
    if Path(given).suffix == ".ckpt" and strength == 1.0:
        style = find_style(given)
        return Model(style.name, style.path, "ckpt", _open_checkpoint(style.path))
    chosen = find_mixture(given, strength=strength)
    if not chosen.weights and strength == 1.0:
        graph = open_graph(chosen.style.path)
        model = _open_onnx(chosen.style.name, graph, value_range)
        return replace(model, stylizer=Stylizer(given)) if graph.ours else model
    stylizer = Stylizer(given, strength=strength)
    name = mixture_name(given) + (f" {strength:g}" if strength != 1.0 else "")
    model = _open_onnx(name, open_graph(stylizer.style.path, content=stylizer.network.chosen), value_range)
    return replace(model, stylizer=stylizer)


def _open_checkpoint(path: Path) -> Callable[[Image], Image]:
    import torch

    from fast_style.checkpoint import load_checkpoint

    network = load_checkpoint(path).network()

    def stylize(image: Image) -> Image:
        with torch.inference_mode():
            out: Image = network(torch.from_numpy(image)).clamp(0.0, 1.0).numpy()
        return out

    return stylize


def _open_onnx(name: str, graph: Graph, value_range: ValueRange | None) -> Model:
    path = graph.path
    inputs, outputs, picture = graph.signature.inputs, graph.signature.outputs, graph.signature.picture
    if len(inputs) != 1 or len(outputs) != 1 or picture is None:
        takes = ", ".join(f"{value.name} {value}" for value in inputs)
        raise ModelError(f"{path} takes {takes or 'nothing'}; expected one batch of pictures and one result")
    if not picture.channels_last and isinstance(picture.shape[1], int) and picture.shape[1] != 3:
        raise ModelError(f"{path} takes pictures of {picture}; expected three channels")
    if picture.type == "uint8":
        value_range = "0-255"
    elif graph.ours:
        value_range = "0-1"
    elif value_range is None:
        raise ModelError(
            f"{path} was not exported by fast-style, so its value range is unknown",
            hint="Say it with --value-range 0-1, 0-255 or -1-1.",
        )
    return Model(name, path, "onnx", _caller(graph, picture, value_range), graph.fixed)


def _caller(graph: Graph, picture: Value, value_range: ValueRange) -> Callable[[Image], Image]:
    path, kind = graph.path, PICTURE_TYPES[picture.type]
    scale, shift = {"0-1": (1.0, 0.0), "0-255": (255.0, 0.0), "-1-1": (2.0, -1.0)}[value_range]

    def stylize(image: Image) -> Image:
        given = image * np.float32(scale) + np.float32(shift)
        given = (np.rint(given) if kind is np.uint8 else given).astype(kind)
        given = np.ascontiguousarray(given.transpose(0, 2, 3, 1)) if picture.channels_last else given
        try:
            (out,) = graph.session.run(None, {picture.name: given})
        except Exception as error:  # its exceptions share no base but this one
            raise ModelError(
                f"{path} failed on a picture of {image.shape[3]}×{image.shape[2]} px: {first_line(error)}"
            ) from error
        if out.ndim != 4 or 3 not in (out.shape[1], out.shape[3]):
            raise ModelError(f"{path} returned shape {out.shape}; expected pictures")
        out = out.transpose(0, 3, 1, 2) if out.shape[1] != 3 else out
        if out.shape != image.shape:
            raise ModelError(f"{path} returned shape {out.shape} for pictures of shape {image.shape}")
        result = (out.astype(np.float32) - np.float32(shift)) / np.float32(scale)
        if not np.isfinite(result).all():
            raise ModelError(f"{path} produced NaN or infinity")
        return np.ascontiguousarray(np.clip(result, 0.0, 1.0))

    return stylize


def check_size(model: Model, size: int) -> None:
    """Refuse a size that a network of fixed size does not take.

    Raises:
        InputError: It takes another.
    """
    if model.fixed is not None and model.fixed != (size, size):
        width, height = model.fixed
        hint = f"Give --size {height}." if height == width else "Export it with free sides."
        raise InputError(f"{model.path} takes only pictures of {width}×{height} px", hint=hint)
