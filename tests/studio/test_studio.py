"""What the studio answers: who is let in, what it takes, how trainings go, what the library keeps."""

import contextlib
import errno
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.errors import FileError, InputError, StudioError
from fast_style.images import find_photos
from fast_style.images.find import INCLUDED
from fast_style.studio import Library, Trainings, uploads
from fast_style.studio.library import file_name, read_run
from fast_style.studio.runs import PROGRAM, _last_error
from fast_style.studio.server import listen, open_studio
from tests.conftest import PHOTOS, moving_square, read_frames
from tests.studio.conftest import Client, picture, wait_for

STATIC = Path(uploads.__file__).parent / "static"


def begin(client: Client, **asked: Any) -> str:
    """Start a training; return its name."""
    painting = client.post("/api/paintings?name=wave.jpg", picture(80, 60))
    wish = {"painting": painting["id"], "title": "My Wave", "network": "tiny", "steps": 60, "start": "scratch"}
    home = client.get("/api/folders")["path"]
    name: str = client.post("/api/runs", {**wish, "folder": f"{home}/holiday", **asked})["name"]
    return name


# ---- who is let in ----


def test_nobody_is_let_in_without_the_token(client: Client) -> None:
    for path in ("/", "/studio.js", "/api/state", "/?token=wrong", "/?token=%C3%A9"):
        answer = client.ask("GET", path, Cookie=None)
        assert answer.status == 403
        assert b"'fast-style studio' printed" in answer.body
    assert client.ask("GET", "/api/state", Cookie=f"fast-style-studio-{client.port}=wrong").status == 403
    assert client.ask("POST", "/api/paintings", picture(), Cookie=None).status == 403


def test_the_token_in_the_address_becomes_a_cookie_that_no_script_and_no_other_site_can_use(client: Client) -> None:
    answer = client.ask("GET", f"/?token={client.token}", Cookie=None)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert f"fast-style-studio-{client.port}={client.token}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.ask("GET", "/", Cookie=cookie.split(";")[0]).status == 200


def test_another_host_name_is_refused_as_its_owner_may_have_pointed_it_here(client: Client) -> None:
    for host in ("evil.example", f"evil.example:{client.port}", "127.0.0.1", f"127.0.0.1:{client.port + 1}"):
        assert client.ask("GET", "/api/state", Host=host).status == 403
    assert client.ask("GET", "/api/state", Host=f"localhost:{client.port}").status == 200


def test_another_page_cannot_change_anything(client: Client) -> None:
    for origin in (None, "null", "http://evil.example", "http://127.0.0.1:1", f"https://127.0.0.1:{client.port}"):
        assert client.ask("POST", "/api/paintings", picture(), Origin=origin).status == 403
        assert client.ask("DELETE", "/api/styles/x", Origin=origin).status == 403


def test_the_page_runs_no_script_but_its_own(client: Client) -> None:
    policy = client.ask("GET", "/").headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>[^<]|\son\w+=|style=|https?://", page) == []
    assert "innerHTML" not in (STATIC / "studio.js").read_text(encoding="utf-8")


def test_it_listens_on_the_loopback_address_alone() -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        with pytest.raises(StudioError, match=r"cannot listen on 127\.0\.0\.1"):
            listen(listening.getsockname()[1])


