"""The forms with statistics outside, of files in fewer bits and with pixels in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import ModelError
from fast_style.export import TOLERANCE, write_form
from fast_style.export.precision import psnr
from fast_style.images import Pixels, to_float
from fast_style.model import INPUT, ORIGIN, STATISTICS, open_session


def exported(checkpoint: Path, out: Path, *options: object) -> Path:
    assert main(["export", str(checkpoint), "-o", str(out), *map(str, options)]) == 0
    return out


@pytest.mark.parametrize(("precision", "least"), [("fp16", 60.0), ("int8", 35.0)])
def test_a_file_in_fewer_bits_has_both_forms(
    precision: str, least: float, checkpoint: Path, photos: Path, painting: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    reduced = exported(
        checkpoint, tmp_path / "r.onnx", "--precision", precision, "--photos", photos, "--painting", painting
    )
    image = to_float(frames[0])
    for form in ("measure", "apply"):
        write_form(reduced, form, tmp_path / f"{form}.onnx", tolerance=TOLERANCE)
    (statistics,) = open_session(tmp_path / "measure.onnx").run(None, {INPUT: image})
    told = {INPUT: image, STATISTICS: statistics, ORIGIN: np.zeros(2, np.int64)}
    (found,) = open_session(tmp_path / "apply.onnx").run(None, told)
    (expected,) = open_session(reduced).run(None, {INPUT: image})
    assert psnr([found], [expected]) >= least
    style = Stylizer(reduced, threads=1).network
    assert style.sees_parts
    assert psnr([style.fixed(style.measure(image)).floats(image)], [expected]) >= least


def test_a_file_with_pixels_in_and_out_has_both_forms(pixels_model: Path, frames: list[Pixels], tmp_path: Path) -> None:
    for form in ("measure", "apply"):
        assert write_form(pixels_model, form, tmp_path / f"{form}.onnx", tolerance=TOLERANCE) <= 1 / 255
    image = frames[0][None]
    (statistics,) = open_session(tmp_path / "measure.onnx").run(None, {INPUT: image})
    told = {INPUT: image, STATISTICS: statistics, ORIGIN: np.zeros(2, np.int64)}
    (found,) = open_session(tmp_path / "apply.onnx").run(None, told)
    (expected,) = open_session(pixels_model).run(None, {INPUT: image})
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_form_of_a_checkpoint_is_that_of_its_file(checkpoint: Path, model: Path, tmp_path: Path) -> None:
    for source in (checkpoint, model):
        assert (
            main(["export", str(source), "--form", "measure", "-o", str(tmp_path / f"{source.suffix[1:]}.onnx")]) == 0
        )
    image = np.random.default_rng(0).random((1, 3, 40, 56), np.float32)
    once, again = (open_session(tmp_path / f"{kind}.onnx").run(None, {INPUT: image})[0] for kind in ("ckpt", "onnx"))
    np.testing.assert_allclose(once, again, rtol=1e-5)


def test_a_file_of_one_size_has_no_forms(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = exported(checkpoint, tmp_path / "one.onnx", "--size", "64x48")
    with pytest.raises(ModelError, match="has no form with statistics"):
        write_form(path, "apply", tmp_path / "form.onnx", tolerance=TOLERANCE)
    capsys.readouterr()
    assert main(["export", str(path), "--form", "apply", "-o", str(tmp_path / "form.onnx")]) == 2
    assert "Give a style that fast-style exported for any size" in capsys.readouterr().err
    assert not (tmp_path / "form.onnx").exists()
    assert not Stylizer(path).network.sees_parts
