"""Files that paint in passes by themselves: proved against torch, in fewer bits, with pixels, of one size."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import InputError, VerificationError
from fast_style.export import deploy, network_from_onnx
from fast_style.export.precision import psnr
from fast_style.images import Pixels, to_float, to_uint8
from fast_style.model.editing import read_metadata
from fast_style.model.ground import Ground
from fast_style.model.passes_graph import join_passes
from fast_style.networks.passes import add_draft
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style
from fast_style.styles.mixture import find_mixture
from fast_style.training import load_checkpoint
from tests.deploy.conftest import run


def test_a_checkpoint_becomes_a_file_that_paints_as_torch_does_in_passes(
    checkpoint: Path, painter: Path, frames: list[Pixels]
) -> None:
    network = load_checkpoint(checkpoint).network()
    for frame in frames:
        photo = torch.from_numpy(to_float(frame))
        with torch.no_grad():
            expected = network(add_draft(network, photo, 3)[0]).clamp(0, 1).numpy()
        np.testing.assert_allclose(run(painter, [photo.numpy()])[0], expected, atol=1e-4)
    proof = read_card(painter)["verification"]["by_shape"]
    shapes = ["1x3x145x179", "1x3x64x65", "1x3x112x448", "1x3x281x88", "2x3x168x138"]
    assert [key for key in proof if "passes" in key] == [f"3 passes {shape}" for shape in shapes]
    assert max(proof.values()) < 1e-3
    assert read_card(painter)["passes"] == 3


def test_the_file_says_in_how_many_passes_it_paints_and_what_it_takes(painter: Path, model: Path) -> None:
    graph = onnx.load(painter)
    (image,), (stylized,) = graph.graph.input, graph.graph.output
    for value in (image, stylized):
        dims = value.type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]
    metadata, plain = read_metadata(graph), read_metadata(onnx.load(model))
    assert metadata["passes"] == "3"
    assert set(metadata) == {*plain, "passes"} - {"coarsest"}
    assert painter.stat().st_size < model.stat().st_size + 60_000


def test_a_file_says_of_no_part_that_its_network_lacks(model: Path) -> None:
    assert not [name for name in network_from_onnx(model).state_dict() if "coring" in name or "accents" in name]


def test_weights_are_read_back_from_a_file_that_paints_in_passes(painter: Path, model: Path) -> None:
    expected = network_from_onnx(model).state_dict()
    for name, values in network_from_onnx(painter).state_dict().items():
        torch.testing.assert_close(values, expected[name], atol=0, rtol=0)


@pytest.mark.parametrize("name", ["starry-night-tiny", "ten"])
def test_a_shipped_style_becomes_a_file_of_one_size(name: str, tmp_path: Path) -> None:
    out = tmp_path / "fixed.onnx"
    assert main(["export", name, "-o", str(out), "--size", "97x66", "--passes", "2"]) == 0
    plain = find_style(name).path.read_bytes()
    feed = {"image": np.random.default_rng(0).random((1, 3, 66, 97), np.float32)}
    if name == "ten":
        feed["styles"] = np.eye(10, dtype=np.float32)[3:4]
    joined = onnx.load_model_from_string(join_passes([plain] * 2))
    np.testing.assert_allclose(run(out, [feed])[0], run(joined, [feed])[0], atol=1e-4)
    assert not any(node.op_type == "Shape" for node in onnx.load(out).graph.node)
    assert read_metadata(onnx.load(out))["paintings"] == read_metadata(onnx.load_model_from_string(plain))["paintings"]


@pytest.mark.parametrize(("precision", "least"), [("fp16", 47.0), ("int8", 27.0)])
def test_passes_in_fewer_bits_are_near_float32_and_take_pixels(
    precision: str,
    least: float,
    checkpoint: Path,
    model: Path,
    photos: Path,
    frames: list[Pixels],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "reduced.onnx"
    command = ["export", str(checkpoint), "-o", str(out), "--precision", precision, "--passes", "2"]
    assert main([*command, "--io", "uint8", "--photos", str(photos)]) == 0
    assert f"{precision} against fp32 on 4 held-out photos" in capsys.readouterr().out
    joined = onnx.load_model_from_string(join_passes([model.read_bytes()] * 2))
    pixels = run(out, [frame[None] for frame in frames])
    painted = [(picture.transpose(0, 3, 1, 2) / 255).astype(np.float32) for picture in pixels]
    assert psnr(painted, run(joined, map(to_float, frames))) >= least
    metadata = read_metadata(onnx.load(out))
    assert (metadata["passes"], metadata["precision"], metadata["layout"]) == ("2", precision, "NHWC RGB")
    kinds = {"fp16": onnx.TensorProto.FLOAT16, "int8": onnx.TensorProto.INT8}
    assert any(tensor.data_type == kinds[precision] for tensor in onnx.load(out).graph.initializer)


def test_a_shipped_style_becomes_a_file_of_pixels_that_the_runtime_takes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", "starry-night-tiny", "--passes", "2", "--io", "uint8"]) == 0
    said = capsys.readouterr().out
    written = Path("starry-night-tiny-uint8-2-passes.onnx")
    assert said.splitlines()[-2:] == [str(written), str(written.with_suffix(".json"))]
    assert re.search(r"^pixels against the rounded float graph: at most (0 levels|1 level) apart$", said, re.MULTILINE)
    assert main(["stylize", str(photos / "00.png"), "--style", str(written), "-o", "out.png"]) == 0
    expected = np.asarray(Stylizer("starry-night-tiny")(photos / "00.png", passes=2)).astype(int)
    apart = np.abs(np.asarray(Image.open("out.png")) - expected)
    assert np.quantile(apart, 0.99) <= 2  # drafts are rounded there
    assert apart.max() <= 10
    card = json.loads(written.with_suffix(".json").read_text())
    assert card["passes"] == 2
    assert card["paintings"] == read_card(Path(Stylizer("starry-night-tiny").style.path))["paintings"]
    assert main(["info", str(written)]) == 0


def test_a_file_of_pixels_paints_in_passes_beyond_the_learned_ones(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "four.onnx"
    assert main(["export", str(checkpoint), "-o", str(out), "--io", "uint8", "--passes", "4"]) == 0
    assert read_card(out)["largest_level"] <= 1
    names = [node.name for node in onnx.load(out).graph.node]
    assert len(names) == len(set(names))


def test_each_style_of_a_file_is_proved(two_styles: Path, tmp_path: Path) -> None:
    out = tmp_path / "two.onnx"
    assert main(["export", str(two_styles), "-o", str(out), "--passes", "2"]) == 0
    shapes = read_card(out)["verification"]["by_shape"].keys()
    assert {"2 passes one", "2 passes other", "one", "2 passes 1x3x32x33"} <= shapes


def test_a_file_that_paints_in_passes_has_the_strength_that_it_was_exported_with(
    two_styles: Path, photos: Path, tmp_path: Path
) -> None:
    plain, strong = tmp_path / "plain.onnx", tmp_path / "strong.onnx"
    assert main(["export", str(two_styles), "-o", str(plain)]) == 0
    assert main(["export", str(two_styles), "-o", str(strong), "--passes", "2", "--strength", "0.75"]) == 0
    assert [float(read_metadata(onnx.load(path))["strength"]) for path in (plain, strong)] == [2.0, 1.5]
    photo = photos / "00.png"
    painted = np.asarray(Stylizer(strong)(photo)).astype(int)
    levels = {
        strength: np.abs(painted - np.asarray(Stylizer(plain)(photo, passes=2, strength=strength))).mean()
        for strength in (0.5, 0.75, 1.0)
    }
    assert levels[0.75] < min(levels[0.5], levels[1.0]) / 3  # its drafts are not rounded
    with pytest.raises(InputError, match="by itself, at a fixed strength"):
        Stylizer(strong, strength=2.0)


def test_a_ground_is_chosen_in_exporting_proved_and_taken_away(
    checkpoint: Path, grounded: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    network = load_checkpoint(checkpoint).network()
    photo = torch.from_numpy(to_float(frames[0]))
    with torch.no_grad():
        expected = network(add_draft(network, photo, 3, ground=Ground("flow"))[0]).clamp(0, 1).numpy()
    np.testing.assert_allclose(run(grounded, [photo.numpy()])[0], expected, atol=1e-4)
    assert max(read_card(grounded)["verification"]["by_shape"].values()) < 1e-3
    panes, none = tmp_path / "panes.onnx", tmp_path / "none.onnx"
    assert main(["export", "starry-night-tiny", "-o", str(panes), "--ground", "panes"]) == 0
    assert main(["export", str(panes), "-o", str(none), "--ground", "none"]) == 0
    assert [Stylizer(path).network.ground.forms for path in (panes, none)] == ["panes", "none"]
    assert main(["info", str(panes)]) == 0
    assert [read_card(path)["ground"] for path in (panes, none)] == ["panes", "none"]
    with pytest.raises(InputError, match="ground is 'mud'; expected none or flow or panes or rings"):
        deploy(load_checkpoint(checkpoint), tmp_path / "x.onnx", ground="mud")  # type: ignore[arg-type]


def test_a_checkpoint_has_the_ground_of_its_recipe(checkpoint: Path, tmp_path: Path) -> None:
    stored = torch.load(checkpoint, weights_only=True)
    stored["fast_style"]["recipe"]["ground"] = "panes"
    torch.save(stored, tmp_path / "x.ckpt")
    assert main(["export", str(tmp_path / "x.ckpt")]) == 0
    assert Stylizer(tmp_path / "x.onnx").network.ground.forms == "panes"


def test_a_file_of_one_size_paints_in_passes(
    checkpoint: Path, painter: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    out = tmp_path / "fixed.onnx"
    assert main(["export", str(checkpoint), "-o", str(out), "--passes", "3", "--size", "97x131"]) == 0
    (frame,) = (frame for frame in frames if frame.shape[:2] == (131, 97))
    (expected,) = run(painter, [to_float(frame)])
    (found,) = run(out, [to_float(frame)])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(Stylizer(out).frame(frame), to_uint8(found))


def test_a_file_that_paints_otherwise_is_not_left(
    checkpoint: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.export.deployment.join_passes", lambda graphs: join_passes(graphs[1:]))
    with pytest.raises(VerificationError, match="the ONNX file differs from the network by up to"):
        deploy(load_checkpoint(checkpoint), tmp_path / "x.onnx", passes=3)
    with pytest.raises(VerificationError, match="the ONNX file differs from the network by up to"):
        deploy(find_mixture(model), tmp_path / "x.onnx", passes=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CHECKPOINT", "--passes", "9"], "passes is 9; expected 1 to 8"),
        (["CHECKPOINT", "--passes", "3", "--size", "60x80"], "size is 60×80 px; expected at least 64 on each side"),
        (["starry-night"], "starry-night is an ONNX file already"),
        (["starry-night", "--precision", "fp16"], "fp16 is proved on photos"),
        (["PIXELS", "--passes", "2"], "is not a float graph that paints pictures of any size in one pass"),
        (["PAINTER", "--passes", "2"], "is not a float graph that paints pictures of any size in one pass"),
        (["stary-night", "--passes", "2"], "'stary-night' is neither the name of a style nor a file"),
    ],
)
def test_what_cannot_paint_in_passes_names_why_and_leaves_nothing(
    arguments: list[str],
    message: str,
    checkpoint: Path,
    pixels_model: Path,
    painter: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"CHECKPOINT": checkpoint, "PIXELS": pixels_model, "PAINTER": painter}
    arguments = [str(places.get(argument, argument)) for argument in arguments]
    assert main(["export", *arguments, "-o", str(tmp_path / "x.onnx")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
