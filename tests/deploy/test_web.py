"""The page's folder, and what it refuses; no browser is opened."""

import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import InputError, WebError
from fast_style.model import webgpu_form
from fast_style.web import RUNTIME_VERSION, write_page
from fast_style.web.page import RUNTIME_FILES
from tests.conftest import PHOTOS


@pytest.fixture
def empty_runtime(tmp_path: Path) -> Path:
    """Files of the right names, for tests that open no browser."""
    place = tmp_path / "runtime"
    place.mkdir()
    for name in RUNTIME_FILES:
        (place / name).write_text(name)
    return place


def test_web_writes_a_folder_that_holds_all_it_needs(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    assert main(["web", str(model), "-o", str(out), "--runtime", str(empty_runtime)]) == 0
    assert {path.name for path in out.iterdir()} == {
        *(
            "index.html",
            "style.css",
            "app.js",
            "worker.js",
            "mixing.onnx",
            "restoring.onnx",
            "styles.json",
            "styles",
            "runtime",
        )
    }
    assert {path.name for path in (out / "runtime").iterdir()} == set(RUNTIME_FILES)
    (entry,) = json.loads((out / "styles.json").read_text())
    assert (entry["file"], entry["smallest"]) == ("styles/small.onnx", 16)
    assert (out / "styles/small.onnx").read_bytes() == webgpu_form(model.read_bytes())


def test_the_page_knows_the_smallest_photo_of_a_style_that_paints_in_passes(
    painter: Path, empty_runtime: Path, tmp_path: Path
) -> None:
    write_page([painter], tmp_path / "page", runtime=empty_runtime)
    assert json.loads((tmp_path / "page/styles.json").read_text())[0]["smallest"] == 64


def test_a_mixture_is_a_style_of_its_own_on_the_page(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    odd = tmp_path / "100%?.onnx"
    odd.write_bytes(model.read_bytes())
    mixtures = ["ten#udnie", "starry-night:0.5,the-scream:0.5"]
    page = write_page([*mixtures, "ten", odd], tmp_path / "page", runtime=empty_runtime)
    entries = json.loads((page / "styles.json").read_text())
    assert [entry["title"] for entry in entries] == [
        "Udnie (Young American Girl, The Dance)",
        "starry night + the scream",
        "ten",
        "100%?",
    ]
    assert [entry["artist"] for entry in entries] == ["Francis Picabia", "", "", ""]
    assert [len(entry["styles"]) for entry in entries] == [1, 1, 10, 1]
    assert [entry["file"] for entry in entries] == [
        "styles/udnie.onnx",
        "styles/starry-night%2Bthe-scream.onnx",
        "styles/ten.onnx",
        "styles/100%25%3F.onnx",
    ]
    for mixture, entry in zip(mixtures, entries, strict=False):
        written, mixed = Stylizer(page / unquote(entry["file"])), Stylizer(mixture)
        assert (entry["ground"], entry["strength"]) == ("none", mixed.network.draft_strength)
        ours, expected = (np.asarray(style(PHOTOS["chelsea"], size=200)) for style in (written, mixed))
        np.testing.assert_allclose(ours.astype(int), expected.astype(int), atol=1)
    with pytest.raises(InputError, match=r"two styles have one name: udnie, udnie"):
        write_page(["ten#udnie", "udnie"], page, runtime=empty_runtime, force=True)


def test_web_refuses_a_style_that_the_page_cannot_feed(
    pixels_model: Path, empty_runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page"
    assert main(["web", str(pixels_model), "-o", str(out), "--runtime", str(empty_runtime)]) == 2
    assert "is not a float graph for pictures of any size" in capsys.readouterr().err
    assert not out.exists()


def test_web_replaces_only_its_own_folders_and_only_when_forced(
    model: Path, empty_runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    command = ["web", str(model), "--runtime", str(empty_runtime), "-o"]
    assert main([*command, str(mine), "--force"]) == 2
    assert "is not a page of fast-style" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    out = tmp_path / "page"
    assert [main([*command, str(out)]), main([*command, str(out)]), main([*command, str(out), "--force"])] == [0, 2, 0]


def test_web_without_npm_names_the_remedy_and_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WebError, match="npm is not installed") as caught:
        write_page([model], tmp_path / "page")
    assert "--runtime FOLDER" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_web_refuses_another_version_of_the_runtime(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    (empty_runtime / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.2.3"}')
    with pytest.raises(WebError, match=rf"holds onnxruntime-web 1.2.3; the page is made for {RUNTIME_VERSION}"):
        write_page([model], tmp_path / "page", runtime=empty_runtime)


def test_web_names_the_files_that_a_runtime_folder_lacks(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    (empty_runtime / RUNTIME_FILES[0]).unlink()
    with pytest.raises(WebError, match=f"lacks {RUNTIME_FILES[0]} of"):
        write_page([model], tmp_path / "page", runtime=empty_runtime)


def test_serving_no_page_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "-o", str(tmp_path), "--serve"]) == 2
    assert "is not a page of fast-style" in capsys.readouterr().err
