"""Styles in OpenVINO's own format: what is written gives what the ONNX file gives, or nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fast_style.cli import main
from fast_style.errors import ModelError, VerificationError
from fast_style.export import write_openvino
from fast_style.export.precision import run
from fast_style.images import Pixels, to_float
from fast_style.styles.catalog import find_style
from tests.conftest import write_style

openvino = pytest.importorskip("openvino")


def read(path: Path) -> Any:
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def test_a_checkpoint_becomes_a_pair_that_paints_the_same(
    checkpoint: Path, model: Path, frames: list[Pixels], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "small.xml"
    assert main(["export", str(checkpoint), "--target", "openvino", "-o", str(target)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == str(target)
    assert second.startswith(f"{tmp_path / 'small.bin'}  equal to the ONNX file within ")
    assert float(second.split()[-1]) < 1e-4
    compiled = read(target)
    for frame, expected in zip(frames, run(str(model), map(to_float, frames)), strict=True):
        np.testing.assert_allclose(compiled({"image": to_float(frame)})["stylized"], expected, atol=1e-4)


def test_the_pair_says_what_the_onnx_file_says(model: Path, tmp_path: Path) -> None:
    write_openvino(model, tmp_path / "small.xml")
    found = openvino.Core().read_model(tmp_path / "small.xml")
    assert found.get_rt_info(["fast_style", "range"]).astype(str) == "0-1"
    assert "CC0" in found.get_rt_info(["fast_style", "paintings"]).astype(str)


def test_pixels_go_in_and_out(pixels_model: Path, frames: list[Pixels], tmp_path: Path) -> None:
    assert write_openvino(pixels_model, tmp_path / "pixels.xml").largest <= 1.001 / 255
    (expected,) = run(str(pixels_model), [frames[0][None]])
    found = read(tmp_path / "pixels.xml")({"image": frames[0][None]})["stylized"]
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_each_of_several_styles_is_proved(tmp_path: Path) -> None:
    verification = write_openvino(find_style("ten").path, tmp_path / "ten.xml")
    assert {"1x97x131", "udnie at 0.25", "udnie at 1", "udnie at 4"} <= set(verification.differences)
    assert len(verification.differences) == 5 + 10 * 3
    weights = np.zeros((1, 10), np.float32)
    weights[0, [4, 7]] = 0.4, 0.6
    told = {"image": np.random.default_rng(0).random((1, 3, 60, 83), np.float32), "styles": weights}
    told["strength"] = np.full((1, 1), 2.0, np.float32)
    (expected,) = run(str(find_style("ten").path), [told])
    np.testing.assert_allclose(read(tmp_path / "ten.xml")(told)["stylized"], expected, atol=1e-4)


def test_no_file_is_left_if_the_proof_fails(model: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"differs from .+small\.onnx by up to .+; 0e\+00 is allowed"):
        write_openvino(model, tmp_path / "small.xml", tolerance=0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_model_from_elsewhere_is_not_taken(tmp_path: Path) -> None:
    path = write_style(tmp_path / "candy.onnx", "same", producer="someone else")
    with pytest.raises(ModelError, match="is not a style that fast-style exported"):
        write_openvino(path, tmp_path / "candy.xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "udnie.onnx"], "error: udnie.onnx does not end in .xml\n"),
        (
            ["--io", "uint8"],
            "error: --target openvino takes no --precision, --io, --size and --form\n"
            "hint: Export such an ONNX file first, and give that.\n",
        ),
        ([], "error: udnie.bin exists\nhint: Give --force to overwrite it, or another -o.\n"),
    ],
)
def test_what_cannot_be_written_is_said(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("udnie.bin").write_bytes(b"mine")
    assert main(["export", "udnie", "--target", "openvino", *arguments]) == 2
    assert capsys.readouterr().err == said
    assert [path.name for path in tmp_path.iterdir()] == ["udnie.bin"]
