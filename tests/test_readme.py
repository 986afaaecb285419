"""The README's commands and Python run as they are written, on a packaged photo and without the network."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.images import load_image
from fast_style.runtime.writing import VideoFormat, VideoWriter
from tests.conftest import PHOTOS, snippets
from tests.runtime.conftest import moving_square, write_style

ROOT = Path(__file__).parents[1]
# What needs a display and a camera, minutes, or a checkpoint; their own tests run them.
ELSEWHERE = ("fast-style webcam", "fast-style train", "fast-style export", "scripts/", "pip install")
LINES = [line for block in snippets("README.md", "sh") for line in block.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with what the README's commands read."""
    place = tmp_path / "place"
    (place / "holiday/sea").mkdir(parents=True)
    monkeypatch.chdir(place)
    photo = Image.open(PHOTOS["chelsea"]).convert("RGB").resize((225, 150))
    photo.save("photo.jpg")
    photo.save("holiday/sea/cat.jpg")
    writer = VideoWriter(Path("clip.mp4"), VideoFormat(64, 48, Fraction(25), Fraction(1, 25)))
    for number, frame in enumerate(moving_square(4)):
        writer.add(frame, number)
    writer.close()
    write_style(Path("mine.onnx"), "negative")
    return place


def test_the_commands_run_and_write_what_they_say(place: Path, tmp_path: Path) -> None:
    lines = [line for line in LINES if not line.startswith(ELSEWHERE)]
    assert {line.split()[1] for line in lines if line.startswith("fast-style")} == {
        "stylize",
        "sheet",
        "styles",
        "info",
    }
    command = tmp_path / "bin/fast-style"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fast_style "$@"\n')
    command.chmod(0o755)
    variables = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    # They are alternatives, and several write out.png.
    script = "set -eu -o pipefail\n" + "".join(
        f"{line}\nif [ -e out.png ]; then mv out.png out-{number}.png; fi\n" for number, line in enumerate(lines)
    )
    done = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "starry-night" in done.stdout
    pictures = sorted(place.glob("out-*.png"))
    assert len(pictures) == sum("out.png" in line for line in lines)
    assert len(pictures) > 1
    for path in [*pictures, Path("photo-mine.jpg"), Path("stylized/sea/cat.jpg")]:
        assert load_image(path).pixels.shape == (150, 225, 3)
    assert Path("out.mp4").stat().st_size > 1000
    assert load_image("sheet.png").pixels.shape[1] > 225


def test_the_python_runs(place: Path) -> None:
    (python,) = snippets("README.md", "python")
    exec(compile(python, "README.md", "exec"), {})
    expected = np.asarray(Stylizer("starry-night")("photo.jpg"))
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_every_verb_that_the_readme_names_is_one() -> None:
    from fast_style.cli.app import VERBS

    assert {line.split()[1] for line in LINES if line.startswith("fast-style")} <= set(VERBS)
