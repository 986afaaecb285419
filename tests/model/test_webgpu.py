"""Graphs without the convolutions that ONNX Runtime's WebGPU gets wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from torch import Tensor

from fast_style.model import webgpu_form
from fast_style.model.opening import INPUT
from fast_style.model.session import open_session
from tests.conftest import write_style


def test_webgpu_form_paints_the_same_picture(model_file: Path, load: Callable[..., Tensor]) -> None:
    content = model_file.read_bytes()
    feed = {INPUT: load("coffee", (97, 66)).numpy()}
    expected, found = (open_session(each).run(None, feed)[0] for each in (content, webgpu_form(content)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_webgpu_form_has_no_input_of_six_channels_for_twelve(model_file: Path) -> None:
    def shapes(content: bytes) -> set[tuple[int, ...]]:
        graph = onnx.load_from_string(content).graph
        weights = {each.name: numpy_helper.to_array(each).shape for each in graph.initializer}
        return {weights[node.input[1]][:2] for node in graph.node if node.op_type == "Conv"}

    before = model_file.read_bytes()
    assert shapes(webgpu_form(before)) == shapes(before) - {(12, 6)} | {(12, 8)}


def test_webgpu_form_leaves_other_graphs_unchanged(tmp_path: Path) -> None:
    content = write_style(tmp_path / "negative.onnx", "negative").read_bytes()
    assert webgpu_form(content) is content
