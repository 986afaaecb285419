"""Exporting an ONNX file again: its proof and its strength."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from fast_style.cli.app import main
from fast_style.errors import InputError, VerificationError
from fast_style.export import deploy
from fast_style.model.editing import read_metadata
from fast_style.model.passes import STRENGTH_KEY
from fast_style.model.table import mixture_file
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style
from fast_style.styles.mixture import find_mixture
from fast_style.stylize.stylizer import Stylizer
from tests.conftest import PHOTOS


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
    source = find_mixture("udnie-tiny")
    for number, strength in enumerate(("2.4", "9.6", "38.4")):
        out = tmp_path / f"{number}.onnx"
        deploy(source, out, strength=4.0)
        assert read_metadata(onnx.load(out))[STRENGTH_KEY] == strength
        source = find_mixture(out)
    with pytest.raises(InputError, match=r"strength is 4 times the style's own, 38\.4; expected a product"):
        deploy(source, tmp_path / "more.onnx", strength=4.0)
    assert not (tmp_path / "more.onnx").exists()


@pytest.mark.parametrize("out", ["a.onnx", "b.onnx"])
def test_a_mixture_is_not_written_over_one_of_its_files(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, style in (("a", "ten#udnie"), ("b", "ten#the-scream")):
        assert main(["export", style, "-o", f"{name}.onnx"]) == 0
    before = Path(out).read_bytes()
    assert main(["export", "a.onnx:0.5,b.onnx:0.5", "-o", out, "--force"]) == 2
    assert f"{out} is an input and would be overwritten" in capsys.readouterr().err
    assert Path(out).read_bytes() == before


@pytest.mark.parametrize("mixture", ["ten#the-scream", "starry-night:0.7,udnie:0.3"])
def test_a_mixture_becomes_a_file_that_takes_only_the_picture(
    mixture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", mixture]) == 0
    (written,) = tmp_path.glob("*.onnx")
    card = read_card(written)
    names = {"ten#the-scream": ["the-scream"], "starry-night:0.7,udnie:0.3": ["starry-night", "udnie"]}[mixture]
    assert written.stem == card["name"] == "+".join(names) == read_metadata(onnx.load(written))["name"]
    assert list(card["weights"]) == list(card["paintings"]) == names
    assert card["verification"]["largest_difference"] < 1e-4
    assert [value.name for value in onnx.load(written).graph.input] == ["image"]
    # The painting's palette is found, so a ground has its colors.
    chosen, mixed = Stylizer(written, ground="panes"), Stylizer(mixture, ground="panes")
    assert chosen.network.ground == mixed.network.ground
    ours, expected = (np.asarray(style(PHOTOS["chelsea"], size=200)) for style in (chosen, mixed))
    np.testing.assert_allclose(ours.astype(int), expected.astype(int), atol=1)


def test_a_mixture_that_paints_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fast_style.export.deployment.mixture_file", lambda content, weights: mixture_file(content, {"udnie": 1.0})
    )
    with pytest.raises(VerificationError, match="the ONNX file differs from the network by up to"):
        deploy(find_mixture("ten#the-scream"), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
