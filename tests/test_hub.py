"""Pushing styles to a hub and pulling them: the real client against a small server on this machine."""

from __future__ import annotations

import base64
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
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.graph import read_checked
from fast_style.styles import find_style
from tests.runtime.conftest import write_style

pytest.importorskip("huggingface_hub")
ROOT = Path(__file__).parents[1]
TOKEN = "hf_of_the_owner"
COMMIT = "5" * 40
REPO = "someone/udnie"


class Hub:
    """The part of the hub that pushing and pulling need: repositories, and files of them, large ones as LFS objects.

    Attributes:
        repositories: The files of each, by name.
        objects: LFS objects by their SHA-256.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hub._answer(self)

            do_GET = do_PUT = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        path = request.path.split("?")[0]
        self.asked.append(f"{request.command} {path}")
        known = request.headers.get("Authorization") == f"Bearer {TOKEN}"
        status, headers, content = self._handle(request.command, path, body, known=known)
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    def _handle(self, method: str, path: str, body: bytes, *, known: bool) -> tuple[int, dict[str, str], bytes]:
        def answer(value: Any) -> tuple[int, dict[str, str], bytes]:
            return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()

        if method == "PUT" and (found := re.fullmatch(r"/objects/(\w+)", path)):
            assert hashlib.sha256(body).hexdigest() == found[1]
            self.objects[found[1]] = body
            return 200, {}, b""
        if method == "GET" and (found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path)):
            if found[1] not in self.repositories:
                return 404, {"X-Error-Code": "RepoNotFound"}, b""
            if found[2] not in {None, "main", COMMIT}:
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            files = [{"rfilename": name} for name in self.repositories[found[1]]]
            return answer({"id": found[1], "modelId": found[1], "sha": COMMIT, "siblings": files})
        if method == "GET" and (found := re.fullmatch(rf"/([^/]+/[^/]+)/resolve/{COMMIT}/(.+)", path)):
            return 200, {}, self.repositories[found[1]][found[2]]
        if not known:
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b""
        given = [json.loads(line) for line in body.splitlines()]
        if path == "/api/repos/create":
            repo = f"{given[0]['organization']}/{given[0]['name']}"
            self.repositories.setdefault(repo, {})
            self.private[repo] = bool(given[0].get("private")) or given[0].get("visibility") == "private"
            return answer({"url": f"{self.address}/{repo}", "id": repo})
        if path == "/api/validate-yaml":
            return answer({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/(.+)/preupload/main", path):
            modes = {file["path"]: "lfs" if file["path"].endswith(".onnx") else "regular" for file in given[0]["files"]}
            return answer(
                {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]}
            )
        if path.endswith(".git/info/lfs/objects/batch"):
            links = [
                {**one, "actions": {"upload": {"href": f"{self.address}/objects/{one['oid']}"}}}
                for one in given[0]["objects"]
            ]
            return answer({"transfer": "basic", "objects": links})
        if found := re.fullmatch(r"/api/models/(.+)/commit/main", path):
            repository = self.repositories[found[1]]
            for line in given:
                value = line["value"]
                if line["key"] == "lfsFile":
                    repository[value["path"]] = self.objects[value["oid"]]
                elif line["key"] == "file":
                    repository[value["path"]] = base64.b64decode(value["content"])
            return answer({"commitUrl": f"{self.address}/{found[1]}/commit/{COMMIT}", "commitOid": COMMIT})
        raise AssertionError(f"{method} {path}")


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(hub: Hub, tmp_path: Path) -> Run:
    """Run ``fast-style hub …`` in a folder of its own, as the owner who has logged in."""

    def command(*arguments: str, address: str = hub.address, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",  # Xet speaks to servers of its own
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
        }
        return subprocess.run(
            [sys.executable, "-m", "fast_style", "hub", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return command


@pytest.fixture
def pushed(hub: Hub) -> dict[str, bytes]:
    """The files of a repository that holds a style."""
    path = find_style("udnie").path
    card = path.with_suffix(".json")
    hub.repositories[REPO] = {path.name: path.read_bytes(), card.name: card.read_bytes(), "README.md": b"# udnie"}
    return hub.repositories[REPO]


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    """The lines that a failed pull says; nothing of it was kept."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert [path.name for path in folder.iterdir() if path.name != "home"] == []
    return done.stderr


