import json
import shutil
from pathlib import Path

import pytest

from fast_style.cli import main


@pytest.fixture
def own(same: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A style called wave in the studio's folder, without a card yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = tmp_path / "fast-style/studio/styles/wave/wave.onnx"
    path.parent.mkdir(parents=True)
    shutil.copyfile(same, path)
    return path


@pytest.mark.parametrize("title", ["[untitled]", "[/b]", "[bold]Wave[/bold]", ":wave:"])
def test_a_title_is_shown_as_it_is_written(title: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = {"card_format": 1, "paintings": {"wave": {"title": title}}}
    own.with_suffix(".json").write_text(json.dumps(card))
    assert main(["styles"]) == 0
    assert title in capsys.readouterr().out


def test_a_title_is_whole_in_a_pipe(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    card = {"card_format": 1, "paintings": {"wave": {"title": "wave " * 40}}}
    own.with_suffix(".json").write_text(json.dumps(card))
    assert main(["styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if ("wave " * 40).strip() in line]) == 1


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"card_format": 2}, "has the format 2; this version of fast-style reads up to 1. Update fast-style."),
        ({"card_format": 1, "paintings": []}, "is damaged: its paintings cannot be read. Copy or download it again"),
        ({"card_format": 1, "paintings": {"wave": 1}}, "is damaged: its paintings cannot be read."),
        ({"card_format": 1, "styles": [1]}, "is damaged: its styles cannot be read."),
    ],
)
def test_a_style_whose_card_cannot_be_read_is_listed_with_what_is_wrong(
    card: dict[str, object], said: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.with_suffix(".json").write_text(json.dumps(card))
    assert main(["styles"]) == 0
    listed = capsys.readouterr().out
    (line,) = (line for line in listed.splitlines() if "wave.json" in line)
    assert line.split()[0] == "wave"
    assert f"wave.json {said}" in line
    assert "udnie-tiny" in listed
