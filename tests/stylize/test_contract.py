"""Models from elsewhere, and our own that take pixels: graphs whose answers are known in closed form."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import ImageError, InputError, ModelError
from fast_style.export.forms import pixels_in_and_out
from fast_style.images import Pixels
from fast_style.photos.jobs import Job
from fast_style.photos.run import PhotoOptions, PhotoOutcome, stylize_photos
from fast_style.stylize.contract import Range
from fast_style.stylize.options import StyleOptions
from tests.conftest import read_frames, write_style

FRAME = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
Shape = list[Any] | None
SAME = [helper.make_node("Identity", ["in"], ["out"])]


def foreign(
    path: Path,
    shape: Shape = None,
    *,
    white: float = 255.0,
    nodes: list[onnx.NodeProto] | None = None,
    kind: int = FLOAT,
    out: Shape = None,
    out_kind: int | None = None,
    **metadata: str,
) -> Path:
    """Write a graph that nobody signed; by default the negative, white - x."""
    shape = ["n", 3, "h", "w"] if shape is None else shape
    initializers = [
        numpy_helper.from_array(np.array(value, dtype), name)
        for name, value, dtype in (
            ("white", white, np.float32),
            ("gain", 3.0, np.float32),
            ("small", [1, 3, 20, 24], np.int64),
            ("pads", [0, 0, 0, 0, 0, 0, 3, 2], np.int64),
        )
    ]
    graph = helper.make_graph(
        nodes or [helper.make_node("Sub", ["white", "in"], ["out"])],
        "foreign",
        [helper.make_tensor_value_info("in", kind, shape)],
        [helper.make_tensor_value_info("out", kind if out_kind is None else out_kind, out)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def levels(found: Pixels, expected: Pixels) -> int:
    """The largest difference, in levels."""
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    return int(np.abs(found.astype(int) - expected.astype(int)).max())


@pytest.mark.parametrize(("value_range", "white"), [("0-255", 255.0), ("0-1", 1.0)])
def test_values_are_scaled_to_the_range_that_was_given_and_back(
    value_range: Range, white: float, tmp_path: Path
) -> None:
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", white=white), value_range=value_range)
    np.testing.assert_array_equal(stylizer.frame(FRAME), 255 - FRAME)


def test_the_wrong_range_gives_another_picture(tmp_path: Path) -> None:
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", white=255.0), value_range="0-1")
    assert (stylizer.frame(FRAME) == 255).all()  # 255 - x for x in [0, 1] is beyond white


def test_values_beyond_the_range_are_clamped(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["in", "white"], ["a"]), helper.make_node("Mul", ["a", "gain"], ["b"]),
             helper.make_node("Add", ["b", "white"], ["out"])]  # fmt: skip
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", white=128.0, nodes=nodes), value_range="0-255")
    expected = np.clip((FRAME.astype(int) - 128) * 3 + 128, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(stylizer.frame(FRAME), expected)


def test_a_fixed_size_equals_the_picture_resized_to_it_and_the_result_resized_back(tmp_path: Path) -> None:
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", [1, 3, 20, 24]), value_range="0-255")
    small = Image.fromarray(FRAME).resize((24, 20), Image.Resampling.LANCZOS)
    expected = Image.fromarray(255 - np.asarray(small)).resize((50, 37), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(stylizer.frame(FRAME), np.asarray(expected))


@pytest.mark.parametrize("shape", [[1, 3, 20, 24], [1, 3, 20, "w"]])
def test_a_large_photo_is_painted_once_by_a_file_of_a_fixed_size(shape: Shape, tmp_path: Path) -> None:
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", shape), value_range="0-255")
    photo = np.random.default_rng(0).integers(0, 256, (40, 2048, 3), np.uint8)
    assert stylizer.network.count_passes(2048, 40) == 1
    np.testing.assert_array_equal(np.asarray(stylizer(photo)), stylizer.frame(photo))


def test_a_fixed_size_that_no_memory_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"takes float \(1, 3, 1099511627776, 24\) as 'in', more than fits in memory"):
        Stylizer(foreign(tmp_path / "x.onnx", [1, 3, 2**40, 24]), value_range="0-255")


def test_one_fixed_side_and_the_fixed_size_itself(tmp_path: Path) -> None:
    exact = Stylizer(foreign(tmp_path / "a.onnx", [1, 3, 37, 50]), value_range="0-255")
    np.testing.assert_array_equal(exact.frame(FRAME), 255 - FRAME)
    wide = Stylizer(foreign(tmp_path / "b.onnx", [1, 3, "h", 32]), value_range="0-255")
    smooth = np.full((37, 50, 3), (10, 100, 200), np.uint8)
    np.testing.assert_array_equal(wide.frame(smooth), 255 - smooth)


def test_sides_that_a_network_rounds_up_are_cut_off(tmp_path: Path) -> None:
    nodes = [helper.make_node("Pad", ["in", "pads"], ["out"], mode="edge")]
    path = foreign(tmp_path / "x.onnx", nodes=nodes, out=["n", 3, "H", "W"])
    np.testing.assert_array_equal(Stylizer(path, value_range="0-255").frame(FRAME), FRAME)


def test_a_result_of_another_size_is_an_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("MaxPool", ["in"], ["out"], kernel_shape=[2, 2], strides=[2, 2])]
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", nodes=nodes), value_range="0-255")
    with pytest.raises(ModelError, match=r"gave \(1, 3, 18, 25\) for a picture of 50×37 px"):
        stylizer.frame(FRAME)


def test_values_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sub", ["in", "white"], ["a"]), helper.make_node("Log", ["a"], ["out"])]
    with pytest.raises(ModelError, match="NaN or infinity"):
        Stylizer(foreign(tmp_path / "x.onnx", nodes=nodes), value_range="0-255").frame(FRAME)


@pytest.mark.parametrize("value_range", ["0-255", "0-1"])  # with 0-1, input and output are bound
def test_a_size_that_only_running_refuses_is_an_error(value_range: Range, tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["in", "small"], ["out"])]
    with pytest.raises(ImageError, match="could not be stylized") as caught:
        Stylizer(foreign(tmp_path / "x.onnx", nodes=nodes), value_range=value_range).frame(FRAME)
    assert "may not take every size" in str(caught.value.hint)


def test_blend_and_kept_colors_are_at_the_pictures_own_size(tmp_path: Path) -> None:
    stylizer = Stylizer(foreign(tmp_path / "x.onnx", [1, 3, 16, 16]), value_range="0-255")
    np.testing.assert_array_equal(stylizer.frame(FRAME, blend=0.0), FRAME)
    half = (stylizer.frame(FRAME).astype(float) + FRAME) / 2
    assert np.abs(stylizer.frame(FRAME, blend=0.5) - half).max() <= 0.51
    gray = np.full((32, 32, 3), (110, 100, 90), np.uint8)
    kept = stylizer.frame(gray, keep_colors=True).astype(int)
    assert np.abs((kept[..., 0] - kept[..., 1]) - 10).max() <= 1


def test_without_a_range_nothing_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not exported by fast-style, so its value range is unknown") as caught:
        Stylizer(foreign(tmp_path / "x.onnx"))
    assert "--range 0-255" in str(caught.value.hint)


def test_a_range_that_does_not_exist_is_refused(negative: Path, tmp_path: Path) -> None:
    for path in (foreign(tmp_path / "x.onnx"), negative):
        with pytest.raises(InputError, match=r"value_range is '0\.\.255'; expected 0-1 or 0-255"):
            Stylizer(path, value_range="0..255")  # type: ignore[arg-type]  # what is tested


def test_a_range_that_contradicts_our_own_file_is_an_error(negative: Path, tmp_path: Path) -> None:
    Stylizer(negative, value_range="0-1")
    with pytest.raises(ModelError, match=r"range is 0-255, but .* takes 0-1: fast-style exported it"):
        Stylizer(negative, value_range="0-255")
    with pytest.raises(ModelError, match="this version does not know"):
        Stylizer(write_style(tmp_path / "new.onnx", "same", range="-1-1"))


def two_inputs(path: Path) -> Path:
    value = [helper.make_tensor_value_info(name, FLOAT, [1, 3, 32, 32]) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "two", value[:2], value[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (two_inputs, "2 inputs and 1 output"),
        (lambda path: foreign(path, [3, 32, 32]), "not have the four axes"),
        (lambda path: foreign(path, [1, 1, 32, 32]), "holds 1, not the three channels"),
        (lambda path: foreign(path, [1, 32, 32, 3]), "last, as in TensorFlow"),
        (lambda path: foreign(path, ["n", "c", "h", "w"]), "layout is unknown"),
        (lambda path: foreign(path, [4, 3, 32, 32]), "takes 4 pictures at once"),
        (lambda path: foreign(path, [1, 3, 32, 32], kind=TensorProto.DOUBLE, nodes=SAME), "not both float32 or both"),
    ],
)
def test_a_graph_that_cannot_serve_says_why(write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    write(path)
    with pytest.raises(ModelError, match=message) as caught:
        Stylizer(path, value_range="0-255")
    assert str(path) in str(caught.value)
    assert "float (1, 3, H, W)" in str(caught.value.hint)


def test_an_output_of_other_channels_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["in"], ["out"], keepdims=1, axes=[1])]
    path = tmp_path / "x.onnx"
    foreign(path, nodes=nodes, out=["n", 1, "h", "w"])
    model = onnx.load(path)
    model.opset_import[0].version = 13  # where the axes are an attribute
    onnx.save(model, path)
    with pytest.raises(ModelError, match="its output is not an RGB picture"):
        Stylizer(path, value_range="0-255")


def test_our_pixels_graph_equals_the_float_graph(negative: Path, tmp_path: Path) -> None:
    path = tmp_path / "pixels.onnx"
    model = pixels_in_and_out(onnx.load(negative))
    helper.set_model_props(model, {"producer": "fast-style", "range": "0-255", "layout": "NHWC RGB"})
    onnx.save(model, path)
    pixels, floats = Stylizer(path), Stylizer(negative)
    assert levels(pixels.frame(FRAME), 255 - FRAME) <= 1
    for options in ({"blend": 0.3}, {"keep_colors": True}, {"blend": 0.7, "keep_colors": True}):
        assert levels(pixels.frame(FRAME, **options), floats.frame(FRAME, **options)) <= 1
    Stylizer(path, value_range="0-255")
    with pytest.raises(ModelError, match="range is 0-1, but"):
        Stylizer(path, value_range="0-1")


def test_the_command_takes_photos_and_videos_with_a_range(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(FRAME).save(tmp_path / "photo.png")
    model, out = foreign(tmp_path / "x.onnx"), tmp_path / "out"
    command = ["stylize", str(tmp_path / "photo.png"), str(make_clip()), "-s", str(model), "-o", str(out), "--json"]
    assert main(command) == 2
    assert "hint: Say which values it takes and gives" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--range", "0-255"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    np.testing.assert_array_equal(np.asarray(Image.open(out / "photo.png")), 255 - FRAME)
    frames = read_frames(out / "clip.mp4")
    assert len(frames) == 12
    assert main([*command, "--range", "0-100"]) == 2


def test_a_result_with_another_range_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    Image.fromarray(FRAME).save(tmp_path / "photo.png")
    model, out = foreign(tmp_path / "x.onnx", white=1.0), tmp_path / "out"
    out.mkdir()
    job = Job(tmp_path / "photo.png", out / "photo.png", out)

    def outcome(value: Range, *, force: bool = False) -> PhotoOutcome:
        return next(iter(stylize_photos([job], StyleOptions(model, value_range=value), PhotoOptions(), force=force)))

    assert (outcome("0-255").error, outcome("0-255").skipped) == (None, True)
    before = job.target.read_bytes()
    refused = outcome("0-1")
    assert isinstance(refused.error, InputError)
    assert "with other settings" in str(refused.error)
    assert job.target.read_bytes() == before
    again = outcome("0-1", force=True)
    assert (again.error, again.skipped) == (None, False)
    np.testing.assert_array_equal(np.asarray(Image.open(job.target)), 255 - FRAME)
