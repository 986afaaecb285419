"""Opening what is to be evaluated: our ONNX files, and ONNX files from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError
from fast_style.images import to_float, to_uint8
from fast_style.styles.mixture import mixture_name
from fast_style.stylize.contract import Range
from fast_style.stylize.stylizer import Stylizer

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """A style to be evaluated."""

    name: str  # what the report calls it
    path: Path  # its file
    # From a photo, (1, 3, H, W) float32 RGB in [0, 1], to the same, clamped, in the style's passes.
    stylize: Callable[[Image], Image]
    fixed: tuple[int, int] | None = None  # the only (width, height) it takes, px, or None
    stylizer: Stylizer | None = None  # what draws films with it, if it is an ONNX file of ours


def open_model(source: str | Path, *, value_range: Range | None = None, strength: float = 1.0) -> Model:
    """Open a shipped name, an .onnx or a mixture.

    Args:
        source: Name, path or a text as :func:`fast_style.styles.mixture.find_mixture` takes it.
        value_range: Of the pixels of an ONNX file from elsewhere; those of ours say it themselves.
        strength: Of styles that have learned one.

    Raises:
        StyleNotFoundError: There is neither such a style nor such a file.
        InputError: The styles cannot be mixed, or have learned no strength.
        ModelError: The ONNX file is damaged, is not an image-to-image network, or does not say its value range.
    """
    stylizer = Stylizer(source, value_range=value_range, strength=strength)
    name = mixture_name(source) + (f" {strength:g}" if strength != 1.0 else "")
    contract = stylizer.network.contract
    fixed = None if contract.height is None or contract.width is None else (contract.width, contract.height)

    def stylize(image: Image) -> Image:
        return to_float(np.asarray(stylizer(to_uint8(image))))

    return Model(name, stylizer.style.path, stylize, fixed, stylizer if contract.ours else None)


def check_size(model: Model, size: int) -> None:
    """Raise InputError for a size that a network of fixed size does not take."""
    if model.fixed is not None and model.fixed != (size, size):
        width, height = model.fixed
        hint = f"Give --size {height}." if height == width else "Export it with free sides."
        raise InputError(f"{model.path} takes only pictures of {width}×{height} px", hint=hint)
