"""Styles on a hub: the real client against a small server on this machine."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.errors import InputError
from fast_style.styles.catalog import find_style
from fast_style.styles.hub import is_hub_name, pull_style
from fast_style.styles.mixture import mixture_name

pytest.importorskip("huggingface_hub")
ROOT = Path(__file__).parents[2]
COMMIT = "5" * 40
REPO = "someone/udnie"


class Hub:
    """The part of the hub that downloads need.

    Attributes:
        repositories: The files of each, by name.
        address: Of the server.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, content = hub._answer(self.path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        asked = re.fullmatch(rf"/([^/]+/[^/]+)/resolve/(?:main|{COMMIT})/(.+)", path.split("?")[0])
        if asked is None or asked[1] not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        content = self.repositories[asked[1]].get(asked[2])
        headers = {"X-Repo-Commit": COMMIT}
        if content is None:
            return 404, headers | {"X-Error-Code": "EntryNotFound"}, b""
        return 200, headers | {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}, content


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever)
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


@pytest.fixture
def files(hub: Hub) -> dict[str, bytes]:
    """The files of a repository that holds a style."""
    path = find_style("udnie").path
    hub.repositories[REPO] = {file.name: file.read_bytes() for file in (path, path.with_suffix(".json"))}
    return hub.repositories[REPO]


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    """Stylize a photo with a style of the hub, in an empty folder."""
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / "photo.png")

    def stylize(style: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",  # Xet speaks to servers of its own
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
            **variables,
        }
        return subprocess.run(
            [sys.executable, "-m", "fast_style", "stylize", "photo.png", "--style", style, "-o", "out.png"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return stylize


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> list[str]:
    """Return the lines of a refusal; nothing was painted."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert not (folder / "out.png").exists()
    return done.stderr.splitlines()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("style", ["hf:someone/udnie", "hf:someone/udnie/udnie", "hf:someone/udnie/udnie.onnx"])
def test_a_style_of_the_hub_paints_as_the_file_does_and_the_next_time_without_the_hub(
    style: str, run: Run, tmp_path: Path
) -> None:
    done = run(style)
    assert (done.returncode, done.stderr) == (0, "")
    expected = np.asarray(Stylizer("udnie")(Image.open(tmp_path / "photo.png")))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    (tmp_path / "out.png").unlink()
    assert run(style, HF_ENDPOINT="http://127.0.0.1:9").returncode == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


def test_one_of_the_styles_in_a_file_of_the_hub_is_chosen_and_mixed(hub: Hub, run: Run, tmp_path: Path) -> None:
    hub.repositories["someone/all"] = {"ten.onnx": find_style("ten").path.read_bytes()}  # without a card
    text = "{0}#udnie:0.7,{0}#great-wave:0.3"
    assert run(text.format("hf:someone/all/ten")).returncode == 0
    expected = np.asarray(Stylizer(text.format("ten"))(Image.open(tmp_path / "photo.png")))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


@pytest.mark.parametrize(
    ("text", "name"),
    [("hf:a/mine", "mine"), ("hf:a/all/udnie", "udnie"), ("hf:a/all#x", "x"), ("hf:a/x:0.7,udnie:0.3", "x+udnie")],
)
def test_pictures_are_named_after_the_style_on_the_hub(text: str, name: str) -> None:
    assert mixture_name(text) == name


@pytest.mark.parametrize("text", ["hf:udnie", "hf:a/b/c/d", "hf:a/../b/c", "hf:a/e\x1b[31mvil", "hf:/b", "a/b"])
def test_what_is_not_the_name_of_a_style_on_the_hub_is_never_asked_for(text: str) -> None:
    assert not is_hub_name(text)
    with pytest.raises(InputError, match="is not the name of a style on the hub"):
        pull_style(text)


def damage(files: dict[str, bytes]) -> None:
    middle = len(files["udnie.onnx"]) // 2
    files["udnie.onnx"] = files["udnie.onnx"][:middle] + b"\0\0\0\0" + files["udnie.onnx"][middle + 4 :]
    del files["udnie.json"]


def pickle(files: dict[str, bytes]) -> None:
    files["udnie.onnx"] = b"\x80\x04cos\nsystem\n(S'touch evil'\ntR."
    del files["udnie.json"]


def break_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = b"[" * 10000


def change_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = json.dumps({"card_format": 1, "sha256": "0" * 64}).encode()


def mistype_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = json.dumps(json.loads(files["udnie.json"]) | {"paintings": ["udnie"]}).encode()


def inflate_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = b" " * (2**20 + 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage, "udnie.onnx is damaged: its content does not match its checksum"),
        (pickle, "udnie.onnx"),
        (break_card, "hf:someone/udnie: udnie.json is not a card"),
        (change_card, "hf:someone/udnie: udnie.json is the card of another file than udnie.onnx"),
        (mistype_card, "hf:someone/udnie: udnie.json is not a card"),
        (inflate_card, "hf:someone/udnie: udnie.json has more than 1 MiB"),
    ],
)
def test_nothing_on_the_hub_is_trusted(
    change: Callable[[dict[str, bytes]], None], message: str, run: Run, files: dict[str, bytes], tmp_path: Path
) -> None:
    change(files)
    error, *_ = refused(run("hf:someone/udnie"), tmp_path)
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "evil").exists()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("style", ["hf:someone/else", "hf:someone/udnie/scream", "hf:some--one/udnie"])
def test_what_the_hub_has_not_is_an_error_of_one_line_with_a_remedy(style: str, run: Run, tmp_path: Path) -> None:
    error, hint = refused(run(style), tmp_path)
    assert error.startswith(f"error: {style} cannot be downloaded: ")
    assert hint == "hint: Check the name and the connection; for a private repository, log in with 'hf auth login'."


@pytest.mark.usefixtures("files")
def test_a_hub_that_must_not_be_reached_is_an_error_of_one_line(run: Run, tmp_path: Path) -> None:
    error, hint = refused(run("hf:someone/udnie", HF_HUB_OFFLINE="1"), tmp_path)
    assert error.startswith("error: hf:someone/udnie cannot be downloaded: ")
    assert hint.startswith("hint: Check the name and the connection")
