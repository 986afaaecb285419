"""The page in a real Chromium: from the first click to the downloaded file, with a real training."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.web.page import RUNTIME_FILES
from tests.browser import CHROMIUM, FAKE_CAMERA, FLAGS
from tests.conftest import PAINTING, PHOTOS
from tests.studio.conftest import STAND_IN, Client, wait_for

AXE = Path(__file__).parents[1] / "deploy" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 600_000  # ms; a browser on a busy machine takes its time
# As small as a training gets. Crops so small hold too few cells for the penalty of the lattice.
RECIPE = """
size = 64
style_size = 64
batch = 1
vgg = "{vgg}"
"""
# The command, with a stand-in for its trainings.
PLAYED = """
import sys
from fast_style.studio import server
server.open_studio.__kwdefaults__["program"] = (sys.executable, sys.argv.pop(1))
from fast_style.cli import run
run()
"""
# What a screen reader would call each control; empty for one that it could not name.
NAMES = """() => [...document.querySelectorAll("button, input, select, a, summary, progress, video, img, canvas")]
    .filter((one) => one.checkVisibility())
    .map((one) => [one.outerHTML.slice(0, 120), (one.ariaLabel ?? "") + (one.alt ?? "")
        + [...(one.labels ?? [])].map((label) => label.textContent).join(" ") + one.textContent])
    .filter(([, name]) => !name.trim())"""


class Server:
    """``fast-style studio`` in a process of its own, which can be killed and started again."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.start("0")

    def start(self, port: str) -> None:
        arguments = [sys.executable, *self.command, "--port", port]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.port = self.address.split(":")[2].partition("/")[0]

    def end(self, number: int) -> None:
        if number == signal.SIGINT:  # from a terminal, it reaches what the server runs for the moment, too
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.communicate()

    @property
    def client(self) -> Client:
        return Client(int(self.port), self.address.partition("token=")[2])


