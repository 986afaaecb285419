import errno
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
from fast_style.extras import install_command
from fast_style.images import load_frames
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


def test_nothing_is_overwritten_without_force_and_no_photo_with_it(
    photo_folder: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = photo_folder / "astronaut.png", photo_folder / "out.png"
    before = photo.read_bytes()
    out.write_bytes(before)
    assert run("stylize", photo, "--style", model_file, "-o", out) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run("stylize", photo, "--style", model_file, "-o", out, "--force") == 0
    assert out.read_bytes() != before
    for place in (photo, photo_folder):
        assert run("stylize", photo, "--style", model_file, "-o", place, "--force") == 2
        assert "astronaut.png would be written over itself" in capsys.readouterr().err
    assert photo.read_bytes() == before


@pytest.mark.usefixtures("place")
def test_what_a_folders_run_left_out_is_told_in_a_line_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    for name in ("moving.png", "moving.webp", "pages.tif", "phone.jpg"):
        kind = {"format": "MPO"} if name == "phone.jpg" else {}  # cameras keep a preview or a gain map so
        frames[0].save(f"in/{name}", save_all=True, append_images=frames[1:], **kind)
    Path("in/clip.mp4").write_bytes(b"")
    command = ["stylize", "in", "--style", "starry-night-tiny", "-o", "in/out"]
    pages = "later frames of animations, or pages: only the first is painted"
    assert main(command) == 0
    line = f"left out: films (1): give each by its name; {pages.replace(':', ' (2):')}"
    assert line in capsys.readouterr().err.splitlines()
    assert main([*command, "--force", "--json"]) == 0
    *records, last = json.loads(capsys.readouterr().out)
    assert [Path(record["output"]).suffix for record in records] == [".png", ".webp", ".png", ".jpg"]
    assert last == {"left_out": {"films: give each by its name": 1, "results of earlier runs": 4, pages: 2}}


@pytest.mark.parametrize("has_libvips", [True, False])
def test_bits_that_a_result_lacks_are_told(
    has_libvips: bool,
    model_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cv2 = pytest.importorskip("cv2")
    if has_libvips:
        pytest.importorskip("pyvips")
    else:
        monkeypatch.setattr("fast_style.stylize.streaming.streams", lambda: False)
    deep, mask, target = tmp_path / "deep.png", tmp_path / "mask.png", tmp_path / "out.png"
    cv2.imwrite(str(deep), np.full((40, 40, 3), 12345, np.uint16))
    Image.new("L", (40, 40), 255).save(mask)
    command = ("stylize", deep, "--style", model_file, "--force", "-o")
    lacks = "left out: the lower 8 of 16 bits a channel (1)"
    for arguments, told in (
        ((target,), None if has_libvips else f"{lacks}: {install_command('large')}"),
        ((target, "--mask", mask), lacks),
        ((tmp_path / "out.jpg",), None),  # JPEG has no more than 8
    ):
        assert run(*command, *arguments) == 0
        assert capsys.readouterr().err.splitlines() == ([] if told is None else [told])


@pytest.mark.usefixtures("place")
def test_animations_in_a_folder_keep_their_frames_or_say_that_they_do_not(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    for name in ("a.gif", "b.png", "c.webp"):
        frames[0].save(f"in/{name}", save_all=True, append_images=frames[1:], duration=[50, 70, 900], loop=0)
    Image.new("RGB", (20, 20)).save("in/still.gif")
    command = ["stylize", "in", "--style", "starry-night-tiny", "--json", "-o"]
    assert main([*command, "out"]) == 0
    assert [record.get("frames") for record in json.loads(capsys.readouterr().out)] == [3, 3, 3, None]
    for name in ("a.gif", "b.png", "c.webp"):
        assert [pause for _, pause in load_frames(Path("out", name))] == [50, 70, 900]
    assert len(list(load_frames(Path("out/still.gif")))) == 1
    assert main([*command, "first", "--format", "jpg"]) == 0
    assert list(json.loads(capsys.readouterr().out)[-1]["left_out"].values()) == [6]
    assert main(["stylize", "in/a.gif", "--style", "starry-night-tiny", "-o", "fast.gif", "--fps", "10"]) == 0
    assert {pause for _, pause in load_frames(Path("fast.gif"))} == {100}


@pytest.mark.usefixtures("place")
def test_a_folder_of_results_inside_the_photos_can_be_filled_again_and_again() -> None:
    for _ in range(3):
        assert main(["stylize", ".", "--style", "starry-night-tiny", "-o", "painted"]) == 0
    assert sorted(path.as_posix() for path in Path().rglob("*.png")) == [
        "a.png",
        "painted/a.png",
        "painted/z.png",
        "z.png",
    ]


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


LONG = {"ascii": "n" * 245, "two bytes a letter": "é" * 120, "four bytes a letter": "🎨" * 61}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the photos a.png and z.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "z.png"):
        Image.new("RGB", (20, 20), "red").save(name)
    return tmp_path


def check_one_failed(records: list[dict[str, object]], bad: str, said: str) -> None:
    assert [record["input"] for record in records] == ["a.png", bad, "z.png"]
    assert [str(record.get("error", "")).split(": ")[-1] for record in records] == ["", said, ""]
    for name in ("a", "z"):
        assert Path(f"{name}-starry-night-tiny.png").is_file()


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
@pytest.mark.usefixtures("place")
def test_a_photo_whose_result_has_too_long_a_name_fails_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("a.png", f"{name}.png")
    command = ["stylize", "a.png", f"{name}.png", "z.png", "--style", "starry-night-tiny"]
    assert main([*command, "--json"]) == 1
    check_one_failed(json.loads(capsys.readouterr().out), f"{name}.png", "File name too long")
    assert main([*command, "--force"]) == 1
    output = capsys.readouterr()
    assert "2 stylized, 1 failed" in output.err
    assert output.out == ".\n"


@pytest.mark.parametrize("name", ["n" * 300 + ".png", "n" * 300, "n" * 300 + "%d.png", "n" * 300 + ".mp4"])
@pytest.mark.usefixtures("place")
def test_an_input_with_too_long_a_name_fails_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["stylize", "a.png", name, "z.png", "--style", "starry-night-tiny", "--json"]
    assert main(command) == 1
    records = json.loads(capsys.readouterr().out)
    (bad,) = [record for record in records if "error" in record]
    assert bad["input"] == name
    assert str(bad["error"]).endswith("File name too long")
    assert Path("z-starry-night-tiny.png").is_file()


def refuse(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let nobody look into a folder, whatever the user may do."""
    ask = os.stat

    def stat(path: str | Path, *rest: object, **more: object) -> os.stat_result:
        if not isinstance(path, int) and Path(folder) in Path(path).parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return ask(path, *rest, **more)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(os, "stat", stat)
    (Path(folder) / "b.png").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["secret/b.png", "secret/deep", "secret/%d.png", "secret/b.mp4"])
@pytest.mark.usefixtures("place")
def test_an_input_in_a_folder_that_may_not_be_looked_into_fails_alone(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("secret/deep").mkdir(parents=True)
    shutil.copy("a.png", "secret/b.png")
    refuse(monkeypatch, "secret")
    assert main(["stylize", "a.png", name, "z.png", "--style", "starry-night-tiny", "--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    (bad,) = [record for record in records if "error" in record]
    assert (bad["input"], str(bad["error"]).split(": ")[-1]) == (name, "Permission denied")
    assert Path("z-starry-night-tiny.png").is_file()


@pytest.mark.usefixtures("place")
def test_a_folder_without_rights_and_one_without_photos_fail_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("empty", "secret"):
        Path(name).mkdir()
    shutil.copy("a.png", "secret/b.png")
    command = ["stylize", "a.png", "empty", "z.png", "--style", "starry-night-tiny", "--json"]
    assert main(command) == 1
    check_one_failed(json.loads(capsys.readouterr().out), "empty", "empty holds no photos")
    Path("secret").chmod(0)
    try:
        if os.access("secret", os.R_OK):
            pytest.skip("this user may read everything")
        command[2] = "secret"
        assert main([*command, "--force"]) == 1
        check_one_failed(json.loads(capsys.readouterr().out), "secret", "Permission denied")
    finally:
        Path("secret").chmod(0o700)


@pytest.mark.usefixtures("place")
def test_results_that_cannot_be_written_where_they_should_fail_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/a").mkdir(parents=True)
    for name in ("in/a/1.png", "in/b.png"):
        shutil.copy("a.png", name)
    Path("out").mkdir()
    Path("out/a").write_bytes(b"a file where a folder should be")
    assert main(["stylize", "in", "--style", "starry-night-tiny", "-o", "out", "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["error"].startswith("cannot ")
    assert "error" not in second
    assert Path("out/b.png").is_file()


@pytest.mark.usefixtures("place")
def test_the_second_photo_that_claims_a_result_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    for name in ("in/a.jpg", "in/a.png", "in/b.png"):
        shutil.copy("a.png", name)
    assert main(["stylize", "in", "--style", "starry-night-tiny", "-o", "out", "--format", "png", "--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert [record.get("error") for record in records] == [
        None,
        "in/a.jpg and in/a.png would both be written to out/a.png",
        None,
    ]
    command = ["stylize", "in", "--style", "starry-night-tiny", "-o", "out", "--format", "png", "--merge"]
    assert main(command) == 1
    assert "2 done, 1 failed, 0 left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.png --side-by-side --codec nonsense", "--codec and --side-by-side: only for videos, and none are given"),
        ("a.png z.png --fps 10", "--fps: only for videos, and none are given"),
        ("a.png -o a.gif --no-audio", "--no-audio: only for videos, and none are given"),
        (
            "clip.mp4 --format png --max-megapixels 9",
            "--format and --max-megapixels: only for photos, and none are given",
        ),
        ("%d.png --format png", "--format: only for photos, and none are given"),
        ("a.png -o b.jpg --format png", "--format png contradicts the name b.jpg"),
        ("in --fps abc", "'abc' is not a rate"),
        ("in --end never", "'never' is not a time"),
        ("clip.mp4 --max-megapixels 0", "at most 0 px would refuse every photo"),
        ("in --merge --json", "--merge writes its table as CSV"),
        ("in --merge --max-megapixels 0", "at most 0 px would refuse every photo"),
    ],
)
@pytest.mark.usefixtures("place")
def test_options_that_cannot_be_heeded_are_refused_before_anything_is_done(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in").mkdir()
    for name in ("in/a.png", "1.png"):
        shutil.copy("a.png", name)
    Path("clip.mp4").write_bytes(b"")
    before = sorted(Path().rglob("*"))
    assert main(["stylize", *arguments.split(), "--style", "starry-night-tiny"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("place")
def test_options_of_videos_may_stand_beside_a_folder_and_what_fails() -> None:
    Path("in").mkdir()
    shutil.copy("a.png", "in")
    assert main(["stylize", "in", "--style", "starry-night-tiny", "--fps", "10"]) == 0
    Path("empty").mkdir()
    assert main(["stylize", "a.png", "empty", "--style", "starry-night-tiny", "--side-by-side"]) == 1
    assert Path("a-starry-night-tiny.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stylize"], "--style"),
        (["stylize", "--style", "x"], "nothing to stylize"),
        (["stylize", "none.jpg", "--style", "x"], "neither the name of a style nor a file"),
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
