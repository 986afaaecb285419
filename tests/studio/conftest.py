"""A studio that listens, and somebody who asks it."""

import http.client
import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image

from fast_style.studio import Library, Trainings
from fast_style.studio.app import make_app
from fast_style.studio.server import listen
from fast_style.styles.catalog import find_style
from fast_style.web.page import RUNTIME_FILES

STAND_IN = Path(__file__).with_name("stand_in.py")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Asks as the page does, unless told otherwise."""

    port: int
    token: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        host = f"127.0.0.1:{self.port}"
        cookie = f"fast-style-studio-{self.port}={self.token}"
        sent = {"Host": host, "Origin": f"http://{host}", "Cookie": cookie, **headers}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, data, {key: value for key, value in sent.items() if value is not None})
        response = connection.getresponse()
        answer = Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        connection.close()
        return answer

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json if answer.headers["content-type"] == "application/json" else answer.body

    def post(self, path: str, body: object = None) -> Any:
        answer = self.ask("POST", path, {} if body is None else body)
        assert answer.status in {200, 201}, answer.body
        return answer.json

    def refused(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        answer = self.ask(method, path, body)
        assert answer.status >= 400, answer.body
        return answer.status, answer.json["error"]

    def run(self, name: str) -> Any:
        """The unfinished training of that name, or None."""
        return next((run for run in self.get("/api/state")["runs"] if run["name"] == name), None)

    def wait(self, name: str, state: str) -> Any:
        """Wait until a training is paused, failed, … or ``done``."""

        def reached() -> Any:
            run = self.run(name) or {"state": "done"}
            return run if run["state"] == state else None

        return wait_for(reached)


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def picture(width: int = 64, height: int = 48, kind: str = "JPEG", seed: int = 0) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder in which photos may be chosen."""
    home = tmp_path / "home"
    (home / "holiday").mkdir(parents=True)
    for number in range(3):
        (home / "holiday" / f"{number}.jpg").write_bytes(picture(seed=number))
    return home


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "studio")


@pytest.fixture
def style_file() -> Path:
    """What the stand-in leaves."""
    return find_style("great-wave-tiny").path


@pytest.fixture
def trainings(library: Library, style_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainings]:
    """Trainings that a stand-in plays; those that run at the end are stopped."""
    monkeypatch.setenv("MODEL", str(style_file))
    trainings = Trainings(library, program=[sys.executable, str(STAND_IN)])
    yield trainings
    end_all(trainings)


def end_all(trainings: Trainings) -> None:
    for run in trainings.unfinished():
        if run["running"]:
            (trainings.library.run(run["name"]) / "pause").touch()
    wait_for(lambda: not any(run["running"] for run in trainings.unfinished()))


@pytest.fixture
def client(library: Library, trainings: Trainings, home: Path, tmp_path: Path) -> Iterator[Client]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in RUNTIME_FILES:
        (runtime / name).write_bytes(b"")
    listening = listen(0)
    port = listening.getsockname()[1]
    app = make_app(library, trainings, port=port, roots=[home], runtime=runtime)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield Client(port, library.token())
    server.should_exit = True
    thread.join()
    listening.close()
