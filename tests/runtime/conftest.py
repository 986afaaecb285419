"""Styles whose results are known exactly, and small videos."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fast_style.images import Pixels
from fast_style.runtime.colors import Colors
from fast_style.runtime.frames import Frame
from fast_style.runtime.reading import VideoReader
from fast_style.runtime.writing import VideoFormat, VideoWriter


def write_style(path: Path, expression: str, **metadata: str) -> Path:
    """Write a style that is one formula: ``same`` or ``negative``."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
    stylized = helper.make_tensor_value_info("stylized", TensorProto.FLOAT, ["n", 3, "h", "w"])
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
    nodes = {
        "same": [helper.make_node("Identity", ["image"], ["stylized"])],
        "negative": [helper.make_node("Sub", ["one", "image"], ["stylized"])],
        "nan": [helper.make_node("Sub", ["one", "image"], ["a"]), helper.make_node("Log", ["a"], ["stylized"])],
    }[expression]
    graph = helper.make_graph(nodes, "style", [image], [stylized], [one] if expression != "same" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"producer": "fast-style", **metadata})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def same(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_style(tmp_path_factory.mktemp("style") / "same.onnx", "same")


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_style(tmp_path_factory.mktemp("style") / "negative.onnx", "negative")


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    def make(
        name: str = "clip.mp4",
        *,
        frames: list[Pixels] | None = None,
        times: list[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        colors: Colors = Colors(),  # noqa: B008  # a frozen dataclass
        codec: str | None = None,
        quality: int = 90,
    ) -> Path:
        frames = moving_square() if frames is None else frames
        _, height, width = frames[0].shape
        format = VideoFormat(width, height, Fraction(25), time_base, colors, codec=codec, quality=quality)
        writer = VideoWriter(tmp_path / name, format)
        for frame, time in zip(frames, times or range(len(frames)), strict=True):
            writer.add(frame, time)
        writer.close()
        return tmp_path / name

    return make


def moving_square(count: int = 12, width: int = 64, height: int = 48) -> list[Pixels]:
    """Frames of a bright square that moves over grey, (3, H, W) uint8."""
    frames = []
    for number in range(count):
        frame = np.full((3, height, width), 90, np.uint8)
        frame[:, 10:26, number * 2 : number * 2 + 16] = np.array([200, 60, 30], np.uint8)[:, None, None]
        frames.append(frame)
    return frames


class Shown(NamedTuple):
    """A frame that was read: (3, H, W) uint8 RGB, and its time."""

    planes: Pixels
    pts: int


def read_frames(path: Path) -> list[Shown]:
    with VideoReader(path) as reader:
        return [Shown(np.stack([*item.planes]), item.pts) for item in reader if isinstance(item, Frame)]
