"""The examples that need no fast-style: Python, C++, the browser, the service, and the file for phones."""

import ast
import base64
import http.client
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import Pixels
from tests.browser import CHROMIUM, FLAGS, served
from tests.conftest import PHOTOS, snippets
from tests.deploy.conftest import run
from tests.deploy.test_runtimes import NODE_FOLDER, ROOT

EXAMPLES = ROOT / "examples"
SERVICE = EXAMPLES / "service"


@pytest.fixture(scope="module")
def style(checkpoint: Path) -> Path:
    """A file that takes pixels and paints in three passes."""
    assert main(["export", str(checkpoint), "--io", "uint8", "--passes", "3"]) == 0
    return checkpoint.with_name("small-uint8-3-passes.onnx")


@pytest.fixture(scope="module")
def photo() -> Pixels:
    with Image.open(PHOTOS["chelsea"]) as image:
        return np.asarray(image.convert("RGB").resize((130, 97)))


def png(pixels: Pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def distance(picture: Pixels, expected: Pixels) -> int:
    """The largest difference, levels."""
    assert picture.shape == expected.shape
    return int(np.abs(picture.astype(int) - expected.astype(int)).max())


# Python


def test_onnx_runtime_alone_gives_the_same_picture(style: Path, photo: Pixels, tmp_path: Path) -> None:
    out, small = tmp_path / "out.png", tmp_path / "small.png"
    Image.fromarray(photo[:40]).save(small)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    command: list[str | Path] = [sys.executable, EXAMPLES / "onnx_alone.py", style]
    subprocess.run([*command, tmp_path / "photo.png", out], cwd=tmp_path, check=True)
    assert distance(np.asarray(Image.open(out)), run(style, [photo[None]])[0][0]) <= 1
    for given, said in {small: "the photo is too small: 130×40 px for 3 passes", style: "cannot identify"}.items():
        failed = subprocess.run([*command, given, tmp_path / "no.png"], capture_output=True, text=True)
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"error: {said}")
        assert failed.stderr.count("\n") == 1


def test_onnx_alone_needs_nothing_of_ours() -> None:
    assert "fast_style" not in (EXAMPLES / "onnx_alone.py").read_text(encoding="utf-8")


# C++


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder like ONNX Runtime's release archive: Debian's headers, and the library of the Python package."""
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("cmake or g++ is not installed")
    headers = [Path(place, "include/onnxruntime") for place in ("/usr", "/usr/local")]
    folder = next((folder for folder in headers if (folder / "onnxruntime_cxx_api.h").is_file()), None)
    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
    if folder is None:
        pytest.skip("ONNX Runtime's headers are not installed; on Debian 13: libonnxruntime-dev")
    place = tmp_path / "onnxruntime"
    (place / "lib").mkdir(parents=True)
    (place / "include").symlink_to(folder)
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (place / "lib" / name).symlink_to(library)
    return place


def test_cpp_with_onnx_runtime_paints_the_same(
    runtime: Path, style: Path, photo: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(EXAMPLES)
    Path("NAME-uint8.onnx").symlink_to(style)
    Image.fromarray(photo).save("photo.ppm")
    commands, _ = snippets("docs/deploy.md", "bash")
    # Without optimization, which only takes time here.
    subprocess.run(["bash", "-euc", commands], env={**os.environ, "CXXFLAGS": "-O0"}, check=True, capture_output=True)
    assert distance(np.asarray(Image.open("out.ppm")), run(style, [photo[None]])[0][0]) <= 1
    Path("cut.ppm").write_bytes(Path("photo.ppm").read_bytes()[:-1])
    for given, said in {"absent.ppm": "is not an 8-bit binary PPM", "cut.ppm": "is cut short"}.items():
        command = ["build/stylize-onnxruntime", "NAME-uint8.onnx", given, "no.ppm"]
        failed = subprocess.run(command, capture_output=True, text=True)
        assert (failed.returncode, failed.stderr) == (1, f"error: {given} {said}\n")
        assert not Path("no.ppm").exists()


# The browser


@pytest.fixture
def page(style: Path, tmp_path: Path) -> Iterator[Any]:
    """The example in a Chromium, served as it says."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    if not (NODE_FOLDER / "node_modules/onnxruntime-web").is_dir():
        pytest.skip("needs 'npm install' in tests/deploy")
    (tmp_path / "index.html").symlink_to(EXAMPLES / "browser/index.html")
    (tmp_path / "style.onnx").symlink_to(style)
    (tmp_path / "node_modules").symlink_to(NODE_FOLDER / "node_modules")
    with served(tmp_path) as address, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page()
        opened.set_default_timeout(180_000)
        opened.goto(address)
        yield opened
        browser.close()


