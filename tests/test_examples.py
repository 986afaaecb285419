"""The examples run as they are written."""

import io
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import FastStyleError, Stylizer
from tests.conftest import PAINTING, write_style

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> dict[str, Any]:
    """The names that an example defines."""
    return runpy.run_path(str(EXAMPLES / name))


def test_every_python_example_is_listed_and_tested() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    tested = "".join(
        path.read_text(encoding="utf-8") for path in (Path(__file__), Path(__file__).parent / "deploy/test_apps.py")
    )
    names = {path.name for path in EXAMPLES.glob("*.py")}
    assert names
    assert [name for name in names if f"]({name})" not in listed or f'"{name}"' not in tested] == []


def test_a_folder_is_stylized_and_what_is_not_a_photo_is_reported(
    photo_folder: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = photo_folder / "broken.jpg"
    broken.write_text("not a photo")
    written = load("stylize_folder.py")["main"](photo_folder, tmp_path / "out", str(model_file))
    photos = sorted(path for path in photo_folder.iterdir() if path.is_file() and path != broken)
    assert [path.stem for path in written] == [path.name for path in photos]
    for path, result in zip(photos, written, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(result)), np.asarray(Stylizer(model_file)(path)))
    captured = capsys.readouterr()
    assert captured.err.startswith("skipped: ")
    assert "broken.jpg" in captured.err


def test_pictures_take_the_place_of_no_photo_and_of_no_other_picture(
    photo_folder: Path, model_file: Path, tmp_path: Path
) -> None:
    stylize = load("stylize_folder.py")["main"]
    with pytest.raises(FastStyleError, match="holds the photos"):
        stylize(photo_folder, photo_folder / ".", str(model_file))
    for name in ("a.bmp", "a.png"):
        Image.new("RGB", (32, 32)).save(photo_folder / name)
    written = stylize(photo_folder, tmp_path / "out", str(model_file))
    assert {path.name for path in written} > {"a.bmp.png", "a.png.png"}


@pytest.mark.parametrize("name", ["onnx_alone.py", "stylize_folder.py", "train_style.py"])
def test_an_example_without_its_arguments_says_which_it_takes(name: str) -> None:
    failed = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True)
    assert failed.stderr.startswith(f"usage: python examples/{name} ")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("onnx_alone.py", ["no.onnx", PAINTING, "o.png"]), ("stylize_folder.py", [".", "out", "no.onnx"])],
)
def test_an_example_says_that_a_style_is_not_there(name: str, arguments: list[str | Path], tmp_path: Path) -> None:
    failed = subprocess.run([sys.executable, EXAMPLES / name, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert "no.onnx" in failed.stderr


def test_the_service_shrinks_a_palette_as_smoothly_as_full_colors() -> None:
    pytest.importorskip("starlette")
    from examples.service import service

    stripes = np.zeros((1280, 1280), np.uint8)
    stripes[:, ::2] = 255
    photo, upload = Image.fromarray(stripes).convert("P"), io.BytesIO()
    photo.save(upload, "PNG")
    shrunk = np.asarray(service._decode(upload.getvalue(), service.LIMITS, 16))
    assert np.abs(shrunk[:, 8:-8].astype(int) - 128).max() < 32


def test_a_style_is_trained_from_python(photo_folder: Path, narrow_file: Path, tmp_path: Path) -> None:
    outcome = load("train_style.py")["main"](
        PAINTING, photo_folder, tmp_path / "run", steps=2, size=32, vgg=str(narrow_file)
    )
    assert outcome.step == 2
    assert outcome.model is not None
    assert json.loads(Stylizer(outcome.model).network.metadata["paintings"])["ihc"]["license"] == "public domain"


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    notebook = json.loads(Path("how-it-works.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # pictures would be megabytes, and old
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
            if "parameters" in cell["metadata"].get("tags", []):
                assert {"SIZE", "STEPS", "GROWTH", "FIGURES"} <= set(names)
                names.update(SIZE=48, STEPS=2, GROWTH=1, FIGURES=tmp_path)
    drawn = ["pictures", "features", "content-loss", "gram", "style-loss", "both", "maximize", "gradcam"]
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(drawn)
    for path in tmp_path.iterdir():
        assert np.asarray(Image.open(path)).std() > 10


@pytest.fixture
def gstreamer() -> Any:
    """The example, if GStreamer's Python is installed."""
    pytest.importorskip("gi", exc_type=ImportError)
    try:
        return load("gstreamer.py")["main"]
    except ValueError as error:  # there is PyGObject, but no GStreamer for it
        pytest.skip(str(error))


def test_gstreamers_frames_are_stylized(gstreamer: Any, tmp_path: Path) -> None:
    negative = write_style(tmp_path / "negative.onnx", "negative")
    source = "videotestsrc num-buffers=5 pattern=blue ! video/x-raw,width=66,height=48,framerate=25/1"
    out = tmp_path / "out.rgb"
    assert gstreamer(source, f'video/x-raw,format=RGBx ! filesink location="{out}"', str(negative)) == 5
    frames = np.fromfile(out, np.uint8).reshape(5, 48, 66, 4)
    assert np.abs(frames[..., :3].astype(int) - (255, 255, 0)).max() <= 2  # blue's negative


@pytest.mark.parametrize(
    ("source", "sink", "said"),
    [
        ("filesrc location=nothing.mp4 ! decodebin", "fakesink", "not found"),
        ("videotestsrc num-buffers=5", "filesink location=/nowhere/out", "Could not open file"),
    ],
)
def test_what_fails_in_gstreamer_is_raised(gstreamer: Any, source: str, sink: str, said: str, tmp_path: Path) -> None:
    negative = write_style(tmp_path / "negative.onnx", "negative")
    with pytest.raises(RuntimeError, match=said):
        gstreamer(source, sink, str(negative))
