"""docs/deploy.md: every block runs as it is written, in a folder that holds the files it names."""

import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import Pixels
from tests.conftest import snippets
from tests.deploy.conftest import run
from tests.deploy.test_runtimes import NODE_FOLDER, ROOT
from tests.stylize.test_contract import foreign

PAGE = "docs/deploy.md"
COMMANDS = [line for block in snippets(PAGE, "sh") for line in block.splitlines()]
(PYTHON,), (JAVASCRIPT,), (_, CPP) = (snippets(PAGE, language) for language in ("python", "js", "bash"))


@pytest.fixture
def place(
    checkpoint: Path,
    pixels_model: Path,
    photos: Path,
    frames: list[Pixels],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The current folder, with what the page's commands read."""
    monkeypatch.chdir(tmp_path)
    for name, target in {"NAME.ckpt": checkpoint, "PHOTOS": photos}.items():
        Path(name).symlink_to(target)
    Path("NAME-uint8.onnx").symlink_to(pixels_model)
    Path("examples").symlink_to(ROOT / "examples")
    Image.fromarray(frames[0]).save("photo.jpg")
    Image.open("photo.jpg").save("photo.ppm")
    foreign(Path("candy.onnx"), [1, 3, 224, 224])
    return tmp_path


def assert_painted(place: Path, out: Pixels) -> None:
    """``out`` is what ONNX Runtime makes of photo.jpg with NAME-uint8.onnx, within a level."""
    (expected,) = run(place / "NAME-uint8.onnx", [np.asarray(Image.open(place / "photo.jpg"))[None]])
    assert np.abs(out.astype(int) - expected[0].astype(int)).max() <= 1


def test_each_command_runs(place: Path, model: Path) -> None:
    Path("NAME.onnx").symlink_to(model)
    written = {
        "NAME-int8.onnx": "--precision int8",
        "starry-night-3-passes.onnx": "--passes 3",
        "starry-night-uint8-3-passes.onnx": "--io uint8 --passes 3",
        "NAME-uint8.onnx": "--io uint8",
        "out.png": "stylize",
        "NAME.xml": "ovc",
    }
    Path("NAME-uint8.onnx").unlink()
    # Their own tests run the others.
    lines = [line for line in COMMANDS if "--serve" not in line and not line.startswith("python ")]
    for line, (name, part) in zip(lines, written.items(), strict=True):
        assert part in line
        program, *arguments = shlex.split(line, comments=True)
        if program == "ovc":
            if find_spec("openvino") is not None:
                subprocess.run([program, *arguments], env=environment(), check=True, capture_output=True)
                assert Path(name).is_file()
            continue
        assert program == "fast-style"
        assert main(arguments) == 0, line
        assert Path(name).is_file(), line


def test_python_runs(place: Path) -> None:
    exec(compile(PYTHON, PAGE, "exec"), {})
    assert_painted(place, np.asarray(Image.open("out.png")))


def test_javascript_runs(place: Path) -> None:
    node = shutil.which("node")
    if node is None or not (NODE_FOLDER / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("needs Node.js and 'npm install' in tests/deploy")
    pixels = np.asarray(Image.open("photo.jpg"))
    Path("photo.rgb").write_bytes(pixels.tobytes())
    Path("node_modules").symlink_to(NODE_FOLDER / "node_modules")
    lines = [
        'import { readFileSync, writeFileSync } from "node:fs";',
        'import * as ort from "onnxruntime-web";',
        f'const [height, width, rgb] = [{pixels.shape[0]}, {pixels.shape[1]}, readFileSync("photo.rgb")];',
        JAVASCRIPT,
        'writeFileSync("out.rgb", stylized.data);',
    ]
    Path("snippet.mjs").write_text("\n".join(lines), encoding="utf-8")
    subprocess.run([node, "snippet.mjs"], check=True, timeout=600)
    assert_painted(place, np.frombuffer(Path("out.rgb").read_bytes(), np.uint8).reshape(pixels.shape))


def environment() -> dict[str, str]:
    """With this Python, and its commands, first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def test_cpp_with_openvino_builds_and_runs(place: Path) -> None:
    pytest.importorskip("openvino")
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("cmake or g++ is not installed")
    # Without optimization, which only takes time here.
    variables = {**environment(), "CXXFLAGS": "-O0"}
    subprocess.run(["bash", "-euc", CPP], env=variables, check=True, capture_output=True)
    assert_painted(place, np.asarray(Image.open("out.ppm")))


def test_the_page_is_written_and_served(place: Path) -> None:
    if shutil.which("npm") is None or not (NODE_FOLDER / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("needs 'npm install' in tests/deploy, which also fills npm's cache")
    (line,) = (line for line in COMMANDS if "--serve" in line)
    command = shlex.split(f"{line} --port 0")  # any free one
    process = subprocess.Popen(
        [sys.executable, "-m", "fast_style", *command[1:]],
        env={**environment(), "npm_config_prefer_offline": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(2)]
        if said[0] == "":
            errors = process.communicate(timeout=120)[1]
            if "npm cannot fetch" in errors:
                pytest.skip(f"the registry is out of reach: {errors}")
            pytest.fail(errors)
        assert said[0] == "page"
        with urllib.request.urlopen(said[1] + "styles/starry-night.onnx") as answer:
            assert answer.read() == (ROOT / "checkpoints/starry-night.onnx").read_bytes()
    finally:
        process.terminate()  # not Ctrl-C, to which background jobs of a shell are deaf
        process.communicate(timeout=120)