def test_the_browser_paints_the_same(page: Any, style: Path, photo: Pixels) -> None:
    page.set_input_files("#photo", {"name": "words.png", "mimeType": "image/png", "buffer": b"words"})
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('This photo cannot be painted')")
    page.set_input_files("#photo", {"name": "cat.png", "mimeType": "image/png", "buffer": png(photo)})
    page.wait_for_selector("#save:visible")
    content = base64.b64decode(page.get_attribute("#save", "href").partition(",")[2])
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert distance(picture, run(style, [photo[None]])[0][0]) <= 1


# The service


@pytest.fixture(scope="module")
def service() -> Any:
    """The example's module."""
    pytest.importorskip("uvicorn")
    from examples.service import service

    return service


class Answer:
    """What the service said."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])

    @property
    def picture(self) -> Pixels:
        assert self.headers["Content-Type"] == "image/jpeg", self.body
        return np.asarray(Image.open(io.BytesIO(self.body)))


def ask(port: int, path: str, body: bytes | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Serve an application; give its port."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


class Held:
    """A style that paints until it is told to end, or released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def paint(self, upload: bytes, limits: Any, options: Any) -> bytes:
        while not options.terminate and not self.released.wait(0.01):
            pass
        return b"painted"


def wait_for(port: int, photos: int) -> None:
    """Wait until so many photos are painted or wait."""
    while json.loads(ask(port, "/health").body)["photos"] != photos:
        time.sleep(0.01)


@pytest.fixture
def styles(style: Path, tmp_path: Path) -> Path:
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles/small.onnx").symlink_to(style)
    return tmp_path / "styles"


def test_the_service_paints_and_says_what_it_refuses(service: Any, styles: Path, style: Path, photo: Pixels) -> None:
    limits = service.Limits(upload_bytes=100_000, photo_pixels=20_000)
    with serving(service.make_app(styles, limits)) as port:
        expected = io.BytesIO()
        Image.fromarray(run(style, [photo[None]])[0][0]).save(expected, "JPEG", quality=90)
        assert distance(ask(port, "/stylize/small", png(photo)).picture, np.asarray(Image.open(expected))) <= 8
        assert json.loads(ask(port, "/health").body) == {"styles": ["small"], "photos": 0}
        for path, body, status, said in (
            ("/stylize/other", png(photo), 404, "expected one of the styles small"),
            ("/stylize/small", b"", 415, "expected a JPEG, PNG or WebP"),
            ("/stylize/small", b"no photo", 415, "expected a JPEG, PNG or WebP"),
            ("/stylize/small", png(photo)[:-5000], 415, "expected a JPEG, PNG or WebP"),
            ("/stylize/small", bytes(100_001), 413, "expected at most 100,000 bytes"),
            ("/stylize/small", png(np.zeros((101, 200, 3), np.uint8)), 413, "expected a photo of at most 20,000 px"),
            ("/stylize/small", png(photo[:63]), 422, "expected a photo of at least 64 px a side"),
            # Refused by its header: after it, this file is cut off.
            (
                "/stylize/small",
                png(np.zeros((10, 1500, 3), np.uint8))[:60],
                422,
                "expected a photo of at least 64 px a side",
            ),
        ):
            answer = ask(port, path, body)
            assert (answer.status, answer.error) == (status, said)
        assert ask(port, "/stylize/small", png(photo)).status == 200


def test_the_service_shrinks_and_turns_photos(service: Any, styles: Path, photo: Pixels) -> None:
    turned, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise makes it upright
    Image.fromarray(photo).save(turned, "JPEG", exif=exif)
    with serving(service.make_app(styles, service.Limits(long_side=100))) as port:
        assert ask(port, "/stylize/small", turned.getvalue()).picture.shape == (100, 75, 3)


def test_photos_beyond_the_queue_are_refused_and_those_in_it_are_painted(service: Any) -> None:
    held = Held()
    app = service.Service({"held": held}, service.Limits(workers=1, waiting=1)).app()
    with serving(app) as port, ThreadPoolExecutor() as clients:
        first = clients.submit(ask, port, "/stylize/held", b"photo")
        wait_for(port, 1)
        second = clients.submit(ask, port, "/stylize/held", b"photo")
        wait_for(port, 2)
        third = ask(port, "/stylize/held", b"photo")
        assert (third.status, third.headers["Retry-After"]) == (503, "5")
        held.released.set()
        assert [answer.result().body for answer in (first, second)] == [b"painted", b"painted"]
        assert ask(port, "/stylize/held", b"photo").status == 200


def test_a_photo_that_takes_too_long_makes_room_for_the_next(service: Any) -> None:
    held = Held()
    with serving(service.Service({"held": held}, service.Limits(waiting=0, seconds=0.05)).app()) as port:
        late = ask(port, "/stylize/held", b"photo")
        assert (late.status, late.error) == (503, "the photo took too long")
        wait_for(port, 0)


