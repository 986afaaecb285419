"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fast_style.errors import FileError, ImageError
from fast_style.files import replacing, sweep


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
    kept = {tmp_path / name for name in ("a[1].png", ".a[1]-notes.png", ".b-12345678.png", ".a[1]-12345678.jpg")}
    for path in (*kept, tmp_path / ".a[1]-1x_45678.png"):
        path.write_bytes(b"x")
    context = replacing(tmp_path / "a[1].png")
    left = context.__enter__()
    sweep(tmp_path / "a[1].png")
    assert not left.exists()
    assert set(tmp_path.iterdir()) == kept


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