@pytest.fixture
def server(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    home: Path,
    narrow_file: Path,
    style_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    """The command, with real trainings or, if the parameter is ``played``, with those of the stand-in."""
    recipe, runtime = tmp_path / "recipe.toml", tmp_path / "runtime"
    recipe.write_text(RECIPE.format(vgg=narrow_file))
    runtime.mkdir()
    for name in RUNTIME_FILES:
        (runtime / name).write_bytes(b"")
    options = ["studio", "--no-open", "--folder", str(tmp_path / "studio"), "--photos", str(home)]
    options += ["--config", str(recipe), "--runtime", str(runtime)]
    monkeypatch.setenv("MODEL", str(style_file))
    monkeypatch.setenv("MOMENT", "0.3")
    played = ["-c", PLAYED, str(STAND_IN)] if getattr(request, "param", None) else ["-m", "fast_style"]
    server = Server(*played, *options)
    yield server
    for run in server.client.get("/api/state")["runs"]:
        if run["running"]:
            server.client.post(f"/api/runs/{run['name']}/pause")
            server.client.wait(run["name"], "paused")
    server.end(signal.SIGINT)
    assert server.process.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, FAKE_CAMERA], timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page, opened by the address that was printed; what it logs as an error fails the test."""
    page = browser.new_context(permissions=["camera"]).new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.goto(server.address)
    yield page
    page.context.close()
    refused = "Failed to load resource"  # Chromium's line for each refusal and for the killed server
    assert [error for error in errors if not error.startswith(refused)] == []


def reads(page: Any, selector: str, text: str) -> None:
    page.locator(selector).filter(has_text=text).wait_for()


def well_made(page: Any) -> None:
    """Every control has a name, axe finds no serious fault, and a phone does not scroll sideways."""
    assert page.evaluate(NAMES) == []
    if AXE.is_file():
        # Past the policy of the page, which lets in no other script.
        page.evaluate(AXE.read_text(encoding="utf-8"))
        faults = page.evaluate("axe.run().then((found) => found.violations.map((one) => [one.impact, one.help]))")
        assert [fault for fault in faults if fault[0] in {"serious", "critical"}] == []
    page.set_viewport_size({"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.set_viewport_size({"width": 1280, "height": 800})


def fill_in(page: Any, title: str, steps: int) -> None:
    page.set_input_files("#painting", PAINTING)
    page.get_by_alt_text("The painting ihc.png").wait_for()
    page.get_by_text("Tiny", exact=True).click()
    page.get_by_label("Title", exact=True).fill(title)
    page.get_by_text("More choices").click()
    page.get_by_label("Steps, in place of a time").fill(str(steps))
    page.get_by_label("Start from").select_option("scratch")


def test_from_the_first_click_to_the_downloaded_file(page: Any, tmp_path: Path) -> None:
    assert "token" not in page.url
    # What is missing or wrong is said in words.
    page.get_by_role("button", name="Start", exact=True).click()
    reads(page, "#new-problem", "Choose a painting and a title first.")
    text = tmp_path / "notes.jpg"
    text.write_text("no picture")
    page.set_input_files("#painting", text)
    reads(
        page,
        "#notice",
        "Notes.jpg is not a picture that can be read. Supported: JPEG, PNG, WebP, AVIF, HEIC, BMP, TIFF and GIF.",
    )
    page.get_by_label("Close the message").click()
    # By keyboard: the folder of photos.
    page.get_by_label("Use the included photos").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="holiday").press("Enter")
    reads(page, "#folders-count", "3 photos")
    well_made(page)
    page.get_by_role("button", name="Take this folder").press("Enter")
    reads(page, "#photos-chosen", "3 photos in")
    fill_in(page, "Tissue", 12)
    well_made(page)
    page.get_by_role("button", name="Start", exact=True).click()
    reads(page, "#run-title", "Tissue")
    reads(page, "#run-state", "Ready")
    well_made(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download Tissue: ONNX file").click()
    assert download.value.suggested_filename == "tissue.onnx"
    model = tmp_path / "tissue.onnx"
    download.value.save_as(model)

    # Tried on a photo, beside a shipped one.
    page.get_by_role("link", name="Try it").click()
    photo = tmp_path / "cat.png"
    Image.open(PHOTOS["chelsea"]).convert("RGB").resize((150, 100)).save(photo)
    page.set_input_files("#photo", photo)
    page.get_by_alt_text("cat painted as Tissue").wait_for()
    page.get_by_label("Before and after", exact=True).select_option("great-wave-tiny")
    page.get_by_alt_text("cat painted as The Great Wave").wait_for()
    well_made(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the picture").click()
    assert download.value.suggested_filename == "cat-tissue.jpg"
    found = np.asarray(Image.open(download.value.path())).astype(int)
    assert np.abs(found - np.asarray(Stylizer(model)(photo))).mean() < 6  # JPEG's
    page.get_by_role("button", name="Camera").click()
    reads(page, "#try-caption", "frames a second")
    canvas = page.evaluate("document.getElementById('try-canvas').toDataURL('image/png').length")
    assert canvas > 10_000
    page.get_by_role("button", name="Camera").click()

    # Kept, renamed, exported, deleted.
    page.get_by_role("link", name="Library").click()
    page.get_by_alt_text("A picture painted as Tissue").wait_for()
    page.get_by_role("button", name="Rename Tissue").click()
    page.get_by_label("New title").fill("Harbour")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Harbour").wait_for()
    page.get_by_label("Download Harbour", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download Harbour: Web page (zip)").click()
    assert download.value.suggested_filename == "harbour-page.zip"
    well_made(page)
    page.get_by_role("button", name="Delete Harbour").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("heading", name="Harbour").wait_for(state="detached")


@pytest.mark.parametrize("server", ["played"], indirect=True)
def test_a_training_is_watched_paused_and_stopped_in_two_tabs_and_outlives_the_server(
    server: Server, page: Any
) -> None:
    fill_in(page, "Tissue", 5000)
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator("#preview[alt*='after']").wait_for()
    reads(page, "#run-left", "left")
    page.locator("#curves svg").first.wait_for()
    well_made(page)

    # A second tab sees the same; nothing else can be started there.
    tab = page.context.new_page()
    tab.goto(page.url)
    reads(tab, "#run-title", "Tissue")
    assert tab.locator("#new").is_hidden()
    # The server is killed: the training goes on, and so does the page when the server is back.
    server.end(signal.SIGKILL)
    lost = "The studio does not answer. Start it again on this machine. A training goes on meanwhile."
    reads(page, "#notice", lost)
    page.get_by_role("button", name="Pause").click()
    reads(page, "#notice", lost)
    server.start(server.port)
    page.locator("#notice").wait_for(state="hidden")
    reads(page, "#run-state", "Learning")
    # Paused in one tab, gone on with in the other, stopped: a style of what is learned.
    page.get_by_role("button", name="Pause").click()
    reads(tab, "#run-state", "Paused")
    tab.get_by_role("button", name="Go on").click()
    reads(page, "#run-state", "Learning")
    tab.close()
    page.get_by_role("button", name="Stop here").click()
    reads(page, "#run-state", "Ready")


# Gives a page a file as a drag or the clipboard does.
GIVE = """([type, selector, content, name, kind]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name, { type: kind }));
    const given = type === "paste" ? { clipboardData: data } : { dataTransfer: data };
    const event = type === "paste" ? ClipboardEvent : DragEvent;
    document.querySelector(selector).dispatchEvent(new event(type, { ...given, bubbles: true, cancelable: true }));
}"""


def give(page: Any, how: str, selector: str, path: Path) -> None:
    content = base64.b64encode(path.read_bytes()).decode()
    page.evaluate(GIVE, [how, selector, content, path.name, f"image/{path.suffix[1:]}"])


@pytest.mark.parametrize("server", ["played"], indirect=True)
def test_a_painting_is_dropped_pasted_or_shown_to_the_camera_and_learned_on_the_photos_that_come_with_it(
    page: Any, server: Server
) -> None:
    give(page, "drop", "#painting-drop", PAINTING)
    page.get_by_alt_text("The painting ihc.png").wait_for()
    assert page.get_by_label("Title", exact=True).input_value() == "ihc"
    give(page, "paste", "body", PHOTOS["flower"])
    page.get_by_alt_text("The painting that was pasted").wait_for()
    page.get_by_role("button", name="Use the camera").click()
    wait_for(lambda: page.evaluate("document.getElementById('shoot-video').videoWidth") > 0)
    well_made(page)
    page.get_by_role("button", name="Take the picture").click()
    page.get_by_alt_text("The painting from the camera").wait_for()
    page.get_by_label("Title", exact=True).fill("ihc")
    tracks = "document.getElementById('shoot-video').srcObject.getTracks().map((track) => track.readyState)"
    assert page.evaluate(tracks) == ["ended"]
    # The pace is measured by itself: 20 s and half a second a step, as the stand-in says.
    page.get_by_label("Time", exact=True).select_option("5")
    reads(page, "#minutes-note", "About 560 steps on this machine.")
    page.get_by_role("button", name="Start", exact=True).click()
    reads(page, "#run-title", "ihc")
    ((name,),) = [[run["name"] for run in server.client.get("/api/state")["runs"]]]
    assert name == "ihc"
    page.get_by_role("button", name="Stop here").click()
    reads(page, "#run-state", "Ready")


def test_before_and_after_stand_in_one_picture_with_a_divider(page: Any) -> None:
    page.get_by_role("link", name="Try").click()
    page.get_by_label("Style", exact=True).select_option("great-wave-tiny")
    give(page, "paste", "body", PHOTOS["flower"])
    divider = page.get_by_label("Divider between before and after")
    divider.wait_for()
    result, before = page.locator("#try-picture"), page.locator("#second-picture")
    assert before.bounding_box() == result.bounding_box()
    middle = before.evaluate("(one) => getComputedStyle(one).clipPath")
    divider.press("Home")
    assert before.evaluate("(one) => getComputedStyle(one).clipPath") != middle
    well_made(page)
    page.get_by_label("Before and after", exact=True).select_option("nothing")
    divider.wait_for(state="hidden")


def test_a_slider_paints_while_it_moves(page: Any) -> None:
    page.get_by_role("link", name="Try").click()
    page.get_by_label("Style", exact=True).select_option("ten")
    give(page, "paste", "body", PHOTOS["flower"])
    page.get_by_label("Mix it with").select_option("udnie")
    page.locator("#try-picture[alt*=' with ']").wait_for()
    for slider in ("Strength", "Passes, from coarse to fine", "Share of the second style"):
        shown = page.locator("#try-picture").get_attribute("src")
        # As a thumb that is held: it moves and is not let go.
        move = "(one) => { one.stepUp(); one.dispatchEvent(new Event('input')); }"
        page.locator("#try").get_by_label(slider, exact=True).evaluate(move)
        page.locator(f"#try-picture:not([src='{shown}'])").wait_for()


def test_an_address_without_the_key_says_what_to_do(page: Any, server: Server) -> None:
    stranger = page.context.browser.new_context().new_page()
    stranger.goto(server.address.partition("?")[0])
    assert "the address that 'fast-style studio' printed" in stranger.content()
    stranger.context.close()


def test_a_film_is_painted_and_played(page: Any, tmp_path: Path) -> None:
    from tests.studio.test_studio import film

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(film(tmp_path, 10))
    page.get_by_role("link", name="Try").click()
    page.get_by_label("Style", exact=True).select_option("great-wave-tiny")
    page.get_by_label("How much of the style").fill("40")
    page.get_by_label("Keep the photo's colors").check()
    with page.expect_request("**/film?*") as asked:
        page.set_input_files("#film", clip)
    assert "&blend=0.4&colors=1" in asked.value.url
    reads(page, "#try-status", "The film is painted.")
    wait_for(lambda: page.evaluate("document.getElementById('try-film').duration") > 0.3)
    page.get_by_label("Style", exact=True).select_option("udnie")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the film").click()
    assert download.value.suggested_filename == "clip-great-wave-tiny.mp4"


def test_a_film_in_work_can_be_stopped_whatever_else_is_tried(page: Any, tmp_path: Path) -> None:
    from tests.studio.test_studio import film

    clip = tmp_path / "clip.mp4"
    clip.write_bytes(film(tmp_path, 2000))
    page.get_by_role("link", name="Try").click()
    page.get_by_label("Style", exact=True).select_option("udnie")
    page.set_input_files("#film", clip)
    stop = page.get_by_role("button", name="Stop the film here")
    stop.wait_for()
    page.set_input_files("#film", clip.rename(tmp_path / "other.mp4"))
    reads(page, "#notice", "Another film is being painted. Wait, or stop it first.")
    assert stop.is_visible()
    give(page, "paste", "body", PHOTOS["flower"])
    page.locator("#try-picture[alt*='painted as Udnie']").wait_for()
    assert page.locator("#film-bar").is_visible()
    page.reload()
    page.get_by_role("link", name="Try").click()
    stop.click()
    stop.wait_for(state="hidden")
    reads(page, "#try-status", "The film is painted.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the film").click()
    assert download.value.suggested_filename == "clip-udnie.mp4"


# Each camera is handed over when the test allows it.
HOLD_CAMERAS = """() => {
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    window.streams = [];
    devices.getUserMedia = async (wished) => {
        const stream = await open(wished);
        streams.push(stream);
        await new Promise((resolve) => { window.allow = resolve; });
        return stream;
    };
}"""


# A camera that can be turned.
TURNED = """() => {
    const frame = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    setInterval(() => frame.getContext("2d").fillRect(0, 0, frame.width, frame.height), 50);
    navigator.mediaDevices.getUserMedia = async () => frame.captureStream();
    window.turn = () => { [frame.width, frame.height] = [frame.height, frame.width]; };
}"""


def test_one_camera_is_opened_and_it_is_stopped_if_the_view_was_left_meanwhile(page: Any) -> None:
    page.get_by_role("link", name="Try").click()
    page.evaluate(HOLD_CAMERAS)
    for _ in range(2):
        page.get_by_role("button", name="Camera").click()
    wait_for(lambda: page.evaluate("Boolean(window.allow)"))
    page.get_by_role("link", name="Library").click()
    page.evaluate("allow()")
    wait_for(lambda: page.evaluate("streams.every((stream) => !stream.active)"))
    assert page.evaluate("streams.length") == 1
    assert page.locator("#camera").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("server", ["played"], indirect=True)
def test_a_title_follows_the_painting_until_it_is_typed(page: Any, tmp_path: Path) -> None:
    title = page.get_by_label("Title", exact=True)
    for name, found in (("the-wave", "the wave"), ("sunflowers", "sunflowers")):
        path = tmp_path / f"{name}.png"
        Image.open(PAINTING).save(path)
        page.set_input_files("#painting", path)
        page.get_by_alt_text(f"The painting {path.name}").wait_for()
        assert title.input_value() == found
    give(page, "paste", "body", PAINTING)
    page.get_by_alt_text("The painting that was pasted").wait_for()
    assert title.input_value() == ""
    title.fill("Mine")
    page.set_input_files("#painting", path)
    page.get_by_alt_text(f"The painting {path.name}").wait_for()
    assert title.input_value() == "Mine"


def test_controls_begin_anew_when_the_studio_is_loaded_again(page: Any) -> None:
    names = ["strength", "strength-value", "blend", "blend-value", "passes", "passes-value"]
    values = f"{names}.map((name) => document.getElementById(name).value)"
    began = page.evaluate(values)
    page.get_by_text("A folder of mine").click()
    page.locator("#folders-cancel").click()
    page.locator("#strength").fill("12")
    page.get_by_role("link", name="Try").click()
    page.locator("#blend").fill("40")
    page.locator("#passes").fill("3")
    page.goto("about:blank")
    page.go_back()
    page.locator("#try-title").wait_for()
    assert page.evaluate(values) == began
    assert page.evaluate("document.querySelector('[name=photos]:checked').value") == ""


def test_a_camera_that_is_unplugged_is_noticed(page: Any) -> None:
    page.get_by_role("link", name="Try").click()
    page.evaluate(HOLD_CAMERAS)
    page.get_by_role("button", name="Camera").click()
    wait_for(lambda: page.evaluate("Boolean(window.allow)"))
    page.evaluate("allow()")
    reads(page, "#try-caption", "frames a second")
    # A fake camera cannot be unplugged; a track says of itself that it has.
    page.evaluate("streams[0].getTracks()[0].dispatchEvent(new Event('ended'))")
    page.locator("#camera[aria-pressed=false]").wait_for()
    page.locator("#try-none").wait_for()
    assert not page.evaluate("streams[0].active")


def test_a_camera_that_is_turned_keeps_its_proportions_in_the_studio(page: Any) -> None:
    page.get_by_role("link", name="Try").click()
    page.evaluate(TURNED)
    page.get_by_role("button", name="Camera").click()
    canvas = page.locator("#try-canvas")
    ratio = "(one) => (one.height / one.width).toFixed(2)"
    wait_for(lambda: canvas.evaluate(ratio) == "0.75")
    page.evaluate("turn()")
    wait_for(lambda: canvas.evaluate(ratio) == "1.33")


def test_a_picture_that_fails_does_not_hold_up_the_newest_choice(page: Any) -> None:
    held: list[Any] = []
    page.route("**/paint?*", lambda route: held.append(route) if not held else route.continue_())
    page.get_by_role("link", name="Try").click()
    page.get_by_label("Style", exact=True).select_option("udnie-tiny")
    give(page, "paste", "body", PHOTOS["flower"])
    wait_for(lambda: page.wait_for_timeout(20) or held)
    page.get_by_label("Style", exact=True).select_option("great-wave-tiny")
    held[0].fulfill(status=409, json={"error": "No.", "hint": ""})
    page.locator("#try-picture[alt*='painted as The Great Wave']").wait_for()
    assert page.locator("#notice").is_hidden()


def test_a_pace_that_cannot_be_measured_is_tried_again_when_something_else_is_chosen(page: Any) -> None:
    asked: list[str] = []

    def refuse(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=409, json={"error": "No.", "hint": ""})

    page.route("**/api/pace?*", refuse)
    page.get_by_text("Tiny", exact=True).click()
    reads(page, "#minutes-note", "No.")
    before = len(asked)
    page.wait_for_timeout(4000)  # of several polls
    assert len(asked) == before
    page.get_by_text("Fine", exact=True).click()
    page.get_by_text("Tiny", exact=True).click()
    wait_for(lambda: page.wait_for_timeout(20) or len(asked) > before + 1)


def test_one_of_several_styles_is_tried_at_a_strength(page: Any, tmp_path: Path) -> None:
    photo = tmp_path / "cat.png"
    Image.open(PHOTOS["chelsea"]).convert("RGB").resize((300, 200)).save(photo)
    page.get_by_role("link", name="Try").click()
    style, part = page.get_by_label("Style", exact=True), page.get_by_label("Which of its styles")
    strength = page.locator("#try").get_by_label("Strength", exact=True)
    style.select_option("great-wave-tiny")
    part.wait_for(state="hidden")
    style.select_option("ten")
    page.set_input_files("#photo", photo)
    part.select_option("udnie")
    page.get_by_alt_text("cat painted as Udnie").wait_for()
    strength.press("End")
    page.get_by_label("Ground under skies and walls").select_option("Rings")
    reads(page, "#paint-strength-value", "4.00")
    well_made(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the picture").click()
    expected = Stylizer("ten")(photo, styles={"udnie": 1.0}, strength=4.0, ground="rings")
    assert np.abs(np.asarray(Image.open(download.value.path())).astype(int) - np.asarray(expected)).mean() < 6  # JPEG's