def test_a_photo_whose_client_has_gone_is_not_painted_on(service: Any) -> None:
    with serving(service.Service({"held": Held()}, service.Limits()).app()) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /stylize/held HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nphoto")
            wait_for(port, 1)
        wait_for(port, 0)


def test_a_client_that_leaves_while_it_uploads_is_not_an_error_of_the_service(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(service.Service({"held": Held()}, service.Limits()).app()) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /stylize/held HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\np")
            ask(port, "/health")
        ask(port, "/health")
    assert capsys.readouterr().err == ""


def test_a_run_of_onnx_runtime_can_be_ended(service: Any, style: Path, photo: Pixels) -> None:
    options = onnxruntime.RunOptions()
    options.terminate = True
    with pytest.raises(Exception, match="terminate"):
        service.Style.open(style).paint(png(photo), service.Limits(), options)


def test_a_slow_upload_is_refused(service: Any) -> None:
    app = service.Service({"held": Held()}, service.Limits(upload_seconds=0.05)).app()
    with serving(app) as port, socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"POST /stylize/held HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\np")
        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("name", ["nothing", "float.onnx"])
def test_the_service_does_not_start_without_a_style_that_takes_pixels(
    service: Any, model: Path, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).symlink_to(model)
    with pytest.raises(SystemExit, match=r"error: no ONNX file in|does not take pixels; export it with --io uint8"):
        service.make_app(tmp_path)


def test_the_service_needs_what_its_requirements_list() -> None:
    imported = set()
    for node in ast.walk(ast.parse((SERVICE / "service.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            imported |= {name.partition(".")[0] for name in names}
    needed = {name.replace("PIL", "pillow") for name in imported - sys.stdlib_module_names}
    listed = re.findall(r"^[\w-]+", (SERVICE / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted({*needed, "uvicorn"}) == listed


def test_the_image_holds_what_its_command_needs(service: Any, style: Path, photo: Pixels, tmp_path: Path) -> None:
    lines = (SERVICE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    found = {kind: [line[len(kind) + 1 :] for line in lines if line.startswith(kind)] for kind in ("COPY", "CMD")}
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles/small.onnx").symlink_to(style)
    for source, _ in map(str.split, found["COPY"]):
        if source != "styles":
            shutil.copy(SERVICE / source, tmp_path)
    program, *arguments = json.loads(found["CMD"][0])
    assert program == "uvicorn"
    command = [sys.executable, "-m", "uvicorn", *arguments]
    command[command.index("--host") + 1], command[command.index("--port") + 1] = "127.0.0.1", "0"  # any that is free
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said: list[str] = []
        while not (address := re.search(r"http://127\.0\.0\.1:(\d+)", said[-1] if said else "")):
            said.append(process.stderr.readline())
            assert said[-1], said
        port = int(address[1])
        assert ask(port, "/stylize/small", png(photo)).picture.shape == photo.shape
        (check,) = (line for line in lines if line.startswith("HEALTHCHECK"))
        *_, code = json.loads(check.partition("CMD ")[2])
        exec(code.replace("8000", str(port)), {})
    finally:
        process.terminate()
        process.communicate(timeout=60)


# Phones


def operators(config: Path) -> set[tuple[str, str]]:
    """Operators of a reduced build, each with domain and version."""
    lines = [line for line in config.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {
        (f"{domain};{version}", name)
        for line in lines
        for domain, version, names in [line.split(";")]
        for name in names.split(",")
    }


def test_the_operators_of_shipped_styles_are_listed_for_phones(style: Path, photo: Pixels, tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    shipped = ROOT / "checkpoints"
    converted = [style, *(shipped / f"{name}.onnx" for name in ("udnie-tiny", "ten"))]
    for path in converted:
        shutil.copy(path, tmp_path)
    for ground in ("flow", "panes", "rings"):
        command = ["export", str(shipped / "udnie-tiny.onnx"), "-o", str(tmp_path / f"{ground}.onnx")]
        assert main([*command, "--passes", "3", "--ground", ground]) == 0
    (line,) = (line for block in snippets("docs/deploy.md", "sh") for line in block.splitlines() if "_to_ort" in line)
    program, *arguments = shlex.split(line)
    assert program == "python"
    arguments[arguments.index("NAME-uint8.onnx")] = "."
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True)
    listed = operators(EXAMPLES / "mobile/required_operators.config")
    assert operators(tmp_path / "required_operators.config") <= listed
    ort = style.with_suffix(".ort").name
    assert distance(run(tmp_path / ort, [photo[None]])[0][0], run(style, [photo[None]])[0][0]) <= 1
    # The others have the same operators before the conversion, so after it, too.
    kinds = {path.name: {node.op_type for node in onnx.load(path).graph.node} for path in shipped.glob("*.onnx")}
    known = set().union(*(kinds[path.name] for path in converted[1:]))
    assert {name: kinds[name] - known for name in kinds if kinds[name] - known} == {}