def test_the_token_outlives_the_server_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = Library(tmp_path / "s").token()
    assert len(token) >= 43
    assert Library(tmp_path / "s").token() == token
    assert stat.S_IMODE((tmp_path / "s/token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700


@pytest.mark.parametrize("kept", [b"", b"\n", b"short", b"\xff\x00", "né".encode() * 30, b"a b" * 30])
def test_a_token_file_that_holds_no_token_gets_one(kept: bytes, tmp_path: Path) -> None:
    library = Library(tmp_path)
    (tmp_path / "token").write_bytes(kept)
    token = library.token()
    assert re.fullmatch(r"[\w-]{43}", token, re.ASCII)
    assert library.token() == token
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_the_browser_is_started_with_a_ticket_that_lets_in_once_as_other_users_can_read_it(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/.told && mv {tmp_path}/.told {tmp_path}/told\n')
    browser.chmod(0o700)
    command = [sys.executable, "-m", "fast_style", "studio", "--port", "0", "--folder", str(tmp_path / "s")]
    told = {**os.environ, "BROWSER": f"{browser} %s"}
    with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True) as studio:
        assert studio.stdout is not None
        address = studio.stdout.readline().strip()
        wait_for((tmp_path / "told").is_file)
        opened = (tmp_path / "told").read_text().strip()
        assert opened != address
        assert opened.partition("=")[0] == address.partition("=")[0]
        client = Client(int(opened.split(":")[2].partition("/")[0]), "")
        answers = [client.ask("GET", opened[opened.index("/?") :], Cookie=None) for _ in range(2)]
        studio.send_signal(signal.SIGINT)
    assert [answer.status for answer in answers] == [303, 403]
    assert address.partition("=")[2] in answers[0].headers["set-cookie"]


def test_the_server_loads_no_torch() -> None:
    code = "import sys, fast_style.studio; assert not {'torch', 'onnx', 'pytorch_lightning'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_static_files_are_those_of_the_page_and_no_others(client: Client) -> None:
    for path in ("/index.html", "/..%2fapp.py", "/app.py", "/api/nothing", "/api/runs/%2e%2e/curves"):
        assert client.ask("GET", path).status == 404


def test_clients_that_never_finish_and_many_at_once_keep_nobody_out(client: Client) -> None:
    begun = b"POST /api/paintings HTTP/1.1\r\nContent-Length: 9\r\n"
    with contextlib.ExitStack() as stack:
        for part in (b"GET / HT", begun, begun + b"\r\nabc"):
            for _ in range(20):
                stack.enter_context(socket.create_connection(("127.0.0.1", client.port))).sendall(part)
        with ThreadPoolExecutor(100) as pool:
            answers = pool.map(lambda _: client.ask("GET", "/api/state").status, range(100))
            assert set(answers) == {200}


# ---- uploads ----


def test_a_painting_is_kept_under_a_new_name_with_a_small_copy(client: Client, library: Library) -> None:
    found = client.post("/api/paintings?name=..%2f..%2fevil.jpg", picture(1200, 300, "PNG"))
    assert (found["width"], found["height"]) == (1200, 300)
    assert re.fullmatch(r"[0-9a-f]{32}\.png", found["id"])
    assert {path.name for path in library.place("paintings").iterdir()} == {found["id"], found["preview"]}
    shown = Image.open(io.BytesIO(client.get(f"/api/uploads/paintings/{found['preview']}")))
    assert (shown.format, shown.size) == ("JPEG", (960, 240))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text", "wave.jpg is not a picture that can be read"),
        (b"", "the file is empty"),
        (picture(400, 300)[:2000], "cannot read wave.jpg: the file is damaged"),
        (b"P6 100000 100000 255\n" + bytes(64), "wave.jpg: "),
    ],
    ids=["text", "empty", "damaged", "a bomb"],
)
def test_what_is_no_painting_is_refused_in_words_and_not_kept(
    client: Client, library: Library, content: bytes, said: str
) -> None:
    status, error = client.refused("POST", "/api/paintings?name=wave.jpg", content)
    assert status == 400
    assert error.lower().startswith(said.lower())
    assert str(library.folder) not in error
    assert " --" not in client.ask("POST", "/api/paintings?name=wave.jpg", content).json["hint"]
    assert list(library.place("paintings").iterdir()) == []


