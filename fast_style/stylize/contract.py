"""What a graph takes and returns, and how pixels become that: fast-style's exports, and models from elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import InputError, ModelError
from fast_style.images import Picture, Pixels, resize, to_float, to_uint8
from fast_style.model.opening import Graph, Signature, show_shape
from fast_style.model.passes import MOST_PASSES, PASSES_KEY, smallest_side
from fast_style.model.table import number_in

Range = Literal["0-1", "0-255"]

# Smallest side that fast-style's networks take, px.
SMALLEST_SIDE = 16
# Largest excess of a result's side, px: networks round sides up to their stride, in this field 4 to 32.
_LARGEST_SURPLUS = 31


@dataclass(frozen=True)
class Contract:
    """The input and output of a graph that stylizes."""

    path: Path  # the graph's file
    input: str  # name of its input
    output: str  # name of its output
    ours: bool  # whether fast-style exported it
    pixels: bool  # whether both are (N, H, W, 3) uint8; otherwise (N, 3, H, W) float32
    white: float  # the value of white, 1.0 or 255.0
    height: int | None  # that it takes, px, or None for any
    width: int | None  # that it takes, px, or None for any
    passes: int = 1  # in how many it paints by itself

    @property
    def smallest(self) -> int:
        """Smallest side of a picture, px; a graph of one size takes it resized."""
        return smallest_side(self.passes) if self.height is None else SMALLEST_SIDE

    @property
    def is_plain(self) -> bool:
        """Whether it is a float graph of fast-style for pictures of any size, for which there is a faster path."""
        return self.ours and not self.pixels and self.height is None and self.width is None

    def feed(self, frame: Pixels) -> NDArray[Any]:
        """Turn (H, W, 3) uint8 RGB into the graph's input, resized if the graph has a fixed size."""
        fitted = _resized(frame, self._sides(frame))
        return fitted[None] if self.pixels else to_float(fitted) * np.float32(self.white)

    def read(self, result: NDArray[Any], frame: Pixels) -> Pixels:
        """Turn the graph's output for a frame into (H, W, 3) uint8 RGB of the frame's size; clamps.

        If the graph rounded the sides up to its stride, the excess is cut off at the right and the bottom.

        Raises:
            ModelError: It is not a picture of that size, or contains NaN or infinity.
        """
        height, width = self._sides(frame)
        image = result.transpose(0, 3, 1, 2) if self.pixels and result.ndim == 4 else result
        surplus = (image.shape[2] - height, image.shape[3] - width) if image.ndim == 4 else (-1, -1)
        if image.shape[:2] != (1, 3) or min(surplus) < 0 or max(surplus) > _LARGEST_SURPLUS:
            raise ModelError(
                f"{self.path} gave {show_shape(result.shape)} for a picture of {width}×{height} px; "
                f"expected a picture of that size"
            )
        if not np.isfinite(image).all():
            raise ModelError(f"{self.path} produced NaN or infinity")
        cut = image[:, :, :height, :width]
        stylized = (
            np.ascontiguousarray(cut[0].transpose(1, 2, 0))
            if self.pixels
            else to_uint8(np.divide(cut, self.white, dtype=np.float32))
        )
        return _resized(stylized, (frame.shape[0], frame.shape[1]))

    def _sides(self, frame: Pixels) -> tuple[int, int]:
        """Return height and width of the graph's input for a frame, px."""
        return self.height or frame.shape[0], self.width or frame.shape[1]


def check_contract(graph: Graph, value_range: Range | None = None) -> Contract:
    """Return how a graph takes pictures. Other inputs keep the graph's defaults.

    ``value_range`` says which values a float graph from elsewhere takes and returns. They are never guessed.

    Raises:
        InputError: ``value_range`` is neither ``0-1`` nor ``0-255``.
        ModelError: It does not turn one RGB picture into one, or its value range is unknown, or ``value_range``
            contradicts the file.
    """
    if value_range is not None and value_range not in get_args(Range):
        raise InputError(f"value_range is {value_range!r}; expected {' or '.join(get_args(Range))}")
    path, signature = graph.path, graph.signature
    wrong = _what_is_wrong(signature)
    if wrong is not None:
        takes, gives = (", ".join(map(str, side)) for side in (signature.inputs, signature.outputs))
        raise ModelError(
            f"{path} cannot serve as a style: {wrong}; it takes {takes or 'nothing'} and gives {gives}",
            hint="One RGB picture in and one out is needed: float (1, 3, H, W) or uint8 (1, H, W, 3).",
        )
    picture = signature.inputs[0]
    pixels = picture.type == "uint8"
    known: Range | None = "0-255" if pixels else "0-1" if graph.ours else None
    if graph.ours and graph.metadata.get("range", known) != known:
        raise ModelError(
            f"{path} says that its values are {graph.metadata['range']}, which this version does not know",
            hint="Update fast-style, or export the style again.",
        )
    if known is None and value_range is None:
        raise ModelError(
            f"{path} was not exported by fast-style, so its value range is unknown",
            hint="Say which values it takes and gives: stylize and webcam have --range 0-255 and --range 0-1.",
        )
    if known is not None and value_range not in {None, known}:
        why = "fast-style exported it" if graph.ours else "it takes uint8"
        raise ModelError(
            f"range is {value_range}, but {path} takes {known}: {why}", hint="Leave --range out for this file."
        )
    white = 255.0 if (known or value_range) == "0-255" else 1.0
    inside = number_in(graph.metadata, PASSES_KEY) if graph.ours else None
    passes = inside if inside and inside <= MOST_PASSES else 1
    return Contract(path, picture.name, signature.outputs[0].name, graph.ours, pixels, white, *picture.sides, passes)


def _what_is_wrong(signature: Signature) -> str | None:
    """Return why a graph cannot turn one picture into one, or None."""
    inputs, outputs = signature.inputs, signature.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        many = [
            f"{len(each)} {what}{'s' * (len(each) != 1)}" for each, what in ((inputs, "input"), (outputs, "output"))
        ]
        return f"it has {' and '.join(many)}"
    picture, result = inputs[0], outputs[0]
    if picture.type not in {"float", "uint8"} or result.type != picture.type:
        return "its input and output are not both float32 or both uint8"
    if len(picture.shape) != 4:
        return "its input does not have the four axes of a batch of pictures"
    axis = 3 if picture.type == "uint8" else 1
    if not isinstance(picture.shape[axis], int):
        return "its layout is unknown, as no axis is fixed to three channels"
    if picture.shape[axis] != 3:
        last = " (they are last, as in TensorFlow)" if axis == 1 and picture.channels_last else ""
        return f"axis {axis} of its input holds {picture.shape[axis]}, not the three channels of RGB{last}"
    if isinstance(picture.shape[0], int) and picture.shape[0] != 1:
        return f"it takes {picture.shape[0]} pictures at once, not one"
    # Old files omit the output's shape; results are checked each time.
    channels = result.shape[axis] if len(result.shape) == 4 else None
    if len(result.shape) not in {0, 4} or (isinstance(channels, int) and channels != 3):
        return "its output is not an RGB picture of the same layout"
    return None


def _resized(pixels: Pixels, sides: tuple[int, int]) -> Pixels:
    return pixels if pixels.shape[:2] == sides else resize(Picture(pixels), (sides[1], sides[0])).pixels
