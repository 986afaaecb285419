from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.styles.catalog import shipped_styles


def run(*arguments: str | float | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_one_photo_to_one_file(photo_folder: Path, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.webp"
    assert run("stylize", photo_folder / "astronaut.png", "--style", model_file, "-o", out) == 0
    with Image.open(out) as image:
        assert (image.format, image.size) == ("WEBP", (120, 96))


def test_a_photo_without_an_output_gets_one_beside_it(photo_folder: Path, model_file: Path) -> None:
    assert run("stylize", photo_folder / "astronaut.png", "--style", model_file) == 0
    assert (photo_folder / "astronaut-plain.png").is_file()


def test_a_folder_keeps_its_tree_and_a_bad_file_does_not_stop_it(
    photo_folder: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photo_folder / "a" / "fake.jpg").write_text("text")
    (photo_folder / "dot.png").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(photo_folder / "one.png")
    assert run("stylize", photo_folder, "--style", model_file, "-o", tmp_path / "out", "--json") == 1
    captured = capsys.readouterr()
    records = json.loads(captured.out)
    assert len(records) == 9
    assert {Path(record["input"]).name for record in records if "error" in record} == {"fake.jpg", "dot.png", "one.png"}
    assert "error:" in captured.err
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("[!.]*.*")}
    assert written == {
        "astronaut.png",
        "coffee.webp",
        "china.png",
        "a/b/chelsea.JPG",
        "a/b/rocket.png",
        "a/b/flower.jpeg",
    }


def test_nothing_is_overwritten_without_force(
    photo_folder: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = photo_folder / "astronaut.png"
    before = photo.read_bytes()
    assert run("stylize", photo, "--style", model_file, "-o", photo) == 2
    assert "--force" in capsys.readouterr().err
    assert photo.read_bytes() == before
    assert run("stylize", photo, "--style", model_file, "-o", photo, "--force") == 0
    assert photo.read_bytes() != before


def test_standard_input_to_standard_output(photo_folder: Path, model_file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fast_style", "stylize", "-", "--style", model_file, "-o", "-", "--format", "jpg"],
        input=(photo_folder / "astronaut.png").read_bytes(),
        capture_output=True,
        check=True,
    )
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("JPEG", (120, 96))


def test_size_blend_and_colors_are_applied(photo_folder: Path, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    photo = photo_folder / "astronaut.png"
    assert run("stylize", photo, "--style", model_file, "-o", out, "--size", 60, "--blend", 0) == 0
    with Image.open(out) as image, Image.open(photo) as original:
        expected = np.asarray(original.resize((60, 48), Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stylize"], "--style"),
        (["stylize", "--style", "x"], "nothing to stylize"),
        (["stylize", "none.jpg", "--style", "x"], "neither a shipped style nor a file"),
        (["stylize", "none.jpg", "--style", "x", "--quality", "0"], "quality is 0"),
        (["stylise"], "stylise"),
        (["train", "none.jpg", ".", "-o", "x"], "none.jpg"),
        (["export", "none.ckpt"], "none.ckpt"),
    ],
)
def test_bad_usage_is_one_line_and_exit_status_two(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_an_unreadable_photo_and_a_folder_for_a_file_are_told(
    photo_folder: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run("stylize", tmp_path / "empty", "--style", model_file) == 2
    assert "holds no photos" in capsys.readouterr().err
    secret = photo_folder / "astronaut.png"
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read everything")
    assert run("stylize", secret, "--style", model_file, "-o", tmp_path / "out.png") == 2
    assert "Permission denied" in capsys.readouterr().err


def test_styles_are_listed_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_names_of_styles_are_whole_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert main(["styles"]) == 0
    shown = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {style.name for style in shipped_styles()} <= shown


def test_a_picture_on_standard_output_has_nothing_after_it(
    photo_folder: Path, model_file: Path, tmp_path: Path
) -> None:
    photo = shutil.copy(photo_folder / "astronaut.png", tmp_path)
    command = [sys.executable, "-m", "fast_style", "stylize", "--style", str(model_file)]
    alone, beside = (
        subprocess.run([*command, *inputs], input=Path(photo).read_bytes(), capture_output=True, check=True).stdout
        for inputs in (["-"], ["-", photo])
    )
    assert alone.startswith(b"\x89PNG")
    assert beside == alone


def test_one_photo_says_where_its_result_is(
    photo_folder: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = shutil.copy(photo_folder / "astronaut.png", tmp_path)
    assert run("stylize", photo, "--style", model_file) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()
    assert run("stylize", photo, "--style", model_file, "-o", tmp_path / "out.png") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out.png'}\n"
