"""Files appear whole or not at all."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fast_style.cli import main
from fast_style.errors import FileError, ImageError
from fast_style.files import replacing, sweep, user_folder
from fast_style.images import load_image, save_image
from fast_style.styles.catalog import find_style, own_paths
from tests.conftest import PHOTOS


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with replacing(target) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        interrupted()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    names = "a[1].png", ".a[1]-12345678.png", ".b-fast-style-12345678.png", ".a[1]-fast-style-12345678.jpg"
    kept = {tmp_path / name for name in names}
    for path in kept:
        path.write_bytes(b"x")
    target = tmp_path / "a[1].png"
    killed = """
import os, signal, sys
from pathlib import Path
from fast_style.files import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", killed, target], check=False).returncode == -signal.SIGKILL
    assert len({*tmp_path.iterdir()} - kept) == 1
    with replacing(target) as partial:  # another process of the same command
        sweep(target)
        assert {*tmp_path.iterdir()} - kept == {partial}
        partial.write_bytes(b"whole")
    assert {*tmp_path.iterdir()} == kept
    assert target.read_bytes() == b"whole"


def test_a_full_disk_is_said_in_plain_words(tmp_path: Path) -> None:
    device = Path("/dev/full")
    if not device.exists():
        pytest.skip("this system has no /dev/full")

    def fill() -> None:
        with replacing(tmp_path / "x.png") as partial:
            partial.unlink()
            partial.symlink_to(device)
            partial.write_bytes(b"x" * 4096)

    with pytest.raises(FileError, match="the disk is full"):
        fill()


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_that_cannot_be_written_is_no_fault_of_a_picture(tmp_path: Path, durable: bool) -> None:
    with (
        pytest.raises(FileError, match=r"cannot write .*losses\.csv: No such file") as caught,
        replacing(tmp_path / "missing" / "losses.csv", durable=durable),
    ):
        pass
    assert not isinstance(caught.value, ImageError)


def test_a_relative_path_in_a_users_variable_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path.home() / ".local" / "share" / "fast-style"
    for given, expected in ((str(tmp_path), tmp_path / "fast-style"), ("data", own), ("", own)):
        monkeypatch.setenv("XDG_DATA_HOME", given)
        assert user_folder("XDG_DATA_HOME", ".local/share") == expected
    monkeypatch.delenv("XDG_DATA_HOME")
    assert user_folder("XDG_DATA_HOME", ".local/share") == own


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(FileError, match="home directory"):
        user_folder("XDG_DATA_HOME", ".local/share")
    assert own_paths() == {}


def test_what_other_threads_make_while_files_are_written_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)

    def write(number: int) -> None:
        for _ in range(200):
            with replacing(tmp_path / f"{number}.png") as partial:
                partial.write_bytes(b"x")

    try:
        with ThreadPoolExecutor(3) as threads:
            writing = [threads.submit(write, number) for number in range(3)]
            while not all(each.done() for each in writing):
                Path(tempfile.mkdtemp(dir=tmp_path)).joinpath("made").mkdir()
            for each in writing:
                each.result()
    finally:
        after = os.umask(before)
    assert after == 0o027
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*/made")} == {0o750}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.png")} == {0o640}


@pytest.mark.parametrize(
    "command",
    [
        "sheet p.jpg -o p.jpg",
        "sheet p.jpg -o ./p.jpg",
        "sheet p.jpg -o link.jpg",
        "optimize p.jpg q.jpg -o p.jpg",
        "optimize q.jpg p.jpg -o p.jpg",
        "inspect features p.jpg --layer relu1_1 -o p.jpg",
        "inspect gradcam p.jpg -o p.jpg",
        "inspect maximize p.jpg --layer relu1_1 -o p.jpg",
        "export a.onnx --io uint8 -o a.onnx",
        "webcam --source p.jpg -s udnie --headless --record p.jpg",
        "stylize q.jpg -s udnie --mask p.jpg -o p.jpg",
        "stylize in -s udnie --mask p.jpg -o .",
        "merge a.onnx composition-vii -o a.onnx",
        "merge composition-vii a.onnx#water-lilies -o a.onnx",
    ],
)
def test_no_input_is_overwritten_even_with_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p.jpg", "q.jpg"):
        save_image(load_image(PHOTOS["astronaut"], size=64), name)
    Path("link.jpg").symlink_to("p.jpg")
    Path("in").mkdir()
    Path("in/p.jpg").symlink_to("../q.jpg")
    Path("a.onnx").write_bytes(find_style("water-lilies").path.read_bytes())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert main([*command.split(), "--force"]) == 2
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
