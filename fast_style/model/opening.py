"""An ONNX file, opened and known: its session, its signature and its metadata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ModelError
from fast_style.images import MAX_PIXELS
from fast_style.model.checksum import PRODUCER
from fast_style.model.session import Device, open_session, running_device
from fast_style.model.signature import PICTURE_TYPES, Signature, read_signature

if TYPE_CHECKING:
    import onnxruntime

Feed = dict[str, NDArray[Any]]

# Most values of an input with fixed sides, those of the largest photo that is read.
_MOST_VALUES = 3 * MAX_PIXELS


@dataclass(frozen=True)
class Graph:
    """An ONNX file, opened.

    Attributes:
        path: The file.
        session: What runs it.
        signature: What it takes and gives.
        metadata: What its exporter stored: name, styles, paintings, network, stride, range, layout, …
    """

    path: Path
    session: onnxruntime.InferenceSession
    signature: Signature
    metadata: dict[str, str]

    @property
    def ours(self) -> bool:
        """Whether fast-style exported it."""
        return self.metadata.get("producer") == PRODUCER

    @property
    def device(self) -> Device:
        """Our name of the provider that it runs on."""
        return running_device(self.session)

    @property
    def fixed(self) -> tuple[int, int] | None:
        """(width, height), px, of a graph that takes pictures of one size only."""
        picture = self.signature.picture
        height, width = (None, None) if picture is None else picture.sides
        return None if height is None or width is None else (width, height)

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
            feed = {picture.name: random.random(shape, np.float32).astype(PICTURE_TYPES[picture.type])}
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
        signature = read_signature(session)
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{path} is damaged: its names or its metadata are not text",
            hint="Copy or download the file again, or export the style again.",
        ) from error
    for value in signature.inputs:
        if math.prod(side for side in value.shape if isinstance(side, int)) > _MOST_VALUES:
            raise ModelError(
                f"{path} takes {value} as {value.name!r}, more than fits in memory",
                hint="Export it for smaller pictures.",
            )
    return Graph(path, session, signature, metadata)