def test_an_upload_that_grows_too_large_is_cut_off_and_not_kept(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(uploads.MOST_BYTES, "painting", uploads.MIB)
    body = bytes(uploads.MIB + 1)
    assert client.refused("POST", "/api/paintings", body) == (400, "The file is too large; a painting may have 1 MB")

    # Again, without an announced length.
    assert client.ask("POST", "/api/paintings", iter((body[: uploads.MIB], b"x"))).status == 400
    assert list(library.place("paintings").iterdir()) == []


def test_a_request_of_more_than_64_kib_is_refused(client: Client) -> None:
    body = b'{"title": "' + b"a" * 65_536 + b'"}'
    assert client.refused("POST", "/api/runs", body) == (400, "The request is too large")


def test_a_full_disk_is_said_to_be_full(client: Client, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise FileError("cannot write painting.jpg: the disk is full")

    monkeypatch.setattr("fast_style.studio.uploads.save_image", full)
    assert client.refused("POST", "/api/paintings", picture()) == (507, "Cannot write painting.jpg: the disk is full")
    assert list(library.place("paintings").iterdir()) == []


def test_folders_are_listed_inside_the_chosen_ones_only(client: Client, home: Path, tmp_path: Path) -> None:
    (home / ".secret").mkdir()
    (home / "out").symlink_to(tmp_path)
    os.mkdir(os.fsencode(home) + b"/caf\xe9")  # noqa: PTH102 -- a name that is not UTF-8, which JSON cannot hold
    found = client.get("/api/folders")
    assert found == {"path": str(home), "up": None, "folders": ["holiday"], "photos": 3, "more": False}
    assert client.get(f"/api/folders?path={home}/holiday")["up"] == str(home)
    for path in ("/", "/etc", str(tmp_path), f"{home}/..", f"{home}/out", f"{home}/holiday/0.jpg", f"{home}%00", "x"):
        status, error = client.refused("GET", f"/api/folders?path={path}")
        assert status == 400
        assert "is not a folder that the studio may read" in error


def test_photos_are_counted_as_a_training_finds_them(
    client: Client, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.images.find.is_installed", lambda extra: extra != "heic")
    (home / "a.heic").write_bytes(picture())
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").write_bytes(picture())
    (home / "link").symlink_to(tmp_path / "album")
    assert client.get("/api/folders")["photos"] == len(find_photos(home)) == 4


# ---- trainings ----


def test_a_training_runs_to_a_style_that_can_be_downloaded(client: Client, style_file: Path) -> None:
    name = begin(client, steps=60, title="Große Welle!", artist="-Hokusai")
    assert name == "gro-e-welle" or name == "groe-welle"
    client.wait(name, "done")
    style = client.get("/api/state")["styles"][0]
    assert (style["name"], style["title"], style["own"], style["skipped"]) == (name, "Große Welle!", True, 2)
    answer = client.ask("GET", f"/api/styles/{name}/export/onnx")
    assert answer.body == style_file.read_bytes()
    assert f'filename="{file_name("Große Welle!")}.onnx"' in answer.headers["content-disposition"]
    assert b"card_format" in client.ask("GET", f"/api/styles/{name}/export/card").body
    assert "has no adapter" in client.refused("GET", f"/api/styles/{name}/export/adapter")[1]


def test_curves_previews_and_the_time_left_grow(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOMENT", "0.3")
    name = begin(client, steps=10_000)
    assert client.run(name)["state"] in {"preparing", "training"}
    run = wait_for(lambda: (run := client.run(name))["seconds_left"] is not None and run)
    assert run["state"] == "training"
    assert 0 < run["step"] < run["steps"] == 10_000
    assert run["seconds_left"] > 100  # 10 steps take 0.3 s at least
    wait_for(lambda: len(client.run(name)["previews"]) > len(run["previews"]))
    curves = client.get(f"/api/runs/{name}/curves")
    assert set(curves) == {"total", "content", "style", "tv"}
    assert curves["total"] == sorted(curves["total"], key=lambda point: -point[1])
    preview = client.ask("GET", f"/api/runs/{name}/previews/{run['previews'][0]}")
    assert preview.headers["content-type"] == "image/png"
    for other in ("..%2frun.json", "run.json", "step-1.png"):
        assert client.ask("GET", f"/api/runs/{name}/previews/{other}").status == 404


def test_a_term_that_is_not_part_of_every_step_has_a_curve_of_its_own_steps(client: Client, library: Library) -> None:
    name = begin(client, steps=10)
    client.wait(name, "done")
    rows = "step,total,learning_rate,border\n10,3,0.1,\n20,2,0.1,0.5\n30,1,0.1,"
    (library.run(name) / f"{name}.csv").write_text(rows)
    curves = client.get(f"/api/runs/{name}/curves")
    assert curves == {"total": [[10, 3.0], [20, 2.0], [30, 1.0]], "border": [[20, 0.5]]}


def test_there_is_one_training_at_a_time_and_a_second_tab_sees_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENT", "0.3")
    name = begin(client, steps=10_000)
    status, error = client.refused("POST", "/api/runs", wish := request_of(client))
    assert (status, error) == (409, "Another training is running")
    assert [run["name"] for run in client.get("/api/state")["runs"]] == [name]
    client.post(f"/api/runs/{name}/pause")
    client.wait(name, "paused")
    other = client.post("/api/runs", wish)["name"]
    assert other == "my-wave-2"
    assert client.refused("POST", f"/api/runs/{name}/resume")[0] == 409
    assert [run["name"] for run in client.get("/api/state")["runs"]] == [other, name]


def request_of(client: Client) -> dict[str, Any]:
    painting = client.post("/api/paintings", picture())["id"]
    home = client.get("/api/folders")["path"]
    return {"painting": painting, "title": "My Wave", "steps": 10_000, "folder": f"{home}/holiday"}


def test_a_training_is_paused_and_gone_on_with(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOMENT", "0.1")
    name = begin(client, steps=400)
    wait_for(lambda: client.run(name)["step"] >= 20)
    client.post(f"/api/runs/{name}/pause")
    run = client.wait(name, "paused")
    assert 20 <= run["step"] < 400
    assert run["error"] is None
    assert client.refused("POST", f"/api/runs/{name}/pause")[0] == 409
    monkeypatch.setenv("MOMENT", "0")
    client.post(f"/api/runs/{name}/resume")
    client.wait(name, "done")
    steps = [step for step, _ in client.get(f"/api/runs/{name}/curves")["total"]]
    assert steps == [*range(10, 401, 10)]
    assert client.refused("POST", f"/api/runs/{name}/resume") == (409, f"{name} is finished".capitalize())


@pytest.mark.parametrize("paused", [True, False])
def test_stopping_makes_a_style_of_what_is_learned_so_far(
    client: Client, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    monkeypatch.setenv("MOMENT", "0.1")
    name = begin(client, steps=10_000)
    wait_for(lambda: client.run(name)["step"] >= 10)
    if paused:
        client.post(f"/api/runs/{name}/pause")
        client.wait(name, "paused")
    client.post(f"/api/runs/{name}/stop")
    client.wait(name, "done")
    assert client.get("/api/state")["styles"][0]["name"] == name


def test_a_full_disk_ends_a_training_in_words_and_it_can_go_on(client: Client, home: Path) -> None:
    (home / "holiday/full-disk").touch()
    name = begin(client)
    run = client.wait(name, "failed")
    assert run["error"].endswith("the disk is full")
    assert run["hint"] == "Make room."
    (home / "holiday/full-disk").unlink()
    client.post(f"/api/runs/{name}/resume")
    client.wait(name, "done")


def test_a_disk_that_is_full_at_a_pause_is_told(
    client: Client, home: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "holiday/full-disk").touch()
    name = begin(client)
    client.wait(name, "failed")
    (library.run(name) / "pause").touch()
    assert client.run(name)["state"] == "failed"
    assert client.run(name)["error"].endswith("the disk is full")


def test_the_hint_is_that_of_the_last_error() -> None:
    said = "error: a.jpg is damaged\nhint: Save it again.\nerror: the disk is full\n"
    assert _last_error(said) == ("the disk is full", None)


def test_what_is_deleted_while_it_is_listed_is_left_out(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.wait(begin(client), "done")
    runs = library.runs()
    monkeypatch.setattr(library, "runs", lambda: [*runs, *(folder.with_name("gone") for folder in runs)])
    monkeypatch.setattr("fast_style.studio.library.is_finished", lambda folder: True)
    assert client.get("/api/state")["styles"][0]["name"] == "my-wave"


def test_a_mistake_of_our_own_is_said_without_its_traceback(client: Client, home: Path, library: Library) -> None:
    (home / "holiday/broken").touch()
    run = client.wait(begin(client), "failed")
    assert run["error"] == "The training ended unexpectedly."
    assert "ZeroDivisionError" in (library.run("my-wave") / "log.txt").read_text()


def test_a_failed_training_without_a_log_is_shown_beside_the_others(
    client: Client, home: Path, library: Library
) -> None:
    (home / "holiday/full-disk").touch()
    client.wait(begin(client), "failed")
    (library.run("my-wave") / "log.txt").unlink()
    assert client.run("my-wave")["error"] == "The training ended unexpectedly."


def test_a_training_that_cannot_go_on_still_says_why_it_failed(
    client: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "holiday/full-disk").touch()
    name = begin(client)
    client.wait(name, "failed")

    def full(*_: object) -> None:
        raise FileError("cannot write process.json: the disk is full")

    monkeypatch.setattr("fast_style.studio.runs.write_json", full)
    assert client.refused("POST", f"/api/runs/{name}/resume")[0] == 507
    assert client.run(name)["error"].endswith("the disk is full")


@pytest.mark.parametrize(("number", "status", "room"), [(errno.ENOSPC, 507, True), (errno.EACCES, 500, False)])
def test_only_a_full_disk_is_asked_for_room(
    client: Client, monkeypatch: pytest.MonkeyPatch, number: int, status: int, room: bool
) -> None:
    def fail(_: Library) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Library, "styles", fail)
    answer = client.ask("GET", "/api/state")
    assert answer.status == status
    assert os.strerror(number) in answer.json["error"]
    assert ("room" in answer.json["hint"]) is room


def test_a_killed_training_says_so_and_goes_on_from_its_checkpoint(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENT", "0.1")
    name = begin(client, steps=10_000)
    wait_for(lambda: client.run(name)["step"] >= 20)
    lock = (library.folder / "training.lock").resolve()
    # As a power cut: whoever holds the lock, the training and its watcher, is gone.
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = any(path.resolve() == lock for path in (process / "fd").iterdir())
        except OSError:
            continue
        if held and int(process.name) != os.getpid():
            os.kill(int(process.name), signal.SIGKILL)
    run = client.wait(name, "paused")
    assert run["error"] == "The training was cut off."
    client.post(f"/api/runs/{name}/resume")
    wait_for(lambda: client.run(name)["step"] > run["step"])


def test_a_training_survives_a_killed_server_and_the_next_server_shows_it(
    library: Library, trainings: Trainings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENT", "0.2")
    code = (
        "import sys; from pathlib import Path; import fast_style.studio as s\n"
        "t = s.Trainings(s.Library(Path(sys.argv[1])), program=[sys.executable, sys.argv[2]])\n"
        "t.start(s.Wish('Mine', steps=10_000), Path(sys.argv[3]), Path(sys.argv[4])); print('up', flush=True)\n"
        "sys.stdin.read()"
    )
    painting = home / "holiday/0.jpg"
    stand_in = Path(__file__).with_name("stand_in.py")
    arguments = [sys.executable, "-c", code, str(library.folder), str(stand_in), str(painting), str(home / "holiday")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        os.killpg(server.pid, signal.SIGKILL)
    folder = library.run("mine")
    before = wait_for(lambda: trainings.describe(folder)["step"])
    wait_for(lambda: trainings.describe(folder)["step"] > before)
    assert trainings.describe(folder)["running"]
    with pytest.raises(StudioError, match="mine is training already"):
        trainings.wish("mine", "resume")
    trainings.wish("mine", "pause")
    wait_for(lambda: trainings.describe(folder)["state"] == "paused")


def test_what_a_training_cannot_be_asked_for_is_refused(client: Client) -> None:
    for asked, said in (
        ({"network": "huge"}, "network is 'huge'"),
        ({"steps": "x"}, "steps is 'x'; expected a number"),
        ({"steps": float("nan")}, "steps is nan; expected a number"),
        ({"steps": 0}, "steps are 0"),
        ({"steps": 10**8}, "steps are 100000000"),
        ({"strength": 9}, "strength is 9"),
        ({"start": "/etc/passwd"}, "the start is '/etc/passwd'"),
        ({"title": "a\nb"}, "a title is one line"),
        ({"title": "x" * 200}, "a title is one line"),
        ({"artist": "a\nb"}, "the artist is one line"),
        ({"folder": "/etc"}, "/etc is not a folder that the studio may read"),
        ({"painting": "../x"}, "what was uploaded is no longer there"),
    ):
        status, error = client.refused("POST", "/api/runs", {**request_of(client), **asked})
        assert status == 400
        assert error.lower().startswith(said.lower())
    for body in (b"[", b"[" * 60_000):
        assert "is not a JSON object" in client.refused("POST", "/api/runs", body)[1]
    assert client.get("/api/state")["runs"] == []


def test_an_adapter_is_trained_on_the_network_of_its_style(client: Client, library: Library) -> None:
    client.wait(begin(client, start="udnie-fine"), "done")
    expected = ["--network", "fine", "--strength", "1", "--adapter-of", "udnie-fine"]
    assert read_run(library.run("my-wave"))["asked"] == [*expected, "--title=My Wave", "--steps", "60"]


def test_the_pace_of_this_machine_is_measured_once_for_each_network_and_start(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESTIMATES", str(tmp_path / "estimates"))
    for _ in range(2):
        assert client.get("/api/pace?network=tiny&start=nearest") == {"around": 20.0, "step": 0.5}
    client.get("/api/pace?network=tiny&start=scratch")
    client.get("/api/pace?network=tiny&start=udnie-fine")
    asked = [line.split("--estimate ")[1] for line in (tmp_path / "estimates").read_text().splitlines()]
    assert asked == [
        "--network tiny --strength 1",
        "--network tiny --strength 1 --init scratch",
        "--network fine --strength 1 --adapter-of udnie-fine",
    ]
    assert "network is 'huge'" in client.refused("GET", "/api/pace?network=huge")[1].lower()


def test_the_pace_is_not_measured_beside_a_training(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOMENT", "0.3")
    begin(client, steps=10_000)
    assert client.refused("GET", "/api/pace?network=tiny") == (409, "Another training is running")


def test_a_machine_that_cannot_be_measured_says_why(client: Client, trainings: Trainings, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('error: the weights cannot be had\\nhint: Go online.')")
    trainings._program = [sys.executable, str(program)]
    assert client.refused("GET", "/api/pace") == (409, "The weights cannot be had")


def test_the_estimate_of_the_command_is_what_the_studio_reads(
    library: Library, narrow_file: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'size = 64\nbatch = 1\nvgg = "{narrow_file}"\n')
    pace = Trainings(library, config=recipe).pace("tiny", "nearest")
    assert pace["around"] > 0
    assert pace["step"] > 0


def test_photos_come_with_it_and_each_has_its_license(client: Client, library: Library) -> None:
    client.wait(begin(client, folder=""), "done")
    assert read_run(library.run("my-wave"))["photos"] == str(INCLUDED)
    photos = sorted(INCLUDED.glob("*.webp"))
    assert len(photos) >= 30
    assert sum(path.stat().st_size for path in photos) < 1e6
    for path in photos:
        with Image.open(path) as photo:
            assert min(photo.size) == 400
            photo.load()
    table = (INCLUDED / "README.md").read_text().splitlines()
    assert {row.split("|")[3].strip() for row in table[6:]} == {"public domain", "CC0 1.0"}


# ---- the library ----


def test_an_own_style_is_renamed_and_deleted_and_a_shipped_one_is_not(client: Client, library: Library) -> None:
    name = begin(client)
    client.wait(name, "done")
    client.post(f"/api/styles/{name}/title", {"title": " Harbour "})
    assert client.get("/api/state")["styles"][0]["title"] == "Harbour"
    assert "title is one line" in client.refused("POST", f"/api/styles/{name}/title", {"title": " "})[1]
    for other in ("udnie", "nothing", "..", "%2e%2e%2fphotos", "My%20Wave"):
        assert client.ask("DELETE", f"/api/styles/{other}").status == 404
        assert client.ask("POST", f"/api/styles/{other}/title", {"title": "x"}).status == 404
    assert client.ask("DELETE", f"/api/styles/{name}").status == 200
    assert list(library.place("styles").iterdir()) == []
    assert client.get("/api/state")["styles"][0]["own"] is False


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"card_format": 2}, "has the format 2; this version of fast-style reads up to 1"),
        ({"card_format": 1, "paintings": []}, "is damaged: its paintings cannot be read"),
    ],
)
def test_a_style_whose_card_cannot_be_read_says_so_and_hides_no_other(
    client: Client, library: Library, card: dict[str, Any], said: str
) -> None:
    client.wait(name := begin(client), "done")
    client.wait(other := begin(client), "done")
    (library.run(name) / f"{name}.json").write_text(json.dumps(card))
    state = client.get("/api/state")
    assert [style["name"] for style in state["styles"] if style["own"]] == [other]
    (run,) = state["runs"]
    assert (run["name"], run["state"]) == (name, "failed")
    assert run["error"].endswith(f"{name}.json {said}")
    assert run["hint"]
    assert client.ask("DELETE", f"/api/styles/{name}").status == 200


def test_a_folder_whose_request_cannot_be_read_hides_no_other(client: Client, library: Library) -> None:
    client.wait(name := begin(client), "done")
    asked = read_run(library.run(name))
    for number, content in enumerate(
        ["[" * 10_000, *(json.dumps(asked | {key: [1]}) for key in asked if key != "asked")]
    ):
        (folder := library.place("styles") / f"odd-{number}").mkdir()
        (folder / "run.json").write_text(content)
    (library.run(name) / "process.json").write_text("[1]")
    state = client.get("/api/state")
    assert [style["name"] for style in state["styles"] if style["own"]] == [name]
    assert state["runs"] == []


def test_what_is_trained_is_not_deleted_and_a_link_out_of_the_folder_is_not_followed(
    client: Client, library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMENT", "0.3")
    name = begin(client, steps=10_000)
    assert client.refused("DELETE", f"/api/styles/{name}") == (409, "My-wave is being trained")
    (home / "run.json").write_text("{}")
    (library.place("styles") / "link").symlink_to(home)
    assert client.refused("DELETE", "/api/styles/link")[0] == 404
    assert (home / "holiday").is_dir()


def test_without_a_home_the_folders_of_photos_have_to_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(InputError, match="home directory") as caught:
        open_studio(tmp_path / "studio", port=0)
    assert caught.value.hint == "Set HOME, or give --photos FOLDER."


def test_uploads_that_nobody_uses_are_forgotten_after_a_day(client: Client, library: Library) -> None:
    used = client.post("/api/paintings?name=sea.jpg", picture())["id"]
    client.wait(begin(client, painting=used), "done")
    for path in library.place("paintings").iterdir():
        os.utime(path, (1, 1))
    client.post("/api/paintings?name=sea.jpg", picture())
    assert len([*library.place("paintings").iterdir()]) == 2  # the new one and its preview
    assert next(library.run("my-wave").glob("painting.*")).is_file()


def test_the_page_folder_of_a_style_is_downloaded(client: Client, library: Library) -> None:
    answer = client.ask("GET", "/api/styles/udnie/export/page")
    assert 'filename="udnie-page.zip"' in answer.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(answer.body)).namelist()
    assert {"udnie/index.html", "udnie/styles/udnie.onnx", "udnie/runtime/ort.wasm.min.mjs"} <= set(names)
    wait_for(lambda: not list(library.place("tries").iterdir()))


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("great-wave-tiny", "passes: 3, meant for photos of about 640 px. Each side must have at least 64 px."),
        ("the-scream-tiny", "passes: 2, meant for photos of about 640 px. Each side must have at least 32 px."),
        ("engraving", "passes: 1, meant for photos of about 640 px. Each side must have at least 16 px."),
    ],
)
def test_what_an_app_needs_is_downloaded_and_paints_as_the_studio(
    style: str, said: str, client: Client, library: Library, trainings: Trainings, tmp_path: Path
) -> None:
    trainings._program = PROGRAM
    answer = client.ask("GET", f"/api/styles/{style}/export/app")
    assert f'filename="{style}-app.zip"' in answer.headers["content-disposition"]
    zipfile.ZipFile(io.BytesIO(answer.body)).extractall(tmp_path)
    wait_for(lambda: not list(library.place("tries").iterdir()))
    text = (tmp_path / style / "README.txt").read_text(encoding="utf-8")
    assert said in text
    Image.open(PHOTOS["chelsea"]).convert("RGB").resize((640, 480)).save(photo := tmp_path / style / "photo.jpg")
    code = "\n".join(line.strip() for line in text.splitlines() if line.startswith("    ") and '  "' not in line)
    with contextlib.chdir(tmp_path / style):
        exec(compile(code, "README.txt", "exec"), {})
    found = np.asarray(Image.open(tmp_path / style / "picture.png")).astype(int)
    assert np.abs(found - np.asarray(Stylizer(style)(photo))).mean() < 4  # of drafts that are not rounded


# ---- trying ----


def test_a_photo_is_painted_as_by_the_runtime(client: Client, library: Library) -> None:
    content = io.BytesIO()
    Image.open(PHOTOS["chelsea"]).convert("RGB").resize((120, 80)).save(content, "PNG")
    photo = client.post("/api/tries?name=cat.png", content.getvalue())
    painted = client.get(f"/api/styles/great-wave-tiny/paint?photo={photo['id']}&size=60&blend=0.5&colors=1")
    expected = Stylizer("great-wave-tiny")(library.place("tries") / photo["id"], size=60, blend=0.5, keep_colors=True)
    found = np.asarray(Image.open(io.BytesIO(painted))).astype(int)
    assert found.shape == (40, 60, 3)
    assert np.abs(found - np.asarray(expected)).mean() < 6  # JPEG's
    full = client.get(f"/api/styles/great-wave-tiny/paint?photo={photo['id']}&size=0")
    assert Image.open(io.BytesIO(full)).size == (120, 80)
    assert "Blend is 2.0" in client.refused("GET", f"/api/styles/udnie/paint?photo={photo['id']}&blend=2")[1]
    assert client.refused("GET", f"/api/styles/nothing/paint?photo={photo['id']}")[0] == 404
    assert client.refused("GET", "/api/styles/udnie/paint?photo=..%2ftoken")[0] == 400


def test_a_photo_is_painted_in_the_passes_that_are_asked_for(client: Client, library: Library) -> None:
    photo = client.post("/api/tries?name=noise.png", picture(192, 128, "PNG"))
    path = f"/api/styles/udnie-tiny/paint?photo={photo['id']}"
    expected = [
        np.asarray(Stylizer("udnie-tiny")(library.place("tries") / photo["id"], passes=passes)).astype(int)
        for passes in (1, 3)
    ]
    for asked, same, other in (("", 0, 1), ("&passes=0", 0, 1), ("&passes=3", 1, 0)):
        painted = np.asarray(Image.open(io.BytesIO(client.get(path + asked)))).astype(int)
        assert np.abs(painted - expected[same]).mean() < 6 < np.abs(painted - expected[other]).mean()  # JPEG's
    assert "Passes is 9; expected 1 to 8" in client.refused("GET", f"{path}&passes=9")[1]


def test_one_of_several_styles_is_painted_at_a_strength(client: Client, library: Library) -> None:
    shown = {style["name"]: style for style in client.get("/api/state")["styles"]}
    assert "udnie" in shown["ten"]["styles"]
    assert shown["great-wave-tiny"]["styles"] == ["great-wave-tiny"]
    photo = client.post("/api/tries?name=noise.png", picture(320, 240, "PNG"))
    path = f"paint?photo={photo['id']}"
    painted = client.get(f"/api/styles/ten/{path}&part=udnie&strength=4")
    expected = Stylizer("ten")(library.place("tries") / photo["id"], styles={"udnie": 1.0}, strength=4.0)
    assert np.abs(np.asarray(Image.open(io.BytesIO(painted))).astype(int) - np.asarray(expected)).mean() < 6  # JPEG's
    assert "Strength is 5; expected 0.25 to 4" in client.refused("GET", f"/api/styles/ten/{path}&strength=5")[1]
    assert "expected a number" in client.refused("GET", f"/api/styles/ten/{path}&strength=much")[1]
    assert "no style 'nobody'" in client.refused("GET", f"/api/styles/ten/{path}&part=nobody")[1]
    assert "no style 'udnie'" in client.refused("POST", "/api/styles/great-wave-tiny/frame?part=udnie", picture())[1]


def test_a_style_is_painted_over_another_ground(client: Client) -> None:
    gray = Image.new("RGB", (320, 240), (120, 130, 140))
    gray.save(content := io.BytesIO(), "PNG")
    photo = client.post("/api/tries?name=gray.png", content.getvalue())
    path = f"/api/styles/starry-night-tiny/paint?photo={photo['id']}"
    painted = np.asarray(Image.open(io.BytesIO(client.get(f"{path}&ground=rings")))).astype(int)
    style = Stylizer("starry-night-tiny")
    assert np.abs(painted - np.asarray(style(gray, ground="rings"))).mean() < 6  # JPEG's
    assert np.abs(painted - np.asarray(style(gray))).mean() > 6
    assert "Ground is 'mud'; expected none" in client.refused("GET", f"{path}&ground=mud")[1]


def test_two_styles_of_a_file_are_mixed(client: Client, library: Library) -> None:
    photo = client.post("/api/tries?name=noise.png", picture(96, 64, "PNG"))
    path = f"/api/styles/ten/paint?photo={photo['id']}&part=udnie&other=starry-night"
    for share in (0.0, 0.3, 1.0):
        weights = {name: weight for name, weight in (("udnie", 1 - share), ("starry-night", share)) if weight}
        expected = Stylizer("ten")(library.place("tries") / photo["id"], styles=weights)
        painted = np.asarray(Image.open(io.BytesIO(client.get(f"{path}&share={share}")))).astype(int)
        assert np.abs(painted - np.asarray(expected)).mean() < 6  # JPEG's
    assert "share is 2" in client.refused("GET", f"{path}&share=2")[1].lower()
    assert "no style 'nobody'" in client.refused("GET", f"{path}&other=nobody")[1]


def test_cards_show_a_landscape_and_then_the_users_own_photo(client: Client) -> None:
    before = client.get("/api/styles/great-wave-tiny/card")
    assert Image.open(io.BytesIO(before)).size == (480, 320)
    photo = client.post("/api/tries", picture(90, 60))
    after = client.get(f"/api/styles/great-wave-tiny/card?photo={photo['preview']}")
    assert Image.open(io.BytesIO(after)).size == (90, 60)


def test_a_frame_of_the_camera_is_painted_and_not_kept(client: Client, library: Library) -> None:
    painted = client.ask("POST", "/api/styles/great-wave-tiny/frame", picture(64, 48))
    assert Image.open(io.BytesIO(painted.body)).size == (64, 48)
    status, error = client.refused("POST", "/api/styles/great-wave-tiny/frame", b"no")
    assert (status, error) == (400, "The frame is not a picture that can be read")
    assert list(library.place("tries").iterdir()) == []


def test_a_frame_of_the_camera_is_blended_and_keeps_its_colors_as_asked(client: Client) -> None:
    frame = Image.open(PHOTOS["coffee"]).convert("RGB").resize((120, 80))
    frame.save(content := io.BytesIO(), "PNG")
    style, path = Stylizer("great-wave-tiny"), "/api/styles/great-wave-tiny/frame"
    for query, blend, colors in (("blend=0", 0.0, False), ("blend=0.5&colors=1", 0.5, True)):
        painted = client.ask("POST", f"{path}?{query}", content.getvalue()).body
        found = np.asarray(Image.open(io.BytesIO(painted))).astype(int)
        assert np.abs(found - np.asarray(style(frame, blend=blend, keep_colors=colors))).mean() < 6  # JPEG's
        assert np.abs(found - np.asarray(style(frame))).mean() > 20
    assert "Blend is 2.0" in client.refused("POST", f"{path}?blend=2", content.getvalue())[1]


def film(folder: Path, frames: int) -> bytes:
    pytest.importorskip("av")
    from fractions import Fraction

    from fast_style.films.writer import VideoFormat, VideoWriter

    path = folder / "clip.mp4"
    writer = VideoWriter(path, VideoFormat(64, 48, Fraction(25), Fraction(1, 25)))
    for number, frame in enumerate(moving_square(frames)):
        writer.add(frame, number)
    writer.close()
    return path.read_bytes()


def newest_film(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/state")["film"]
    return found


def test_a_film_is_painted_with_its_progress(client: Client, tmp_path: Path) -> None:
    assert client.get("/api/state")["film"] is None
    started = client.post("/api/styles/great-wave-tiny/film?name=cat", film(tmp_path, 6))["id"]
    done = wait_for(lambda: (now := newest_film(client))["state"] != "painting" and now)
    assert (done["state"], done["frames"], done["error"]) == ("done", 6, None)
    assert (done["identity"], done["name"], done["style"]) == (started, "cat", "great-wave-tiny")
    assert client.get(f"/api/films/{started}/file")[4:8] == b"ftyp"


def test_a_film_is_blended_and_keeps_its_colors_as_asked(client: Client, tmp_path: Path) -> None:
    def painted(query: str) -> tuple[float, float]:
        """How far a picture is from the film, and how colorful it is where the film is gray, levels."""
        started = client.post(f"/api/styles/great-wave-tiny/film?{query}", clip)["id"]
        wait_for(lambda: newest_film(client)["state"] == "done")
        (tmp_path / "painted.mp4").write_bytes(client.get(f"/api/films/{started}/file"))
        planes = read_frames(tmp_path / "painted.mp4")[0].planes.astype(int)
        return float(np.abs(planes - moving_square(1)[0]).mean()), float(np.ptp(planes[:, 30:], axis=0).mean())

    clip = film(tmp_path, 3)
    distance, color = painted("")
    assert painted("blend=0")[0] < 6 < distance  # H.264's
    assert painted("colors=1")[1] < 6 < color


def test_a_film_is_stopped_with_what_there_is(client: Client, tmp_path: Path) -> None:
    clip = film(tmp_path, 900)
    started = client.post("/api/styles/udnie/film", clip)["id"]
    assert client.refused("GET", f"/api/films/{started}/file")[0] == 409
    assert client.refused("POST", "/api/styles/udnie/film", clip)[0] == 409
    wait_for(lambda: newest_film(client)["frames"])
    client.post(f"/api/films/{started}/stop")
    wait_for(lambda: newest_film(client)["state"] == "stopped")
    assert client.get(f"/api/films/{started}/file")[4:8] == b"ftyp"


def test_a_playlist_that_names_other_files_is_no_film(client: Client, library: Library) -> None:
    status, error = client.refused("POST", "/api/styles/udnie/film", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    assert (status, error) == (400, "This is not a film that can be read")
    assert list(library.place("tries").iterdir()) == []


def test_a_damaged_film_is_said_to_be_damaged(client: Client) -> None:
    client.post("/api/styles/udnie/film", b"\0\0\0\x18ftypmp42" + bytes(100))["id"]
    failed = wait_for(lambda: (now := newest_film(client))["state"] == "failed" and now)
    assert failed["error"].startswith("the film is not a video that can be read")