def test_a_style_that_is_pushed_is_pulled_bit_for_bit(hub: Hub, run: Run, tmp_path: Path) -> None:
    done = run("push", "udnie", REPO)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{hub.address}/{REPO}  udnie.onnx, udnie.json, README.md\n"
    assert len(hub.objects) == 1  # the ONNX file went as an LFS object
    done = run("pull", REPO, "-o", "styles")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["styles/udnie.onnx", "styles/udnie.json"]
    source = find_style("udnie").path
    for name in ("udnie.onnx", "udnie.json"):
        assert (tmp_path / "styles" / name).read_bytes() == source.with_name(name).read_bytes()
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    painted = Stylizer(tmp_path / "styles/udnie.onnx")(photo)
    np.testing.assert_array_equal(np.asarray(painted), np.asarray(Stylizer("udnie")(photo)))


def test_the_page_is_found_by_the_hubs_search_and_names_painting_and_commands(hub: Hub, run: Run) -> None:
    yaml = pytest.importorskip("yaml")
    assert run("push", "udnie", REPO, "--private").returncode == 0
    assert hub.private[REPO]
    _, front, page = hub.repositories[REPO]["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "onnx",
        "pipeline_tag": "image-to-image",
        "tags": ["fast-style", "neural-style-transfer", "style-transfer"],
        "license": "other",
        "license_name": "public-domain",
    }
    assert "*Udnie (Young American Girl, The Dance)*, Francis Picabia, 1913; licence: public domain" in page
    assert f"fast-style hub pull {REPO}\nfast-style stylize photo.jpg --style udnie.onnx -o out.png" in page
    card = json.loads(find_style("udnie").path.with_suffix(".json").read_text(encoding="utf-8"))
    assert f"within {card['verification']['largest_difference']:.1e} of white" in page


def test_the_page_of_a_file_of_several_styles_names_each_painting(hub: Hub, run: Run) -> None:
    assert run("push", "ten", REPO).returncode == 0
    page = hub.repositories[REPO]["README.md"].decode()
    assert page.count("licence: public domain") == 10
    assert "license_name: public-domain" in page


