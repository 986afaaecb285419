"""The page, in a real Chromium with its fake camera."""

import base64
import io
import re
import tarfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import FileError, InputError, WebError
from fast_style.images import Pixels, to_uint8
from fast_style.model.checksum import read_checked
from fast_style.model.passes import COARSEST_KEY, STRENGTH_KEY
from fast_style.model.table import give_styles, read_sets, with_metadata
from fast_style.styles.catalog import find_style
from fast_style.web import serve_page, write_page
from tests.browser import CHROMIUM, FAKE_CAMERA, FLAGS, SOFTWARE_GPU

RUNTIME = Path(__file__).parent / "node_modules/onnxruntime-web"
PATIENCE = 180_000  # ms; a browser on a busy machine takes its time


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


def test_the_current_folder_is_refused_before_anything_is_done(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (".", tmp_path):
        with pytest.raises(InputError, match="is the current folder"):
            write_page([model], out, runtime="nowhere")


def test_a_page_that_cannot_be_replaced_stays(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fast_style.web.page._place_runtime", lambda *_: None)
    page = write_page([model], tmp_path / "page")
    (page / "mine.txt").write_text("old")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "page" and path != page:
            raise OSError("the disk is gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(FileError, match="page: the disk is gone"):
        write_page([model], page, force=True)
    assert (page / "mine.txt").read_text() == "old"


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
def launch() -> Iterator[Callable[..., Any]]:
    """Start a Chromium with more flags."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        yield lambda *flags: driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags], timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Any]) -> Iterator[Any]:
    browser = launch(FAKE_CAMERA)
    yield browser
    browser.close()


def open_page(browser: Any, **context: Any) -> Any:
    """An empty page in a context of its own."""
    page = browser.new_context(**context).new_page()
    page.set_default_timeout(PATIENCE)
    return page


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, loaded, in a window that may use the camera; anything it logs as an error fails the test."""
    page = open_page(browser, permissions=["camera"])
    errors: list[str] = []
    addresses: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: addresses.append(f"{request.method} {request.url}"))
    page.goto(address)
    wait_for(page, "#status", "Ready.")
    yield page
    page.context.close()
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


@pytest.mark.parametrize("ground", ["none", "rings"])
def test_photo_is_painted_in_the_passes_of_the_python_runtime(
    ground: str, browser: Any, tmp_path: Path, load: Callable[..., Any]
) -> None:
    if not RUNTIME.is_dir():
        pytest.skip("needs 'npm install' in tests/deploy")
    path = tmp_path / "style.onnx"
    assert main(["export", "udnie-tiny", "-o", str(path), "--ground", ground]) == 0
    style, frame = Stylizer(path), to_uint8(load("coffee", (330, 221)).numpy())
    assert bool(style.network.ground.palette) == (ground == "rings")
    with serve_page(write_page([path], tmp_path / "page", runtime=RUNTIME), port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = open_page(browser)
        page.goto(f"http://localhost:{server.server_address[1]}/")
        wait_for(page, "#status", "Ready.")
        choose(page, frame, tmp_path)

        def differ(passes: int | None) -> float:
            """The share of values that are more than a level apart, once the page has painted that often.

            Between two passes pictures are rounded, here and there to the other side, and the network magnifies that.
            """
            expected, share = np.asarray(style(frame, passes=passes)).astype(int), 1.0
            for _ in range(PATIENCE // 100):
                share = float((np.abs(shown(page) - expected) > 1).mean())
                if share < 1e-2:
                    break
                page.wait_for_timeout(100)
            return share

        assert differ(None) < 1e-2
        for passes in (1, 3, 4):
            page.locator("#passes").fill(str(passes))
            assert differ(passes) < 1e-2
        page.context.close()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def six_channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A style of three convolutions, of which WebGPU gets the second wrong; a browser's software runs it in seconds."""
    random = np.random.default_rng(0)
    nodes, weights, features = [], [], "image"
    for number, (channels, out) in enumerate(((3, 6), (6, 12), (12, 3))):
        values = random.normal(0, 0.2, (out, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"weight{number}"))
        result = f"features{number}"
        nodes.append(helper.make_node("Conv", [features, f"weight{number}"], [result], pads=[1, 1, 1, 1]))
        features = result
    nodes.append(helper.make_node("Sigmoid", [features], ["stylized"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, "h", "w"]) for name in ("image", "stylized")
    ]
    graph = helper.make_graph(nodes, "style", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"producer": "fast-style"})
    path = tmp_path_factory.mktemp("six") / "six.onnx"
    onnx.save(model, path)
    return path


@contextmanager
def on_a_gpu(browser: Any, folder: Path, script: str) -> Iterator[Any]:
    """A page whose worker runs a script first, which says what GPU there is."""
    page = open_page(browser)

    def prepend(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=f"{script}\n{response.text()}")

    page.route("**/worker.js", prepend)
    with serve_page(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page.goto(f"http://localhost:{server.server_address[1]}/")
        wait_for(page, "#status", "Ready.")
        yield page
        page.context.close()
        server.shutdown()
        thread.join()


# A GPU that a driver lists and cannot use, and a GPU made of a browser's software.
BROKEN = "Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => ({}) } });"
REAL = "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', { value: false });"


@pytest.fixture(scope="module")
def gpu_browser(launch: Callable[..., Any], address: str) -> Iterator[Any]:
    """A Chromium with a WebGPU made of software."""
    browser = launch(*SOFTWARE_GPU)
    page = open_page(browser)
    page.goto(address)
    has_adapter = page.evaluate("navigator.gpu?.requestAdapter().then((adapter) => adapter !== null) ?? false")
    page.context.close()
    if not has_adapter:
        pytest.skip("this Chromium has no WebGPU")
    yield browser
    browser.close()


@pytest.mark.parametrize(
    ("script", "changed", "device"),
    [
        (REAL, False, "WebGPU"),
        (REAL, True, "since WebGPU failed"),  # by painting another picture
        ("", False, "WebAssembly"),  # many times as fast as WebGPU in software
    ],
)
def test_webgpu_paints_as_the_python_runtime_or_gives_way(
    script: str,
    changed: bool,
    device: str,
    gpu_browser: Any,
    six_channels: Path,
    frames: list[Pixels],
    tmp_path: Path,
) -> None:
    folder = write_page([six_channels], tmp_path / "page", runtime=RUNTIME)
    if changed:
        (folder / "styles/six.onnx").write_bytes(six_channels.read_bytes())
    with on_a_gpu(gpu_browser, folder, script) as page:
        choose(page, frames[0], tmp_path)
        assert device in page.inner_text("#device")
        assert np.abs(shown(page).astype(int) - Stylizer(six_channels).frame(frames[0])).max() <= 1


@pytest.mark.parametrize("changed", [False, True])
def test_webgpu_is_proved_for_the_passes_after_the_learned_ones(
    changed: bool, gpu_browser: Any, six_channels: Path, load: Callable[..., Any], tmp_path: Path
) -> None:
    style = tmp_path / "six.onnx"
    coarse = onnx.load(six_channels)
    helper.set_model_props(coarse, {"producer": "fast-style", COARSEST_KEY: "16"})
    onnx.save(coarse, style)
    folder = write_page([style], tmp_path / "page", runtime=RUNTIME)
    if changed:  # to what WebGPU gets wrong
        wrong = onnx.load(six_channels)
        wrong.graph.node[0].input[0] = wrong.graph.input[0].name = "painted"
        wrong.graph.node[-1].output[0] = wrong.graph.output[0].name = "restored"
        wrong.graph.input.append(helper.make_tensor_value_info("draft", TensorProto.FLOAT, ["n", 3, "a", "b"]))
        onnx.save(wrong, folder / "restoring.onnx")
    with on_a_gpu(gpu_browser, folder, REAL) as page:
        choose(page, to_uint8(load("coffee", (136, 128)).numpy()), tmp_path)
        assert ("since WebGPU failed" in page.inner_text("#device")) is changed


def test_a_photo_that_fails_does_not_hold_up_the_newest_one(
    browser: Any, address: str, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    slow = "const post = self.postMessage.bind(self);"
    slow += "self.postMessage = (...told) => setTimeout(post, told[0].error ? 2000 : 0, ...told);"
    with on_a_gpu(browser, write_page([model], tmp_path / "page", runtime=RUNTIME), slow) as page:
        Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
        page.set_input_files("#file", tmp_path / "small.png")
        wait_for(page, "#status", "Painting")
        choose(page, frames[0], tmp_path)
        assert np.abs(shown(page).astype(int) - Stylizer(model).frame(frames[0])).max() <= 1


def test_a_gpu_that_fails_gives_way_to_webassembly(
    browser: Any, address: str, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    with on_a_gpu(browser, write_page([model], tmp_path / "page", runtime=RUNTIME), BROKEN) as page:
        assert page.inner_text("#device") == "WebGPU"
        choose(page, frames[0], tmp_path)
        assert re.fullmatch(r"WebAssembly, \d+ threads?, since WebGPU failed", page.inner_text("#device"))
        assert np.abs(shown(page).astype(int) - Stylizer(model).frame(frames[0])).max() <= 1


def test_blend_and_colors_are_those_of_the_python_runtime(
    page: Any, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    path = choose(page, frames[0], tmp_path)
    page.check("#colors")
    page.locator("#blend").fill("40")
    expected = np.asarray(Stylizer(model)(path, blend=0.4, keep_colors=True)).astype(int)
    for _ in range(PATIENCE // 100):
        if np.abs(shown(page).astype(int) - expected).max() <= 1:
            break
        page.wait_for_timeout(100)
    assert np.abs(shown(page).astype(int) - expected).max() <= 1


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two styles, whose own strength is 0.5."""
    path = tmp_path_factory.mktemp("two") / "two.onnx"
    content = read_checked(find_style("great-wave-tiny").path)
    (first,) = read_sets(content).values()
    sets = {"one": first, "other": np.float32(1.3) * first}
    path.write_bytes(with_metadata(give_styles(content, sets), {STRENGTH_KEY: "0.5"}))
    return path


def test_mixtures_and_strengths_are_those_of_the_python_runtime(
    browser: Any, two: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    if not RUNTIME.is_dir():
        pytest.skip("needs 'npm install' in tests/deploy")
    folder = write_page([two, "great-wave-tiny"], tmp_path / "page", runtime=RUNTIME)
    with serve_page(folder, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = open_page(browser)
        page.goto(f"http://localhost:{server.server_address[1]}/")
        wait_for(page, "#status", "Ready.")
        path = choose(page, frames[0], tmp_path)
        stylizer = Stylizer(two)

        def matches(**told: Any) -> bool:
            expected = np.asarray(stylizer(path, **told)).astype(int)
            for _ in range(PATIENCE // 100):
                if np.abs(shown(page).astype(int) - expected).max() <= 1:
                    return True
                page.wait_for_timeout(100)
            return False

        assert matches()
        page.get_by_label("other").fill("50")
        page.get_by_label("one").fill("50")
        assert matches(styles={"one": 1, "other": 1})
        page.locator("#strength").fill("10")
        wait_for(page, "#strength-value", "2.00")
        assert matches(styles={"one": 1, "other": 1}, strength=2.0)
        page.locator("#style").select_option(index=1)
        page.locator("#mixture").wait_for(state="hidden")
        wait_for(page, "#status", "Done.")
        page.context.close()
        server.shutdown()
        thread.join()


def test_a_mixture_and_a_file_of_an_odd_name_are_painted_and_saved(
    browser: Any, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    if not RUNTIME.is_dir():
        pytest.skip("needs 'npm install' in tests/deploy")
    odd = tmp_path / "100%?.onnx"
    odd.write_bytes(model.read_bytes())
    styles: list[str | Path] = ["ten#udnie", "starry-night:0.5,udnie:0.5", odd]
    with serve_page(write_page(styles, tmp_path / "page", runtime=RUNTIME), port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = open_page(browser)
        page.goto(f"http://localhost:{server.server_address[1]}/")
        wait_for(page, "#status", "Ready.")
        saved = []
        for number, style in enumerate(styles):
            page.locator("#style").select_option(index=number)
            path = choose(page, frames[0], tmp_path)
            expected = np.asarray(Stylizer(style)(path)).astype(int)
            assert np.abs(shown(page) - expected).max() <= 1
            assert page.locator("#mixture").is_hidden()
            with page.expect_download() as download:
                page.click("#save")
            saved.append(download.value.suggested_filename)
        assert saved == ["photo-udnie.png", "photo-starry-night+udnie.png", "photo-100%_.png"]  # no file is called "?"
        page.context.close()
        server.shutdown()
        thread.join()


def test_saved_picture_is_the_one_shown(page: Any, frames: list[Pixels], tmp_path: Path) -> None:
    choose(page, frames[0], tmp_path)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "photo-small.png"
    np.testing.assert_array_equal(np.asarray(Image.open(download.value.path()).convert("RGB")), shown(page))


def saved_as(page: Any) -> str:
    with page.expect_download() as download:
        page.click("#save")
    return str(download.value.suggested_filename)


def test_a_saved_picture_is_named_after_what_is_painted(
    browser: Any, address: str, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    with on_a_gpu(browser, write_page([model, "udnie-tiny"], tmp_path / "page", runtime=RUNTIME), "") as page:
        page.context.grant_permissions(["camera"])
        choose(page, frames[0], tmp_path)
        Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
        page.set_input_files("#file", tmp_path / "tiny.png")
        wait_for(page, "#status", "could not be painted")
        assert saved_as(page) == "photo-small.png"
        choose(page, frames[0], tmp_path)
        change = "(style) => { style.selectedIndex = 1; style.dispatchEvent(new Event('change')); save.click(); }"
        with page.expect_download() as download:
            page.locator("#style").evaluate(change)
        assert download.value.suggested_filename == "photo-small.png"
        page.locator("#canvas[aria-label^='photo painted as Udnie']").wait_for()
        assert saved_as(page) == "photo-udnie-tiny.png"
        page.select_option("#size", "160")
        page.click("#camera")
        wait_for(page, "#speed", "frames a second")
        page.click("#camera")
        wait_for(page, "#status", "The camera is off.")
        assert saved_as(page) == "camera-udnie-tiny.png"


# The camera, or its first picture, comes when the test allows it.
HOLD = """(name) => {
    const owner = name === "play" ? HTMLMediaElement.prototype : navigator.mediaDevices, real = owner[name];
    owner[name] = async function (...given) {
        await new Promise((resolve) => { window.allow = resolve; });
        return real.apply(this, given);
    };
}"""


@pytest.mark.parametrize("step", ["getUserMedia", "play"])
def test_a_photo_chosen_while_the_camera_starts_takes_its_place(
    step: str, page: Any, frames: list[Pixels], tmp_path: Path
) -> None:
    page.evaluate(HOLD, step)
    page.click("#camera")
    while not page.evaluate("Boolean(window.allow)"):
        page.wait_for_timeout(20)
    choose(page, frames[0], tmp_path)
    page.evaluate("allow()")
    page.wait_for_timeout(1000)
    assert page.inner_text("#camera") == "Start the camera"
    assert page.locator("#record").is_disabled()
    assert "ms, 128×96" in page.inner_text("#speed")
    assert saved_as(page) == "photo-small.png"
    assert not page.evaluate("video.srcObject?.active ?? false")


def test_the_newest_photo_is_shown_however_long_an_older_one_takes_to_decode(
    page: Any, model: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    slow = """() => {
        const decode = createImageBitmap;
        window.createImageBitmap = async (file) => {
            if (file.name !== "photo.png") await new Promise((resolve) => { (window.allow ??= []).push(resolve); });
            return decode(file);
        };
    }"""
    page.evaluate(slow)
    Image.fromarray(frames[1]).save(tmp_path / "older.png")
    (tmp_path / "notes.png").write_text("no picture")
    for name in ("older.png", "notes.png"):
        page.set_input_files("#file", tmp_path / name)
    choose(page, frames[0], tmp_path)
    page.evaluate("allow.forEach((one) => one())")
    page.wait_for_timeout(1000)
    assert page.inner_text("#status") == "Done."
    assert np.abs(shown(page).astype(int) - Stylizer(model).frame(frames[0])).max() <= 1


# A camera whose picture is a disc, and which can be turned.
TURNED = """() => {
    const disc = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const brush = disc.getContext("2d");
    setInterval(() => {
        brush.fillStyle = "white";
        brush.fillRect(0, 0, disc.width, disc.height);
        brush.fillStyle = "black";
        brush.arc(disc.width / 2, disc.height / 2, 100, 0, 7);
        brush.fill();
    }, 50);
    navigator.mediaDevices.getUserMedia = async () => disc.captureStream();
    window.turn = () => { [disc.width, disc.height] = [disc.height, disc.width]; };
}"""


def test_a_camera_that_is_turned_keeps_its_proportions(page: Any) -> None:
    page.evaluate(TURNED)
    page.locator("#blend").fill("0")
    page.click("#camera")
    wait_for(page, "#speed", "320×240")
    page.evaluate("turn()")
    wait_for(page, "#speed", "240×320")
    page.wait_for_timeout(500)
    rows, columns = np.nonzero(shown(page).mean(axis=2) < 128)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 2


def test_controls_begin_anew_when_the_page_is_loaded_again(page: Any) -> None:
    names = ["blend", "blend-value", "passes", "passes-value"]
    values = f"{names}.map((name) => document.getElementById(name).value)"
    began = page.evaluate(values)
    page.locator("#blend").fill("40")
    page.locator("#passes").fill("3")
    page.goto("about:blank")
    page.go_back()
    wait_for(page, "#status", "Ready.")
    assert page.evaluate(values) == began


def test_the_policy_of_the_page_lets_no_form_be_sent(browser: Any, address: str) -> None:
    page = open_page(browser)
    page.goto(address)
    wait_for(page, "#status", "Ready.")
    submit = """() => new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        const form = Object.assign(document.createElement("form"), { method: "post", action: "http://127.0.0.1:9/" });
        document.body.append(form);
        form.submit();
    })"""
    assert page.evaluate(submit) == "form-action"
    page.context.close()


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


def drag(page: Any, kind: str, place: tuple[int, int], **data: Any) -> None:
    """Have the browser itself drag something over the page, as from a file manager."""
    session = page.context.new_cdp_session(page)
    full = {"items": [], "files": [], "dragOperationsMask": 1, **data}
    session.send("Input.dispatchDragEvent", {"type": kind, "x": place[0], "y": place[1], "data": full})
    session.detach()


def test_a_file_dropped_from_outside_is_painted(page: Any, model: Path, frames: list[Pixels], tmp_path: Path) -> None:
    path = tmp_path / "dropped.png"
    Image.fromarray(frames[0]).save(path)
    for kind in ("dragEnter", "dragOver"):
        drag(page, kind, (300, 200), files=[str(path)])
    page.locator("#stage.over").wait_for()
    drag(page, "drop", (300, 200), files=[str(path)])
    wait_for(page, "#status", "Done.")
    assert page.locator("#stage.over").count() == 0
    assert (page.locator("#canvas").get_attribute("aria-label") or "").startswith("dropped painted as small")
    expected = Stylizer(model).frame(frames[0])
    assert np.abs(shown(page).astype(int) - expected.astype(int)).max() <= 1


def test_what_is_dropped_but_no_picture_is_said_to_be_none(page: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    for data, message in (
        ({"files": [str(path)]}, "notes.txt is not a picture"),
        ({"items": [{"mimeType": "text/plain", "data": "words"}]}, "That was not a file."),
    ):
        for kind in ("dragEnter", "dragOver", "drop"):
            drag(page, kind, (300, 200), **data)
        wait_for(page, "#status", message)
    assert page.url.startswith("http")  # the browser did not open the file in the page's place


def test_full_screen_shows_the_whole_picture_and_nothing_else(page: Any, frames: list[Pixels], tmp_path: Path) -> None:
    assert page.locator("#fullscreen").is_disabled()
    choose(page, frames[0], tmp_path)
    page.locator("#fullscreen").focus()
    page.keyboard.press("Enter")
    page.locator("#stage:fullscreen").wait_for()
    # Wider than the picture or not: it fills the screen in one direction and is cut in none.
    box = page.evaluate("(({x, y, width, height}) => [x, y, width, height])(canvas.getBoundingClientRect())")
    assert box == [0, 0, *page.evaluate("[innerWidth, innerHeight]")]
    assert page.locator("#canvas").evaluate("e => getComputedStyle(e).objectFit") == "contain"
    seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    height, width = seen.shape[:2]
    assert seen[:, width // 2].std() > 5
    scale = min(width / frames[0].shape[1], height / frames[0].shape[0])
    bar = round((width - frames[0].shape[1] * scale) / 2)
    assert bar > 2
    assert seen[:, : bar - 1].max() == 0  # black, no controls
    page.evaluate("document.exitFullscreen()")  # Escape is the browser's own, and a page's driver cannot press it
    page.locator("#stage:not(:fullscreen)").wait_for()
    assert page.locator("#controls").is_visible()


def test_the_keyboard_alone_reaches_every_control_and_shows_where_it_is(
    page: Any, frames: list[Pixels], tmp_path: Path
) -> None:
    choose(page, frames[0], tmp_path)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        # The file's own input is invisible; its label stands for it.
        reached.append(
            page.evaluate(
                """() => {
                    const [at, outlined] = [document.activeElement, [...document.querySelectorAll("*")].filter(
                        (e) => e.id !== "file" && getComputedStyle(e).outlineStyle === "solid")];
                    return [at.id, outlined.map((e) => e.id || e.htmlFor)];
                }"""
            )
        )
    names = ["file", "camera", "style", "strength", "passes"]
    names += ["blend", "colors", "size", "quality", "save", "fullscreen"]
    assert reached == [[name, [name]] for name in names]
    page.locator("#blend").focus()
    page.keyboard.press("ArrowLeft")
    wait_for(page, "#blend-value", "99 %")


def test_a_screen_reader_finds_names_roles_and_states(page: Any, frames: list[Pixels], tmp_path: Path) -> None:
    choose(page, frames[0], tmp_path)
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    found: dict[tuple[str, str], dict[str, Any]] = {
        (node["role"]["value"], node.get("name", {}).get("value", "")): {
            item["name"]: item["value"].get("value") for item in node.get("properties", [])
        }
        for node in nodes
        if not node["ignored"]
    }
    for role, name in (
        *[("button", name) for name in ("Choose a photo", "Start the camera", "Save the picture", "Full screen")],
        *[("combobox", name) for name in ("Style", "Long side", "Save as")],
        *[
            ("slider", "Passes"),
            ("slider", "Blend"),
            ("checkbox", "Keep the photo's colors"),
            ("heading", "fast-style"),
        ],
        ("image", "photo painted as small, 128 by 96 pixels"),
    ):
        assert (role, name) in found, (role, name)
    assert found["button", "Record"]["disabled"]
    # One place speaks; the figures, which change with every frame, do not.
    live = [item["value"]["value"] for node in nodes for item in node.get("properties", []) if item["name"] == "live"]
    assert live == ["polite"]


def test_a_refused_camera_says_what_to_do(browser: Any, address: str) -> None:
    page = open_page(browser, permissions=[])  # headless Chromium refuses what was not granted
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/worker.js", hold)
    page.goto(address)
    page.click("#camera")
    wait_for(page, "#status", "The camera was not allowed. Allow it")
    held[0].continue_()
    page.locator("#device:not(:empty)").wait_for()  # the engine is ready, which must not replace what to do
    wait_for(page, "#status.error", "The camera was not allowed. Allow it")
    page.context.close()


def test_a_machine_without_a_camera_says_so(launch: Callable[..., Any], address: str) -> None:
    browser = launch()
    page = open_page(browser, permissions=["camera"])
    page.goto(address)
    page.click("#camera")
    wait_for(page, "#status", "There is no camera. Connect one, or choose a photo.")
    browser.close()


def test_a_browser_without_webassembly_gets_a_clear_message(browser: Any, address: str) -> None:
    page = open_page(browser)
    page.add_init_script("delete globalThis.WebAssembly;")  # V8 has no flag for it any more
    page.goto(address)
    wait_for(page, "#unsupported", "too old for this page: it lacks WebAssembly")
    assert not page.locator("#controls").is_visible()
    page.context.close()


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (1280, 800)])
def test_page_fits_the_window_in_light_and_dark(
    width: int, height: int, page: Any, frames: list[Pixels], tmp_path: Path
) -> None:
    choose(page, frames[2], tmp_path)
    page.set_viewport_size({"width": width, "height": height})
    page.locator("#style").evaluate("e => e.add(new Option('A title ' + 'far too long '.repeat(9)))")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box = page.locator("#canvas").bounding_box()
    assert box["height"] <= 0.81 * height
    assert abs(box["width"] / box["height"] - frames[2].shape[1] / frames[2].shape[0]) < 0.02
    for scheme, dark in (("light", False), ("dark", True)):
        page.emulate_media(color_scheme=scheme)
        corner = Image.open(io.BytesIO(page.screenshot())).convert("L").getpixel((2, 2))
        assert isinstance(corner, int)
        assert (corner < 64) is dark


def test_what_npm_fetches_is_taken_by_name_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "hostile.tgz", "w:gz") as archive:
        for name in ("package/package.json", "../outside", "package/dist/other.js"):
            archive.addfile(tarfile.TarInfo(name))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\ncp {tmp_path}/hostile.tgz .\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    with pytest.raises(WebError, match=r"what npm fetched for onnxruntime-web@.* is damaged"):
        write_page(["udnie-tiny"], tmp_path / "page")
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "hostile.tgz"}
