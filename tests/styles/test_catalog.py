"""Cards beside styles."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import ModelError, StyleNotFoundError
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style, shipped_styles, studio_folder


@pytest.fixture
def style(tmp_path: Path, model_file: Path) -> Path:
    return Path(shutil.copy(model_file, tmp_path / "mine.onnx"))


def test_a_card_of_a_later_format_is_refused_with_the_remedy(style: Path, capsys: pytest.CaptureFixture[str]) -> None:
    style.with_suffix(".json").write_text(json.dumps({"name": "mine", "card_format": 2}))
    with pytest.raises(ModelError, match=r"mine\.json has the format 2; this version of fast-style reads up to 1"):
        find_style(style)
    assert main(["info", str(style)]) == 2
    assert "hint: Update fast-style." in capsys.readouterr().err


@pytest.mark.parametrize(("name", "guess"), [("mine.onnx", ""), ("udnie.onnx", "; did you mean 'udnie'?")])
def test_a_file_that_does_not_exist_is_named_and_the_styles_are_not(name: str, guess: str) -> None:
    with pytest.raises(StyleNotFoundError) as raised:
        find_style(name)
    assert str(raised.value) == f"there is no file {name}{guess}"
    assert raised.value.hint == "'fast-style styles' lists the styles."


def test_a_card_of_todays_format_is_read(style: Path) -> None:
    card = {"name": "mine", "card_format": 1}
    style.with_suffix(".json").write_text(json.dumps(card))
    assert find_style(style).card == card


@pytest.mark.parametrize("content", ["{", "[2]", '"text"', '{"name": "mine"}'])
def test_a_card_that_is_none_of_ours_is_left_alone(style: Path, content: str) -> None:
    style.with_suffix(".json").write_text(content)
    assert find_style(style).card == {}


@pytest.mark.parametrize("command", ["merge water-lilies composition-vii", "export starry-night-tiny --io uint8"])
def test_a_card_takes_the_place_of_cards_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, card = [*command.split(), "-o", "mine.onnx"], Path("mine.json")
    for content in ('{"a": 1}', "text"):
        card.write_text(content)
        for more in ([], ["--force"]):
            assert main([*arguments, *more]) == 2
            assert "error: mine.json exists and is not the card of a style" in capsys.readouterr().err
            assert card.read_text() == content
            assert list(tmp_path.iterdir()) == [tmp_path / "mine.json"]
    card.write_text(json.dumps({"name": "mine", "card_format": 1}))  # of a file that is gone
    assert main(arguments) == 0
    assert main(arguments) == 2
    assert "error: mine.onnx exists" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize("out", ["mine", "mine.json", "mine.ONX"])
def test_only_an_onnx_file_is_made_of_styles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("merge water-lilies composition-vii", "export starry-night-tiny --io uint8"):
        assert main([*command.split(), "-o", out]) == 2
        assert capsys.readouterr().err.startswith(f"error: {out} does not end in .onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_a_shipped_card_measured_is_the_file_beside_it() -> None:
    for style in shipped_styles():
        checksum = hashlib.sha256(style.path.read_bytes()).hexdigest()
        assert style.card["sha256"] == checksum, style.name
        # Figures are added by scripts/gallery --measure, and are of no other file.
        assert style.card.get("measured", {}).get("sha256", checksum) == checksum, style.name


def test_every_shipped_style_has_a_card() -> None:
    assert all(style.card["name"] == style.name for style in shipped_styles())


def test_opening_a_shipped_style_reads_only_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def noted(model: Path) -> dict[str, object]:
        read.append(model.stem)
        return read_card(model)

    monkeypatch.setattr("fast_style.styles.catalog.read_card", noted)
    Stylizer("starry-night", threads=1)
    assert read == ["starry-night"]


def test_a_style_of_the_studio_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = studio_folder() / "styles" / "harbour"
    folder.mkdir(parents=True)
    (folder / "harbour.onnx").write_bytes(find_style("great-wave-tiny").path.read_bytes())
    photo = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    expected = np.asarray(Stylizer("great-wave-tiny")(photo))
    assert (np.asarray(Stylizer("harbour")(photo)) == expected).all()
    assert main(["styles"]) == 0
    assert "harbour" in capsys.readouterr().out
    with pytest.raises(StyleNotFoundError, match="did you mean 'harbour'"):
        find_style("harbor")
