"""What a graph takes and gives: names, types and axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnxruntime

# What our own exports call the picture, and what becomes of it.
INPUT, OUTPUT = "image", "stylized"
# What pictures come in.
PICTURE_TYPES: dict[str, type[np.generic]] = {"float": np.float32, "float16": np.float16, "uint8": np.uint8}


@dataclass(frozen=True)
class Value:
    """An input or an output.

    Attributes:
        name: What it is called.
        type: Type of its elements, such as ``float`` or ``uint8``.
        shape: For each axis its length, or the name of a free one, or None for a free one without a name.
    """

    name: str
    type: str
    shape: tuple[int | str | None, ...]

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
    """What a graph takes and gives.

    Attributes:
        inputs: What must be given.
        optional: Inputs that have a default in the graph, an initializer of the same name.
        outputs: What comes back.
    """

    inputs: tuple[Value, ...]
    optional: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @property
    def picture(self) -> Value | None:
        """The input for the picture, or None. If several have four axes, it is the first with three channels."""
        pictures = [value for value in self.inputs if value.type in PICTURE_TYPES and len(value.shape) == 4]
        three = [value for value in pictures if 3 in (value.shape[1], value.shape[3])]
        return next(iter(three or pictures), None)


def read_signature(session: onnxruntime.InferenceSession) -> Signature:
    """Read the signature of an opened graph."""
    return Signature(
        tuple(map(_read_value, session.get_inputs())),
        tuple(map(_read_value, session.get_overridable_initializers())),
        tuple(map(_read_value, session.get_outputs())),
    )


def show_shape(shape: tuple[Any, ...]) -> str:
    """Render a shape for people."""
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"


def _read_value(node: Any) -> Value:
    return Value(node.name, node.type.removeprefix("tensor(").removesuffix(")"), tuple(node.shape))
