"""Sessions, signatures and metadata of graphs whose answers are known in closed form."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from fast_style import Stylizer
from fast_style.errors import DeviceError, ModelError
from fast_style.model import open_graph
from fast_style.model.opening import Signature, Value
from fast_style.model.passes import COARSEST_UNTRAINED
from fast_style.model.session import open_session
from tests.conftest import write_style

FRAME = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)


def with_level(path: Path, *, default: bool) -> Path:
    """Write ``stylized = level - image``, where the level is an input beside the picture."""
    values = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    values.append(helper.make_tensor_value_info("level", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(
        [helper.make_node("Sub", ["level", "image"], ["stylized"])],
        "level",
        values,
        [helper.make_tensor_value_info("stylized", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor("level", TensorProto.FLOAT, [1], [1.0])] if default else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"producer": "fast-style"})
    onnx.save(model, path)
    return path


def test_a_signature_names_every_input_with_its_type_and_its_axes(tmp_path: Path) -> None:
    graph = open_graph(with_level(tmp_path / "x.onnx", default=True))
    image = Value("image", "float", ("n", 3, "h", "w"))
    expected = Signature((image,), (Value("level", "float", (1,)),), (Value("stylized", "float", image.shape),))
    assert graph.signature == expected
    assert graph.signature.picture == image
    assert str(image) == "float (n, 3, h, w)"
    assert (graph.ours, graph.device) == (True, "cpu")
    assert graph.metadata == {"producer": "fast-style"}


def test_an_input_with_a_default_may_be_left_out_and_may_be_given(tmp_path: Path) -> None:
    path = with_level(tmp_path / "x.onnx", default=True)
    np.testing.assert_array_equal(Stylizer(path).frame(FRAME), 255 - FRAME)
    image = np.zeros((1, 3, 4, 5), np.float32)
    (found,) = open_graph(path).session.run(None, {"image": image, "level": np.array([0.25], np.float32)})
    assert (found == 0.25).all()


def test_an_input_without_a_default_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it has 2 inputs and 1 output; it takes float \(n, 3, h, w\), float \(1\)"):
        Stylizer(with_level(tmp_path / "x.onnx", default=False))


@pytest.mark.parametrize(
    ("type", "shape", "last", "sides"),
    [
        ("float", ("n", 3, "h", "w"), False, (None, None)),
        ("float", (1, 3, 20, "w"), False, (20, None)),
        ("float", (1, 20, 24, 3), True, (20, 24)),
        ("float", (1, 3, 24, 3), False, (24, 3)),
        ("uint8", (1, 3, 24, 3), True, (3, 24)),
        ("float", (None, None, None, None), False, (None, None)),
    ],
)
def test_layout_and_sides_of_a_picture(type: str, shape: Any, last: bool, sides: Any) -> None:
    value = Value("x", type, shape)
    assert (value.channels_last, value.sides) == (last, sides)


@pytest.mark.parametrize("number", ["", "nan", "-1", "0", "²", "9" * 5000])
def test_a_file_whose_numbers_cannot_be_read_is_run_as_one_without(number: str, tmp_path: Path) -> None:
    path = write_style(tmp_path / "x.onnx", "negative", stride=number, passes=number, coarsest=number)
    np.testing.assert_array_equal(Stylizer(path).frame(FRAME), 255 - FRAME)
    network = Stylizer(path).network
    assert (network.stride, network.contract.passes, network.coarsest) == (1, 1, COARSEST_UNTRAINED)


def test_nothing_is_printed_of_what_onnx_runtime_says_of_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_style(tmp_path / "x.onnx", "negative")
    model = onnx.load(path)
    model.graph.initializer[0].dims[:] = [2**62]
    onnx.save(model, path)
    with pytest.raises(ModelError, match="cannot be opened as an ONNX model"):
        open_graph(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["metadata", "names"])
def test_what_is_not_text_in_a_file_is_an_error(where: str, tmp_path: Path) -> None:
    path = write_style(tmp_path / "x.onnx", "same", painter="Vincent")
    word = {"metadata": b"Vincent", "names": b"stylized"}[where]
    path.write_bytes(path.read_bytes().replace(word, b"\xff" * len(word)))
    with pytest.raises(
        ModelError, match=r"x\.onnx (is damaged: its names or its metadata are not text|cannot be opened)"
    ):
        Stylizer(path)


class FakeSession:
    """Stands for ONNX Runtime's, on a machine whose CUDA does not start."""

    def __init__(self, model: Any, options: Any, *, providers: list[str], enable_fallback: int) -> None:
        assert enable_fallback == 0  # it prints
        if providers[0] == "CUDAExecutionProvider":
            raise RuntimeError("no driver")
        self.providers = providers

    def get_providers(self) -> list[str]:
        return self.providers


def test_auto_takes_the_next_provider_if_one_does_not_start(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    assert open_session(model_file, device="auto").get_providers() == ["CPUExecutionProvider"]
    with pytest.raises(DeviceError, match="'cuda' was asked for, but ONNX Runtime would run on 'cpu'"):
        open_session(model_file, device="cuda")
    assert capfd.readouterr() == ("", "")
