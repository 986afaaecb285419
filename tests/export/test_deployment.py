"""Exporting an ONNX file again: its proof and its strength."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from fast_style.cli.app import main
from fast_style.errors import InputError
from fast_style.export import deploy
from fast_style.model.editing import read_metadata
from fast_style.model.passes import STRENGTH_KEY
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style


def test_a_file_that_only_takes_pixels_keeps_the_proof_of_the_styles_card(tmp_path: Path) -> None:
    out = tmp_path / "pixels.onnx"
    assert main(["export", "udnie-tiny", "--io", "uint8", "-o", str(out)]) == 0
    before, after = read_card(find_style("udnie-tiny").path), read_card(out)
    assert after["verification"] == before["verification"]
    assert after["verification"]["largest_difference"] > 0
    assert after["date"] == before["date"]


def test_a_file_of_one_size_has_a_proof_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "fixed.onnx"
    assert main(["export", "udnie-tiny", "--size", "64x48", "-o", str(out)]) == 0
    assert list(read_card(out)["verification"]["by_shape"]) == ["1x3x48x64"]


def test_repeated_exports_multiply_the_strength_up_to_what_a_file_can_say(tmp_path: Path) -> None:
    source = find_style("udnie-tiny").path
    for number, strength in enumerate(("2.4", "9.6", "38.4")):
        out = tmp_path / f"{number}.onnx"
        deploy(source, out, strength=4.0)
        assert read_metadata(onnx.load(out))[STRENGTH_KEY] == strength
        source = out
    with pytest.raises(InputError, match=r"strength is 4 times the style's own, 38\.4; expected a product"):
        deploy(source, tmp_path / "more.onnx", strength=4.0)
    assert not (tmp_path / "more.onnx").exists()
