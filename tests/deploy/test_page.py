"""The page, in a real Chromium with its fake camera."""

from __future__ import annotations

import base64
import io
import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import WebError
from fast_style.images import Pixels
from fast_style.web import RUNTIME_VERSION, serve_page, write_page
from fast_style.web.page import RUNTIME_FILES

RUNTIME = Path(__file__).parent / "node_modules/onnxruntime-web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def empty_runtime(tmp_path: Path) -> Path:
    """Files of the right names, for tests that open no browser."""
    place = tmp_path / "runtime"
    place.mkdir()
    for name in RUNTIME_FILES:
        (place / name).write_text(name)
    return place


def test_web_writes_a_folder_that_holds_all_it_needs(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    assert main(["web", str(model), "-o", str(out), "--runtime", str(empty_runtime)]) == 0
    assert {path.name for path in out.iterdir()} == {
        *("index.html", "style.css", "app.js", "worker.js", "styles.json", "styles", "runtime")
    }
    assert {path.name for path in (out / "runtime").iterdir()} == set(RUNTIME_FILES)
    assert json.loads((out / "styles.json").read_text())[0]["file"] == "styles/small.onnx"
    assert (out / "styles/small.onnx").read_bytes() == model.read_bytes()


def test_web_refuses_a_style_that_the_page_cannot_feed(
    pixels_model: Path, empty_runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page"
    assert main(["web", str(pixels_model), "-o", str(out), "--runtime", str(empty_runtime)]) == 2
    assert "is no float graph for pictures of any size" in capsys.readouterr().err
    assert not out.exists()


def test_web_replaces_only_its_own_folders_and_only_when_forced(
    model: Path, empty_runtime: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    command = ["web", str(model), "--runtime", str(empty_runtime), "-o"]
    assert main([*command, str(mine), "--force"]) == 2
    assert "is no page of fast-style" in capsys.readouterr().err
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    out = tmp_path / "page"
    assert [main([*command, str(out)]), main([*command, str(out)]), main([*command, str(out), "--force"])] == [0, 2, 0]


def test_web_without_npm_names_the_remedy_and_leaves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WebError, match="npm is not installed") as caught:
        write_page([model], tmp_path / "page")
    assert "--runtime FOLDER" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_web_refuses_another_version_of_the_runtime(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    (empty_runtime / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.2.3"}')
    with pytest.raises(WebError, match=rf"holds onnxruntime-web 1.2.3; the page is made for {RUNTIME_VERSION}"):
        write_page([model], tmp_path / "page", runtime=empty_runtime)


def test_web_names_the_files_that_a_runtime_folder_lacks(model: Path, empty_runtime: Path, tmp_path: Path) -> None:
    (empty_runtime / RUNTIME_FILES[0]).unlink()
    with pytest.raises(WebError, match=f"lacks {RUNTIME_FILES[0]} of"):
        write_page([model], tmp_path / "page", runtime=empty_runtime)


def test_serving_no_page_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "-o", str(tmp_path), "--serve"]) == 2
    assert "is no page of fast-style" in capsys.readouterr().err


@pytest.fixture(scope="module")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page is served."""
    if not RUNTIME.is_dir():
        pytest.skip("needs 'npm install' in tests/deploy")
    page = write_page([model], tmp_path_factory.mktemp("web") / "page", runtime=RUNTIME)
    with serve_page(page, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_server_sends_what_threads_and_modules_need(address: str) -> None:
    for name, kind in (
        ("", "text/html"),
        ("worker.js", "text/javascript"),
        ("runtime/ort.wasm.min.mjs", "text/javascript"),
    ):
        with urllib.request.urlopen(address + name) as answer:
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
            assert answer.headers.get_content_type() == kind


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, loaded, in a window that may use the camera; anything it logs as an error fails the test."""
    context = browser.new_context(permissions=["camera"])
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    addresses: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: addresses.append(f"{request.method} {request.url}"))
    page.goto(address)
    wait_for(page, "#status", "Ready.")
    yield page
    context.close()
    assert errors == []
    assert all(line.startswith((f"GET {address}", "GET blob:", "GET data:")) for line in addresses)


def wait_for(page: Any, selector: str, text: str) -> None:
    page.locator(selector).filter(has_text=text).wait_for()


def shown(page: Any) -> Pixels:
    data = page.evaluate("document.getElementById('canvas').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))


def choose(page: Any, frame: Pixels, folder: Path) -> Path:
    path = folder / "photo.png"
    Image.fromarray(frame).save(path)
    page.set_input_files("#file", path)
    wait_for(page, "#status", "Done.")
    return path


def test_photo_is_painted_as_by_the_python_runtime(
    page: Any, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    stylizer = Stylizer(model)
    for frame in frames:
        choose(page, frame, tmp_path)
        page.locator(f"#canvas[aria-label*='{frame.shape[1]} by {frame.shape[0]} pixels']").wait_for()
        assert np.abs(shown(page).astype(int) - stylizer.frame(frame).astype(int)).max() <= 1


def test_blend_and_colours_are_those_of_the_python_runtime(
    page: Any, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    path = choose(page, frames[0], tmp_path)
    page.check("#colors")
    page.locator("#blend").fill("40")
    expected = np.asarray(Stylizer(model)(path, blend=0.4, keep_colors=True)).astype(int)
    for _ in range(100):
        if np.abs(shown(page).astype(int) - expected).max() <= 1:
            break
        page.wait_for_timeout(100)
    assert np.abs(shown(page).astype(int) - expected).max() <= 1


def test_saved_picture_is_the_one_shown(page: Any, frames: list[Pixels], tmp_path: Path) -> None:
    choose(page, frames[0], tmp_path)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "photo-small.png"
    np.testing.assert_array_equal(np.asarray(Image.open(download.value.path()).convert("RGB")), shown(page))


def test_camera_is_painted_recorded_and_stopped(page: Any) -> None:
    page.select_option("#size", "160")
    page.locator("#camera").focus()
    page.keyboard.press("Enter")
    wait_for(page, "#speed", "frames a second, 160×120")
    assert shown(page).std() > 5
    page.click("#record")
    page.wait_for_timeout(1500)
    with page.expect_download() as download:
        page.click("#record")
    assert download.value.suggested_filename in {"camera-small.webm", "camera-small.mp4"}
    assert Path(download.value.path()).stat().st_size > 1000
    page.click("#camera")
    wait_for(page, "#camera", "Start the camera")


def test_a_file_that_is_no_picture_is_said_to_be_none(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    page.set_input_files("#file", path)
    wait_for(page, "#status", "notes.txt is not a picture that this browser can read")


def test_a_refused_camera_says_what_to_do(browser: Any, address: str) -> None:
    context = browser.new_context(permissions=[])
    page = context.new_page()
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); };"
    )
    page.goto(address)
    wait_for(page, "#status", "Ready.")
    page.click("#camera")
    wait_for(page, "#status", "The camera was not allowed. Allow it")
    context.close()


def test_a_browser_without_webassembly_gets_a_clear_message(browser: Any, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.WebAssembly;")
    page.goto(address)
    wait_for(page, "#unsupported", "too old for this page: it lacks WebAssembly")
    assert not page.locator("#controls").is_visible()
    context.close()


def test_page_fits_a_phone_and_every_control_has_a_name(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    unnamed = page.locator("#controls :is(button, input, select)").evaluate_all(
        "all => all.filter(e => !(e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map(e => e.id)"
    )
    assert unnamed == []
