"""Opening what is to be evaluated: our ONNX files and checkpoints, and ONNX files from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError, ModelError
from fast_style.styles import find_style

if TYPE_CHECKING:
    import onnxruntime

ValueRange = Literal["0-1", "0-255", "-1-1"]
Image = NDArray[np.float32]

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(frozen=True)
class Model:
    """A style to be evaluated.

    Attributes:
        name: What the report calls it.
        path: Its file.
        kind: ``onnx`` or ``ckpt``.
        stylize: From (1, 3, H, W) float32 RGB in [0, 1] to the same, clamped.
        fixed: The only height and width it takes, px, or None.
    """

    name: str
    path: Path
    kind: Literal["onnx", "ckpt"]
    stylize: Callable[[Image], Image]
    fixed: tuple[int, int] | None = None


def open_model(given: str | Path, *, value_range: ValueRange | None = None) -> Model:
    """Open a shipped name, an .onnx or a .ckpt.

    Args:
        given: Name or path.
        value_range: Of the pixels of an ONNX file from elsewhere; those of ours say it themselves.

    Raises:
        StyleNotFoundError: There is neither such a style nor such a file.
        CheckpointError: The checkpoint cannot be used.
        ModelError: The ONNX file is damaged, is no image-to-image network, or does not say its value range.
    """
    style = find_style(given)
    if style.path.suffix == ".ckpt":
        return Model(style.name, style.path, "ckpt", _open_checkpoint(style.path))
    return _open_onnx(style.name, style.path, value_range)


def _open_checkpoint(path: Path) -> Callable[[Image], Image]:
    import torch

    from fast_style.checkpoint import load_checkpoint

    network = load_checkpoint(path).network()

    def stylize(image: Image) -> Image:
        with torch.inference_mode():
            out: Image = network(torch.from_numpy(image)).clamp(0.0, 1.0).numpy()
        return out

    return stylize


def _open_onnx(name: str, path: Path, value_range: ValueRange | None) -> Model:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this one
        raise ModelError(
            f"{path} cannot be opened as an ONNX model: {str(error).splitlines()[0]}",
            hint="Give an .onnx or a .ckpt file.",
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 4:
        signature = ", ".join(f"{node.name} {node.type} {node.shape}" for node in inputs)
        raise ModelError(f"{path} takes {signature or 'nothing'}; expected one batch of pictures and one result")
    metadata = session.get_modelmeta().custom_metadata_map
    if inputs[0].type == "tensor(uint8)":
        value_range = "0-255"
    elif metadata.get("producer") == "fast-style":
        value_range = "0-1"
    elif value_range is None:
        raise ModelError(
            f"{path} was not exported by fast-style, so its value range is unknown",
            hint="Say it with --value-range 0-1, 0-255 or -1-1.",
        )
    shape = inputs[0].shape
    channels_last = shape[1] != 3 and shape[3] == 3
    if not channels_last and isinstance(shape[1], int) and shape[1] != 3:
        raise ModelError(f"{path} takes pictures of shape {shape}; expected three channels")
    sides = shape[1:3] if channels_last else shape[2:4]
    fixed = (sides[0], sides[1]) if all(isinstance(side, int) for side in sides) else None
    call = _caller(session, path, value_range, channels_last, _TYPES[inputs[0].type])
    return Model(name, path, "onnx", call, fixed)


def _caller(
    session: onnxruntime.InferenceSession, path: Path, value_range: ValueRange, channels_last: bool, kind: Any
) -> Callable[[Image], Image]:
    scale, shift = {"0-1": (1.0, 0.0), "0-255": (255.0, 0.0), "-1-1": (2.0, -1.0)}[value_range]
    feed, fetch = session.get_inputs()[0].name, session.get_outputs()[0].name

    def stylize(image: Image) -> Image:
        given = image * np.float32(scale) + np.float32(shift)
        given = (np.rint(given) if kind is np.uint8 else given).astype(kind)
        given = np.ascontiguousarray(given.transpose(0, 2, 3, 1)) if channels_last else given
        try:
            (out,) = session.run([fetch], {feed: given})
        except Exception as error:  # its exceptions share no base but this one
            raise ModelError(
                f"{path} failed on a picture of {image.shape[3]}×{image.shape[2]} px: {str(error).splitlines()[0]}"
            ) from error
        if out.ndim != 4 or 3 not in (out.shape[1], out.shape[3]):
            raise ModelError(f"{path} returned shape {out.shape}; expected pictures")
        out = out.transpose(0, 3, 1, 2) if out.shape[1] != 3 else out
        if out.shape != image.shape:
            raise ModelError(f"{path} returned shape {out.shape} for pictures of shape {image.shape}")
        result = (out.astype(np.float32) - np.float32(shift)) / np.float32(scale)
        if not np.isfinite(result).all():
            raise ModelError(f"{path} gave values that are not numbers")
        return np.ascontiguousarray(np.clip(result, 0.0, 1.0))

    return stylize


def check_size(model: Model, size: int) -> None:
    """Refuse a size that a network of fixed size does not take.

    Raises:
        InputError: It takes another.
    """
    if model.fixed is not None and model.fixed != (size, size):
        height, width = model.fixed
        hint = f"Give --size {height}." if height == width else "Export it with free sides."
        raise InputError(f"{model.path} takes only pictures of {width}×{height} px", hint=hint)
