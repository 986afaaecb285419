"""The command as a process of its own."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PHOTOS, run_interrupted

FULL = Path("/dev/full")
# Prints and returns a status, as a command does, without rich between it and the stream.
PRINTS = """
import sys
from fast_style.cli import run
sys.modules["fast_style.cli.app"].main = lambda: print("done") or {status}
run()
"""


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_a_process_ends_with_the_commands_status_and_all_of_its_output(status: int) -> None:
    done = subprocess.run([sys.executable, "-c", PRINTS.format(status=status)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (status, "done\n", "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with FULL.open("w") as full:
        done = subprocess.run([sys.executable, "-c", PRINTS.format(status=0)], stdout=full, stderr=-1, text=True)
    assert (done.returncode, done.stderr) == (2, "error: standard output: No space left on device\n")


def test_a_closed_output_is_no_error() -> None:
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(PRINTS.format(status=1))} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_picture_is_whole_when_the_process_has_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fast_style", "stylize", str(PHOTOS["chelsea"]), "--style", "starry-night"]
    subprocess.run([*command, "--size", "128", "-o", str(tmp_path / "out.jpg")], check=True, capture_output=True)
    piped = subprocess.run([*command, "--size", "128", "-o", "-", "--format", "jpg"], check=True, capture_output=True)
    assert piped.stdout == (tmp_path / "out.jpg").read_bytes()


def test_the_runtime_leaves_nothing_in_the_home_of_a_user(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fast_style", "stylize", str(PHOTOS["chelsea"]), "--style", "udnie-tiny"]
    telling = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("ORT_")}
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(
        [*command, "--size", "64", "-o", str(tmp_path / "out.jpg")],
        check=True,
        capture_output=True,
        env=telling | {"HOME": str(home), "XDG_CACHE_HOME": str(home)},
    )
    assert not [*home.iterdir()]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are any bytes on Linux")
def test_a_file_whose_name_is_no_text_is_stylized(tmp_path: Path) -> None:
    photo = tmp_path / os.fsdecode(b"a\xff.png")
    photo.symlink_to(PHOTOS["chelsea"])
    command = [sys.executable, "-m", "fast_style", "stylize", str(photo), "--style", "starry-night", "--size", "64"]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == os.fsencode(tmp_path) + b"/a\\udcff-starry-night.png\n"
    assert photo.with_name(os.fsdecode(b"a\xff-starry-night.png")).is_file()


@pytest.mark.parametrize("times", [1, 2, 100])  # the last: the keys are held down
def test_ctrl_c_in_a_folder_is_said_and_leaves_whole_pictures(times: int, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(500):
        (photos / f"{number}.png").symlink_to(PHOTOS["chelsea"])
    command = ["stylize", str(photos), "--style", "starry-night", "-o", str(out)]
    done = run_interrupted(*command, results=out, pattern="[0-9]*.png", times=times)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (130, "error: interrupted"), done
    if times == 1:
        (told,) = re.findall(r"^(\d+) of 500 done; the same command does the rest$", done.stderr, re.MULTILINE)
        assert int(told) <= len(list(out.glob("[0-9]*.png")))
    # The next run removes what a second one leaves.
    assert times > 1 or not list(out.glob(".*.png"))
    pictures = sorted(out.glob("[0-9]*.png"))
    assert 0 < len(pictures) < 500
    for path in pictures:
        Image.open(path).load()


# Ctrl-C while a library loads that makes another error of it.
LOADING = """
import os, signal, sys, time
from fast_style.cli import run

def load():
    try:
        {interrupt}
        time.sleep(10)
    except KeyboardInterrupt:
        pass
    raise ImportError("initialization failed")

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.modules["fast_style.cli.app"].main = load
run()
"""


def test_ctrl_c_while_libraries_load_is_no_error_of_theirs() -> None:
    script = LOADING.format(interrupt="os.kill(os.getpid(), signal.SIGINT)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_library_that_does_not_load_is_told_in_full() -> None:
    script = LOADING.format(interrupt="raise KeyboardInterrupt")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ImportError: initialization failed")


def test_ctrl_c_while_the_command_line_loads_ends_it_in_silence() -> None:
    script = (
        "import sys\nfrom fast_style.__main__ import start\n"
        "class Interrupted:\n    def find_spec(*about): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted)\nstart()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(
    ("tag", "count", "value", "status"),
    [(282, 2, 8, 0), (277, 1, 5120, 2)],
    ids=["a warning: two resolutions", "a logged error: 5120 samples a pixel"],
)
def test_nothing_is_printed_of_what_pillow_says_of_a_file(
    tag: int, count: int, value: int, status: int, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "in.tif", dpi=(72, 72))
    content = bytearray((tmp_path / "in.tif").read_bytes())
    start = int.from_bytes(content[4:8], "little") + 2
    entries = (start + 12 * number for number in range(int.from_bytes(content[start - 2 : start], "little")))
    (entry,) = [at for at in entries if int.from_bytes(content[at : at + 2], "little") == tag]
    content[entry + 4 : entry + 12] = count.to_bytes(4, "little") + value.to_bytes(4, "little")
    (tmp_path / "in.tif").write_bytes(content)
    command = [sys.executable, "-m", "fast_style", "sheet", "in.tif", "--style", "starry-night-tiny", "-o", "out.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status
    assert [line for line in done.stderr.splitlines() if not line.startswith(("error: ", "hint: "))] == []
