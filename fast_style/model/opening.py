"""An ONNX file, opened and known: its session, its signature and its metadata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError, damaged_model
from fast_style.images import MAX_PIXELS
from fast_style.model.checksum import PRODUCER
from fast_style.model.session import Device, open_session, running_device

if TYPE_CHECKING:
    import onnxruntime

Feed = dict[str, NDArray[Any]]

# What our own exports call the picture, and what becomes of it.
INPUT, OUTPUT = "image", "stylized"
# What pictures come in.
PICTURE_TYPES: dict[str, type[np.generic]] = {"float": np.float32, "float16": np.float16, "uint8": np.uint8}

# Most values of an input with fixed sides, those of the largest photo that is read.
_MOST_VALUES = 3 * MAX_PIXELS


@dataclass(frozen=True)
class Value:
    """An input or an output."""

    name: str  # what it is called
    type: str  # type of its elements, such as `float` or `uint8`
    shape: tuple[int | str | None, ...]  # of each axis the length, or the name if it is free, or None without a name

    def __str__(self) -> str:
        """Render type and shape, such as ``float (batch, 3, height, width)``."""
        return f"{self.type} {show_shape(self.shape)}"

    @property
    def channels_last(self) -> bool:
        """Whether a batch of pictures is (N, H, W, 3), not (N, 3, H, W)."""
        return self.shape[3] == 3 and (self.shape[1] != 3 or self.type == "uint8")

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """Height and width of a batch of pictures, px; None for a free one."""
        height, width = self.shape[1:3] if self.channels_last else self.shape[2:4]
        return height if isinstance(height, int) else None, width if isinstance(width, int) else None


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives."""

    inputs: tuple[Value, ...]  # what must be given
    optional: tuple[Value, ...]  # inputs that have a default in the graph, an initializer of the same name
    outputs: tuple[Value, ...]  # what comes back

    @property
    def picture(self) -> Value | None:
        """The input for the picture, or None. If several have four axes, it is the first with three channels."""
        pictures = [value for value in self.inputs if value.type in PICTURE_TYPES and len(value.shape) == 4]
        three = [value for value in pictures if 3 in (value.shape[1], value.shape[3])]
        return next(iter(three or pictures), None)


@dataclass(frozen=True)
class Graph:
    """An ONNX file, opened."""

    path: Path  # the file
    session: onnxruntime.InferenceSession  # what runs it
    signature: Signature  # what it takes and gives
    metadata: dict[str, str]  # what its exporter stored: name, styles, paintings, network, stride, range, layout, …

    @property
    def ours(self) -> bool:
        """Whether fast-style exported it."""
        return self.metadata.get("producer") == PRODUCER

    @property
    def device(self) -> Device:
        """Our name of the provider that it runs on."""
        return running_device(self.session)

    def example(self, size: tuple[int, int]) -> Feed:
        """Make inputs to measure it with: a random picture of (width, height) px if its sides are free.

        Raises:
            ModelError: It takes no picture, or something beside it for which nothing can be made up.
        """
        picture = self.signature.picture
        if picture is None:
            takes = ", ".join(f"{value.name} {value}" for value in self.signature.inputs)
            raise ModelError(f"{self.path} has no input for a picture; it takes {takes or 'nothing'}")
        free = (1, size[1], size[0], 3) if picture.channels_last else (1, 3, size[1], size[0])
        shape = [side if isinstance(side, int) else length for side, length in zip(picture.shape, free, strict=True)]
        random = np.random.default_rng(0)
        if picture.type == "uint8":
            feed: Feed = {picture.name: random.integers(0, 256, shape, np.uint8)}
        else:
            feed = {picture.name: random.random(shape, np.float32).astype(PICTURE_TYPES[picture.type], copy=False)}
        for value in (value for value in self.signature.inputs if value is not picture):
            lengths = [side for side in value.shape if isinstance(side, int)]
            if len(lengths) < len(value.shape) or value.type != "float":
                raise ModelError(f"{self.path}: the input {value.name!r}, {value}, is unknown here")
            # Such as weights of styles, in equal parts: time and cost do not depend on them.
            feed[value.name] = np.full(lengths, 1.0 / max(1, math.prod(lengths)), np.float32)
        return feed


def open_graph(
    path: Path, *, device: Device = "cpu", threads: int | None = None, content: bytes | None = None
) -> Graph:
    """Open an ONNX file and read what it says of itself; arguments as for ``open_session``.

    With ``content``, a serialized model, that is opened in the place of the file it was made from.

    Raises:
        ModelError: The file is damaged, or not an ONNX model.
        DeviceError: The device asked for is not the one that would run.
    """
    session = open_session(path if content is None else content, device=device, threads=threads)
    try:
        metadata = dict(session.get_modelmeta().custom_metadata_map)
        taken = session.get_inputs(), session.get_overridable_initializers(), session.get_outputs()
        signature = Signature(*(tuple(map(_read_value, values)) for values in taken))
    except UnicodeDecodeError as error:
        raise damaged_model(f"{path} is damaged: its names or its metadata are not text") from error
    for value in signature.inputs:
        if math.prod(side for side in value.shape if isinstance(side, int)) > _MOST_VALUES:
            raise ModelError(
                f"{path} takes {value} as {value.name!r}, more than fits in memory",
                hint="Export it for smaller pictures.",
            )
    return Graph(path, session, signature, metadata)


def show_shape(shape: tuple[Any, ...]) -> str:
    """Render a shape for people."""
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _read_value(node: Any) -> Value:
    return Value(node.name, node.type.removeprefix("tensor(").removesuffix(")"), tuple(node.shape))
