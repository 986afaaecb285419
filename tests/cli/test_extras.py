"""What each verb says if the libraries that it needs are not installed, or broken."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from fast_style.cli.app import VERBS
from fast_style.cli.inspect import VERBS as INSPECT_VERBS
from fast_style.extras import (
    EXTRAS,
    OPENCV_WITH_WINDOWS,
    install_command,
    is_installed,
    missing_extra,
    reinstall_command,
    windows_command,
)
from fast_style.web.page import RUNTIME_FILES

ROOT = Path(__file__).parents[2]
# Runs the command as if some modules were not installed.
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))  # None: it is not to be found
from fast_style.cli import run
run()
"""
ALL = ",".join(module for modules in EXTRAS.values() for module in modules)
# Enough of each verb for it to import what it needs, and the extra that brings it; None if it needs none.
COMMANDS = {
    "train": ("train photo.png photos -o out", "train"),
    "export": ("export style.ckpt", "train"),
    "stylize": ("stylize photo.png -s udnie --size 32 -o out.png", None),
    "stylize a video": ("stylize photo.png clip.mp4 -s udnie -o out", "video"),
    "batch": ("batch list.csv -s udnie --size 32", None),
    "batch on Ray": ("batch list.csv -s udnie --on ray", "ray"),
    "webcam": ("webcam -s udnie", "webcam"),
    "webcam without a window": ("webcam -s udnie --headless", "video"),
    "web": ("web udnie -o page --runtime runtime", None),
    "studio": ("studio --folder studio --no-open", "studio"),
    "optimize": ("optimize photo.png photo.png -o out.png", "train"),
    "evaluate": ("evaluate udnie --style photo.png --photos photos", "train"),
    "sheet": ("sheet photo.png -s udnie --size 32 -o out.png", None),
    "styles": ("styles", None),
    "merge": ("merge ten#great-wave ten#udnie -o both.onnx", None),
    "stylize by a style of the hub": ("stylize photo.png -s hf:someone/udnie -o out.png", "hub"),
    "info": ("info --no-benchmark", None),
    "inspect features": ("inspect features photo.png --layer relu1_1 -o out.png", "train"),
    "inspect maximize": ("inspect maximize --layer relu1_1 --channel 1 -o out.png", "train"),
    "inspect classify": ("inspect classify photo.png", "train"),
    "inspect gradcam": ("inspect gradcam photo.png -o out.png", "train"),
    "inspect layers": ("inspect layers", "train"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("photo.png", "photos/photo.png"):
        Image.new("RGB", (160, 160), (30, 90, 150)).save(tmp_path / name)
    (tmp_path / "list.csv").write_text("in,out\nphoto.png,out.png\n")
    for name in ("style.ckpt", "clip.mp4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "runtime").mkdir()
    for name in RUNTIME_FILES:
        (tmp_path / "runtime" / name).write_bytes(b"")
    return tmp_path


def run_without(modules: str, command: str, place: Path) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", WITHOUT, modules, *command.split()]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=place)


def test_evaluate_misses_the_videos_libraries_before_the_reference_is_made(place: Path) -> None:
    done = run_without("av,cv2", "evaluate udnie --style photo.png --photos photos --flicker", place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f" is not installed: {install_command('video')}")


def test_a_heic_without_its_library_says_in_one_line_which_extra_to_install(place: Path) -> None:
    register_heif_opener()
    Image.new("RGB", (64, 64)).save(place / "a.heic")
    done = run_without("pillow_heif", "stylize a.heic -s udnie --size 32", place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == f"error: a.heic is a HEIC: pillow_heif is not installed: {install_command('heic')}"


def test_every_verb_is_run_without_extras() -> None:
    verbs = {verb for verb in VERBS if verb != "inspect"}
    verbs |= {f"inspect {verb}" for verb in INSPECT_VERBS}
    assert verbs <= set(COMMANDS)


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_verb_without_its_libraries_says_in_one_line_which_extra_to_install(verb: str, place: Path) -> None:
    command, extra = COMMANDS[verb]
    before = sorted(place.rglob("*"))
    done = run_without(ALL, command, place)
    if extra is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(f" is not installed: {install_command(extra)}")
    assert sorted(place.rglob("*")) == before  # nothing was done before the import failed


@pytest.mark.parametrize(("command", "near"), [("stylise photo.png", "stylize"), ("inspect clasify x", "classify")])
def test_a_misspelled_verb_is_told_without_the_libraries_of_the_others(command: str, near: str, place: Path) -> None:
    done = run_without(ALL, command, place)
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first.endswith(f"; did you mean {near!r}?")
    assert hint.startswith("hint: See 'fast-style ")


def test_a_module_that_no_extra_brings_is_not_hidden(place: Path) -> None:
    done = run_without("PIL", "stylize photo.png -s udnie", place)
    assert done.returncode == 1
    assert "ModuleNotFoundError: import of PIL halted" in done.stderr
    assert "pip install" not in done.stderr


@pytest.mark.parametrize("name", ["numpy", "fast_style.nothing", None])
def test_a_module_of_no_extra_is_no_missing_extra(name: str | None) -> None:
    assert missing_extra(ModuleNotFoundError("", name=name)) is None


def run_with_broken(module: str, raised: str, command: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with a module that is there and fails while it is imported."""
    (place / "broken" / module).mkdir(parents=True)
    (place / "broken" / module / "__init__.py").write_text(f"raise {raised}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place / "broken"), str(ROOT)])}
    arguments = [sys.executable, "-m", "fast_style", *command.split()]
    return subprocess.run(arguments, capture_output=True, text=True, cwd=place, env=environment)


LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize("command", ["stylize real.mp4 -s udnie -o out.mp4", "webcam -s udnie --headless"])
def test_a_missing_system_library_is_said_in_one_line(command: str, place: Path, clips: Path) -> None:
    shutil.copy(clips / "bigbuckbunny.mp4", place / "real.mp4")
    done = run_with_broken("cv2", f"ImportError({LIBGL!r})", command, place)
    remedy = "install the system library libGL.so.1 (Debian, Ubuntu: apt install libgl1)"
    assert (done.returncode, done.stderr) == (2, f"error: cv2 cannot be loaded: {LIBGL}; {remedy}\n")
    assert not list(place.glob("*out*"))


@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("stylize a video", "av"),
        ("train", "torch"),
        ("batch on Ray", "ray"),
        ("studio", "uvicorn"),
    ],
)
def test_a_broken_library_is_said_in_one_line(verb: str, module: str, place: Path) -> None:
    done = run_with_broken(module, "ImportError('something is missing')", COMMANDS[verb][0], place)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {module} cannot be loaded: something is missing; install it again: pip install ")


def test_a_library_that_lacks_what_it_imports_is_broken(place: Path) -> None:
    raised = "ModuleNotFoundError(\"No module named 'sympy'\", name='sympy')"
    done = run_with_broken("av", raised, COMMANDS["stylize a video"][0], place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: av cannot be loaded: No module named 'sympy'; install it again: pip install ")


def test_a_library_that_lacks_one_of_its_own_modules_is_broken() -> None:
    error = missing_extra(ModuleNotFoundError("No module named 'torch._C'", name="torch._C"))
    assert str(error).startswith("torch cannot be loaded: No module named 'torch._C'; install it again: ")


def test_the_extras_are_those_of_the_project_file() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"dev", "docs"}
    modules = packages_distributions()
    for extra, names in EXTRAS.items():
        wanted = {re.split(r"[>=\[]", requirement)[0].removesuffix("-headless") for requirement in declared[extra]}
        brought = {name.removesuffix("-headless") for module in names for name in modules.get(module, [])}
        assert brought <= wanted, json.dumps(names)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let pip or uv have recorded a direct_url.json; without one, fast-style came from the package index."""

    def recorded(content: dict[str, Any] | None, installer: str = "pip") -> None:
        files = {"INSTALLER": f"{installer}\n", "direct_url.json": content and json.dumps(content)}
        monkeypatch.setattr("fast_style.extras.CLONE", Path("nowhere"))
        monkeypatch.setattr("importlib.metadata.distributions", lambda name: [SimpleNamespace(read_text=files.get)])

    return recorded


@pytest.mark.parametrize(
    ("source", "command"),
    [
        (None, "pip install 'fast-style[train,inspect]'"),
        ({"url": "file:///home/my%20x/fs", "dir_info": {}}, "pip install '/home/my x/fs[train,inspect]'"),
        (
            {"url": "file:///tmp/fast_style-0.1.0-py3-none-any.whl", "archive_info": {"hash": "sha256=0"}},
            "pip install '/tmp/fast_style-0.1.0-py3-none-any.whl[train,inspect]'",
        ),
        (
            {"url": "https://example.org/fast_style-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install 'fast-style[train,inspect] @ https://example.org/fast_style-0.1.0-py3-none-any.whl'",
        ),
        (
            {"url": "https://example.org/fs.git", "vcs_info": {"vcs": "git", "commit_id": "5f"}},
            "pip install 'fast-style[train,inspect] @ git+https://example.org/fs.git@5f'",
        ),
        (
            {
                "url": "file:///srv/fs.git",
                "vcs_info": {"vcs": "git", "commit_id": "5f", "requested_revision": "main"},
            },
            "pip install 'fast-style[train,inspect] @ git+file:///srv/fs.git@5f'",
        ),
    ],
)
def test_extras_are_installed_from_where_fast_style_came_from(
    source: dict[str, Any] | None, command: str, record: Callable[..., None]
) -> None:
    record(source)
    assert install_command("train", "inspect") == command


def test_extras_are_added_with_uv_to_what_uv_installed(record: Callable[..., None]) -> None:
    record({"url": "file:///home/x/fs", "dir_info": {}}, installer="uv")
    assert install_command("video") == "uv pip install '/home/x/fs[video]'"
    assert reinstall_command("av") == "uv pip install --reinstall av"


@pytest.mark.parametrize(
    ("note", "pip", "again"),
    [
        ("uv-receipt.toml", "uv pip install --python {prefix}", "--reinstall"),
        ("pipx_metadata.json", "pipx runpip fast-style install", "--force-reinstall"),
    ],
)
def test_extras_are_added_to_a_tools_environment(
    note: str, pip: str, again: str, record: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / note).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    record({"url": "file:///home/x/fs", "dir_info": {}}, installer="uv")
    assert install_command("large") == f"{pip.format(prefix=tmp_path)} '/home/x/fs[large]'"
    assert reinstall_command("av") == f"{pip.format(prefix=tmp_path)} {again} av"


def test_the_extra_for_windows_is_installed_only_with_the_opencv_that_opens_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert is_installed("webcam")
    assert windows_command() == reinstall_command(OPENCV_WITH_WINDOWS)  # the other build was written over it
    monkeypatch.setattr(
        "importlib.metadata.distributions",
        lambda name: [] if name == OPENCV_WITH_WINDOWS else distributions(name=name),
    )
    assert is_installed("video")
    assert not is_installed("webcam")
    assert windows_command() == install_command("webcam")


def test_a_webcam_whose_opencv_opens_no_windows_says_what_to_install(place: Path) -> None:
    (place / "cv2.py").write_text("def currentUIFramework():\n    return ''\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)]), "WAYLAND_DISPLAY": "any"}
    command = [sys.executable, "-m", "fast_style", "webcam", "-s", "udnie"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
    expected = f"error: the OpenCV that is installed opens no windows: {windows_command()}\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_clone_that_is_not_installed_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.distributions", lambda name: [])
    assert install_command("video") == f"pip install -e {shlex.quote(f'{ROOT}[video]')}"


def test_no_hint_installs_from_the_package_index_whatever_the_installation() -> None:
    text = {path: path.read_text(encoding="utf-8") for path in (ROOT / "fast_style").rglob("*.[pj][ys]")}
    assert [path.name for path, content in text.items() if "fast-style[" in content] == []