def test_a_file_without_a_card_is_presented_by_its_own_metadata(hub: Hub, run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(find_style("udnie").path.read_bytes())
    done = run("push", "mine.onnx", REPO)
    assert done.stdout.endswith("  mine.onnx, README.md\n")
    assert "Francis Picabia, 1913; licence: public domain" in hub.repositories[REPO]["README.md"].decode()


def test_nothing_on_the_hub_is_replaced_without_force(hub: Hub, run: Run, pushed: dict[str, bytes]) -> None:
    pushed["udnie.onnx"] = b"an earlier one"
    done = run("push", "udnie", REPO)
    assert done.returncode == 2
    assert done.stderr == f"error: {REPO} has a udnie.onnx\nhint: Give --force to replace it.\n"
    assert pushed["udnie.onnx"] == b"an earlier one"
    assert run("push", "udnie", REPO, "--force").returncode == 0
    assert pushed["udnie.onnx"] == find_style("udnie").path.read_bytes()
    assert pushed["README.md"].startswith(b"---\n")


def test_a_page_that_someone_wrote_stays_beside_a_new_style(run: Run, pushed: dict[str, bytes]) -> None:
    done = run("push", "great-wave", REPO)
    assert done.stdout.endswith("  great-wave.onnx, great-wave.json\n")
    assert pushed["README.md"] == b"# udnie"


def test_only_one_who_has_logged_in_pushes(hub: Hub, run: Run) -> None:
    done = run("push", "udnie", REPO, token="hf_of_nobody")
    assert done.returncode == 2
    first, hint = done.stderr.splitlines()
    assert first.startswith(f"error: the hub refuses {REPO}: ")
    assert "401" in first
    assert hint == "hint: Log in with 'hf auth login', or set HF_TOKEN to a token that may write."
    assert hub.repositories == {}


def test_a_file_from_elsewhere_is_not_pushed(hub: Hub, run: Run, tmp_path: Path) -> None:
    write_style(tmp_path / "candy.onnx", "same", producer="someone else")
    done = run("push", "candy.onnx", REPO)
    assert (done.returncode, done.stderr) == (2, "error: candy.onnx is not a style that fast-style exported\n")
    assert hub.repositories == {}


def test_existing_files_are_overwritten_with_force_only(run: Run, pushed: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "udnie.json").write_text("mine")
    done = run("pull", REPO)
    assert (done.returncode, done.stderr) == (2, "error: udnie.json exists\nhint: Give --force to overwrite it.\n")
    assert not (tmp_path / "udnie.onnx").exists()
    assert run("pull", REPO, "--force").returncode == 0
    assert (tmp_path / "udnie.json").read_bytes() == pushed["udnie.json"]


def test_of_several_styles_one_is_named(run: Run, pushed: dict[str, bytes], tmp_path: Path) -> None:
    pushed["plain.onnx"] = read_checked(write_style(tmp_path / "plain.onnx", "same"))
    (tmp_path / "plain.onnx").unlink()
    said = refused(run("pull", REPO), tmp_path)
    assert said == f"error: {REPO} holds several styles: plain, udnie\nhint: Give --name with one of them.\n"
    said = refused(run("pull", REPO, "--name", "../udnie"), tmp_path)
    assert said == f"error: {REPO} holds no style '../udnie'; it holds plain, udnie\n"
    assert run("pull", REPO, "--name", "udnie").stdout.splitlines() == ["udnie.onnx", "udnie.json"]


@pytest.mark.parametrize("name", ["../evil.onnx", "folder/evil.onnx", ".evil.onnx", "e\x1b[31mvil.onnx", "evil.pkl"])
def test_names_that_are_paths_or_other_kinds_are_never_asked_for(name: str, hub: Hub, run: Run, tmp_path: Path) -> None:
    hub.repositories[REPO] = {name: b"evil"}
    assert refused(run("pull", REPO), tmp_path) == f"error: {REPO} holds no ONNX file\n"
    assert not any("/resolve/" in asked for asked in hub.asked)


def damage(files: dict[str, bytes]) -> None:
    middle = len(files["udnie.onnx"]) // 2
    files["udnie.onnx"] = files["udnie.onnx"][:middle] + b"\0\0\0\0" + files["udnie.onnx"][middle + 4 :]


def pickle(files: dict[str, bytes]) -> None:
    files["udnie.onnx"] = b"\x80\x04cos\nsystem\n(S'touch evil'\ntR."


def break_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = b"[" * 10000


def change_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = json.dumps({"card_format": 1, "sha256": "0" * 64}).encode()


def inflate_card(files: dict[str, bytes]) -> None:
    files["udnie.json"] = b" " * (2**20 + 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (damage, "udnie.onnx is damaged: its content does not match its checksum"),
        (pickle, "udnie.onnx"),
        (break_card, "udnie.json is not a card"),
        (change_card, "udnie.json is the card of another file than udnie.onnx"),
        (inflate_card, "udnie.json has more than 1 MiB"),
    ],
)
def test_what_is_not_whole_is_not_kept(
    change: Callable[[dict[str, bytes]], None], said: str, run: Run, pushed: dict[str, bytes], tmp_path: Path
) -> None:
    change(pushed)
    lines = refused(run("pull", REPO), tmp_path).splitlines()
    assert lines[0].startswith(f"error: {REPO}: {said}")
    assert lines[1:] == ["hint: Nothing was kept."]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pull", "someone/else"), "error: the hub has no someone/else, or you may not see it"),
        (("pull", REPO, "--revision", "v2"), f"error: {REPO} has no revision 'v2'"),
        (("pull", "udnie"), "error: 'udnie' is not the name of a repository; expected OWNER/NAME"),
        (("pull", "a/b/c"), "error: 'a/b/c' is not the name of a repository; expected OWNER/NAME"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(
    arguments: tuple[str, ...], said: str, run: Run, pushed: dict[str, bytes], tmp_path: Path
) -> None:
    assert refused(run(*arguments), tmp_path).splitlines()[0] == said


def test_a_hub_that_cannot_be_reached_is_said_in_a_line(run: Run, tmp_path: Path) -> None:
    said = refused(run("pull", REPO, address="http://127.0.0.1:9"), tmp_path)
    assert said.startswith("error: the hub cannot be reached: ")
    assert said.endswith("\nhint: Try again later.\n")


def test_an_upload_that_breaks_off_is_said_in_a_line(hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = hub._handle

    def full(method: str, path: str, body: bytes, *, known: bool) -> tuple[int, dict[str, str], bytes]:
        return (400, {}, b"") if method == "PUT" else handle(method, path, body, known=known)

    monkeypatch.setattr(hub, "_handle", full)
    done = run("push", "udnie", REPO)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the upload to {REPO} failed: Error while uploading 'udnie.onnx' to the Hub.\nhint: Push again.\n"
    )
    assert hub.repositories == {REPO: {}}
