import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
from PIL import Image, ImageGrab

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import CameraError, FileError
from fast_style.images import Pixels
from fast_style.live.capture import Capture
from fast_style.live.recorder import Recorder
from fast_style.live.session import Live
from fast_style.live.window import HELP, Controls, letterbox, press, write_lines
from fast_style.stylize.scene import Scene
from tests.conftest import moving_square, read_frames, run_interrupted

Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("n", Controls(style=1)),
        ("p", Controls(style=2)),
        ("-", Controls(blend=0.9)),
        ("+", Controls()),
        ("b", Controls(side_by_side=True)),
        ("m", Controls(mirror=True)),
        ("c", Controls(keep_colors=True)),
        ("r", Controls(recording=True)),
        ("g", Controls(ground="none")),
        ("f", Controls(full_screen=True)),
        ("h", Controls(help=True)),
        ("z", Controls()),
    ],
)
def test_each_key_changes_one_thing(key: str, expected: Controls) -> None:
    assert press(Controls(), key, 3) == expected


def test_every_key_is_in_the_help() -> None:
    keys = {key for line in HELP for key in line.split("  ")[0].split()}
    assert keys == {*"np+-[]gbmcsrfhq", "Esc"}


def test_keys_of_strength_stay_within_its_range() -> None:
    controls = Controls()
    for _ in range(9):
        controls = press(controls, "]", 1)
    assert controls.strength == 4.0
    for _ in range(12):
        controls = press(controls, "[", 1)
    assert controls.strength == 0.25


def test_the_key_of_grounds_goes_round() -> None:
    controls, seen = Controls(ground="rings"), []
    for _ in range(6):
        controls = press(controls, "g", 1)
        seen.append(controls.ground)
    assert seen == [None, "none", "flow", "panes", "rings", None]


def test_a_file_plays_at_its_own_pace_and_old_frames_are_dropped(make_clip: Make) -> None:
    with closing(Capture(str(make_clip(frames=moving_square(12))))) as capture:  # 12 frames at 25 a second
        start = time.perf_counter()
        capture.start()
        while not capture.ended:
            capture.newest(after=99, timeout=60.0)
        last = capture.newest()
    assert last is not None
    assert last.number == 12
    assert last.time - start > 0.43  # never faster; how much slower is up to the machine


def test_a_file_is_played_from_its_first_frame(make_clip: Make) -> None:
    with closing(Capture(str(make_clip(frames=moving_square(2))))) as capture:
        capture.period = 60.0  # so that the second frame comes later
        capture.start()
        shot = capture.newest(timeout=30.0)
    assert shot is not None
    assert (shot.pixels == capture.first).all()


def test_a_picture_is_a_film_of_one_frame(negative: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 48), (200, 60, 30)).save(tmp_path / "photo.png")
    command = ["webcam", "--style", str(negative), "--source", str(tmp_path / "photo.png"), "--headless", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 1


def test_no_other_program_is_blamed_for_a_file(
    make_clip: Make, negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["webcam", "--style", str(negative), "--source", str(make_clip()), "--headless", "--seconds", "1e-9"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "gave no frame" in said
    assert "Another program" not in said


def test_a_device_that_was_never_read_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[bool] = []

    class Device(FlakyDevice):
        opened = 0

        def release(self) -> None:
            released.append(True)

    monkeypatch.setattr("fast_style.live.capture.cv2.VideoCapture", Device)
    Capture("0").close()
    assert released == [True]


@pytest.mark.parametrize("source", ["63", "99999999999", "no such file.mp4"])
def test_a_source_that_is_absent_is_an_error(source: str) -> None:
    with pytest.raises(CameraError, match=r"does not exist|cannot be opened"):
        Capture(source)


class FlakyDevice:
    """A camera that is unplugged after two frames, is still away when first looked for, and then comes back."""

    opened = 0
    missed = Event()  # set when the user was told

    def __init__(self, source: object) -> None:
        type(self).opened += 1
        self.number, self.reads = self.opened, 0

    def isOpened(self) -> bool:
        return self.number == 1 or (self.number > 2 and self.missed.wait(60))

    def set(self, *_: object) -> bool:
        return True

    def get(self, _: int) -> float:
        return 25.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads += 1
        good = self.number > 2 or self.reads <= 2
        return good, np.zeros((32, 32, 3), np.uint8) if good else None

    def release(self) -> None:
        pass


def test_a_camera_that_comes_back_is_taken_up_again(monkeypatch: pytest.MonkeyPatch, negative: Path) -> None:
    monkeypatch.setattr("fast_style.live.capture.cv2.VideoCapture", FlakyDevice)
    monkeypatch.setattr("fast_style.live.capture._RETRY_SECONDS", 0.0)
    said: list[str] = []
    shown: list[Pixels] = []

    def say(text: str) -> None:
        said.append(text)
        FlakyDevice.missed.set()

    class Screen:
        def show(self, pixels: Pixels, controls: Controls) -> None:
            shown.append(pixels)

        def key(self) -> str | None:
            return "q" if len(said) == 2 and len(shown) > 5 else None

    with closing(Capture("0")) as capture:
        stylizers = [Stylizer(negative)]
        Live(capture=capture, stylizers=stylizers, display=Screen(), say=say).run()
    assert said == ["camera 0 was lost; waiting for it", "camera 0 is back"]


class GrayDevice:
    """A camera before a gray wall."""

    def __init__(self, *_: object) -> None:
        pass

    def isOpened(self) -> bool:  # OpenCV's name
        return True

    def get(self, _: int) -> float:
        return 30.0

    def set(self, *_: object) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        return True, np.full((240, 320, 3), 120, np.uint8)

    def release(self) -> None:
        pass


def test_a_frame_that_opencv_cannot_read_does_not_end_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device(GrayDevice):
        reads = 0

        def read(self) -> tuple[bool, np.ndarray]:
            Device.reads += 1
            if Device.reads == 3:
                raise cv2.error("assertion failed")
            return super().read()

    monkeypatch.setattr("fast_style.live.capture.cv2.VideoCapture", Device)
    monkeypatch.setattr("fast_style.live.capture._RETRY_SECONDS", 0.0)
    with closing(Capture("0")) as capture:
        capture.start()
        assert capture.newest(after=4, timeout=60) is not None


def test_a_still_and_a_recording_that_cannot_be_written_are_said_and_the_picture_goes_on(
    monkeypatch: pytest.MonkeyPatch, negative: Path
) -> None:
    monkeypatch.setattr("fast_style.live.capture.cv2.VideoCapture", GrayDevice)
    monkeypatch.chdir("/proc/self")  # where not even root can write
    said: list[str] = []
    shown: list[Controls] = []

    class Screen:
        def show(self, pixels: Pixels, controls: Controls) -> None:
            shown.append(controls)

        def key(self) -> str | None:
            keys = {2: "s", 4: "r"}
            return "q" if len(said) == 2 and len(shown) > 8 else keys.get(len(shown))

    with closing(Capture("0")) as capture:
        Live(capture=capture, stylizers=[Stylizer(negative)], display=Screen(), say=said.append).run()
    assert [text.split(":")[0].startswith("cannot write") for text in said] == [True, True]
    assert any(controls.recording for controls in shown)
    assert not shown[-1].recording


def test_keys_change_the_ground_and_the_strength_of_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fast_style.live.capture.cv2.VideoCapture", GrayDevice)
    shown: dict[tuple[str | None, float], Pixels] = {}

    class Screen:
        keys = iter("gg]q")

        def show(self, pixels: Pixels, controls: Controls) -> None:
            shown[controls.ground, controls.strength] = pixels[120:]  # below the text

        def key(self) -> str | None:
            return next(self.keys)

    with closing(Capture("0")) as capture:
        stylizers = [Stylizer("starry-night-tiny", threads=1)]
        Live(capture=capture, stylizers=stylizers, display=Screen(), say=print, passes=3).run()
    own, none, flow, strong = (
        shown[key].astype(int) for key in ((None, 1.0), ("none", 1.0), ("flow", 1.0), ("flow", 1.41))
    )
    assert np.abs(own - none).mean() > 5
    assert np.abs(own - flow).mean() < 1
    assert np.abs(strong - flow).mean() > 1


def test_opening_a_camera_and_a_recording_leaves_the_environment_alone(
    make_clip: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SVT_LOG", "OPENCV_FFMPEG_LOGLEVEL"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    make_clip("recording.mkv", codec="av1")
    with closing(Capture(str(make_clip()))):
        assert dict(os.environ) == before


def test_headless_records_what_it_shows(
    make_clip: Make, negative: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, target = make_clip(frames=moving_square(20)), tmp_path / "rec.mp4"
    command = ["webcam", "--style", str(negative), "--source", str(clip), "--headless", "--record", str(target)]
    assert main([*command, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    frames = read_frames(target)
    assert len(frames) == figures["frames"] > 3
    assert abs(frames[0].planes[:, 30:].astype(int) - 165).max() < 8
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


def test_a_recording_of_one_frame_is_told_in_the_singular(
    make_clip: Make, negative: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, target = make_clip(frames=moving_square(1)), tmp_path / "rec.mp4"
    command = ["webcam", "--style", str(negative), "--source", str(clip), "--headless", "--record", str(target)]
    assert main(command) == 0
    assert f"recorded 1 frame to {target}" in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("times", [1, 20])  # the last: the keys are held down
def test_ctrl_c_finishes_the_recording(times: int, clips: Path, negative: Path, tmp_path: Path) -> None:
    target = tmp_path / "rec.mp4"
    command = ["webcam", "--style", str(negative), "--source", str(clips / "bikes.mp4"), "--headless"]
    done = run_interrupted(
        *command, "--record", str(target), results=tmp_path, pattern=".rec-*", size=100_000, times=times
    )
    assert done.returncode == 0, done
    assert 0 < len(read_frames(target)) < len(read_frames(clips / "bikes.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["rec.mp4"]


def test_a_second_ctrl_c_while_something_is_measured_leaves_the_recording(
    make_clip: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(scene: Scene) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Scene, "close", interrupt)  # it waits for what is measured
    command = ["webcam", "--style", "udnie-tiny", "--source", str(make_clip(frames=moving_square(20))), "--headless"]
    assert main([*command, "--record", str(tmp_path / "rec.mp4")]) == 0
    assert len(read_frames(tmp_path / "rec.mp4")) > 0


def test_a_recording_that_has_no_place_is_refused_before_the_camera_is_opened(
    negative: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    command = ["webcam", "--style", str(negative), "--source", "63", "--headless"]  # a camera that is absent
    assert main([*command, "--record", str(tmp_path / "file" / "rec.mp4")]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert main([*command, "--record", str(tmp_path / "new" / "rec.mp4")]) == 2
    assert "camera 63" in capsys.readouterr().err
    assert (tmp_path / "new").is_dir()


def test_a_recording_that_fails_is_said_at_the_next_frame_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the encoder broke")

    monkeypatch.setattr("fast_style.live.recorder.VideoWriter.add", fail)
    recorder = Recorder(tmp_path / "rec.mp4", 64, 48)
    frame = np.zeros((48, 64, 3), np.uint8)
    until = time.monotonic() + 60

    def record() -> None:
        while time.monotonic() < until:
            recorder.add(frame, time.perf_counter())
            time.sleep(0.01)

    with pytest.raises(RuntimeError, match="the encoder broke"):
        record()
    with pytest.raises(RuntimeError, match="the encoder broke"):
        recorder.close()


def test_a_recording_keeps_its_size_and_the_shape_of_what_it_shows(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "rec.mp4", 64, 48)
    beside = np.zeros((48, 128, 3), np.uint8)  # with the camera's picture on the left
    for left in (20, 84):
        beside[12:36, left : left + 24] = 255
    recorder.add(beside, 0.0)
    recorder.close()
    (frame,) = read_frames(tmp_path / "rec.mp4")
    light = frame.planes.mean(0) > 128
    assert light[:, :32].any(1).sum() == light[:, :32].any(0).sum() == 12


def test_a_recording_that_fails_at_its_end_is_said(tmp_path: Path) -> None:
    target = tmp_path / "rec.mp4"
    target.mkdir()
    recorder = Recorder(target, 64, 48)
    recorder.add(np.zeros((48, 64, 3), np.uint8), 0.0)
    with pytest.raises(FileError, match="it is a folder"):
        recorder.close()


def test_no_display_is_said_before_the_window_library_ends_the_process(
    make_clip: Make, negative: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    clip = str(make_clip())
    for display, said in (("", "no display"), (":973", "':973' cannot be opened")):
        monkeypatch.setenv("DISPLAY", display)
        assert main(["webcam", "--style", str(negative), "--source", clip]) == 2
        assert said in capsys.readouterr().err


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual X server."""
    for tool in ("Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    # Without -noreset the server starts over if a first client has left, and a second that just comes is turned away.
    command = ["Xvfb", "-displayfd", "1", "-noreset", "-screen", "0", "800x600x24"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout is not None
    yield f":{server.stdout.readline().decode().strip()}"
    server.terminate()
    server.communicate(timeout=120)


def test_keys_in_a_real_window(display: str, make_clip: Make, negative: Path, same: Path, tmp_path: Path) -> None:
    frame = np.full((3, 240, 320), 40, np.uint8)
    frame[0] = 220  # red; its negative is cyan
    clip = make_clip(frames=[frame] * 1500, times=list(range(0, 7500, 5)))  # five minutes
    environment = {"DISPLAY": display, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "fast_style", "webcam", "--style", str(same), str(negative)]
    process = subprocess.Popen(
        [*command, "--source", str(clip), "--stills", str(tmp_path), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def tool(*command: str) -> str:
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True).stdout

    def wait(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not what():
            assert time.monotonic() < deadline, "nothing came"
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)

    def color() -> list[int]:
        """The color in the lower half of the window, far from any text."""
        pixel = ImageGrab.grab(xdisplay=display).convert("RGB").getpixel((240, 300))
        assert isinstance(pixel, tuple)
        return [int(value) for value in pixel]

    def shows(red: bool) -> bool:
        pixel = color()
        return (pixel[0] > 150 > pixel[1]) if red else (pixel[1] > 150 > pixel[0])

    try:
        wait(lambda: bool(tool("xdotool", "search", "--name", "^fast-style$").strip()))
        window = tool("xdotool", "search", "--name", "^fast-style$").split()[0]
        tool("xdotool", "windowfocus", window)
        wait(lambda: shows(red=True))
        tool("xdotool", "key", "--window", window, "n")
        wait(lambda: shows(red=False))
        tool("xdotool", "key", "--window", window, "s")
        wait(lambda: any(tmp_path.glob("negative-*.png")))
        tool("xdotool", "key", "--window", window, "q")
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["frames"] >= 3  # before and after a key, and the still
    assert err.splitlines()[-1].startswith("saved ")
    assert "Qt" not in err


@pytest.mark.parametrize("late", [False, True], ids=["manager first", "window first"])
def test_full_screen_puts_the_frame_between_black_bars(late: bool, display: str) -> None:
    if shutil.which("openbox") is None:
        pytest.skip("openbox is not installed")  # without a window manager no window fills the screen
    environment = {**os.environ, "DISPLAY": display}
    code = """
import numpy as np, sys
from fast_style.live.window import Controls, Window
window, frame = Window(), np.full((180, 320, 3), (40, 40, 220), np.uint8)
while window.key() is None:
    window.show(frame, Controls(full_screen=True))
"""
    manager, window = ["openbox"], [sys.executable, "-c", code]
    running: list[subprocess.Popen[bytes]] = []
    deadline = time.monotonic() + 180

    def wait(what: Callable[[], bool]) -> None:
        while not what():
            assert time.monotonic() < deadline, column()
            assert all(process.poll() is None for process in running)
            time.sleep(0.05)

    def column() -> list[object]:
        screen = ImageGrab.grab(xdisplay=display).convert("RGB")  # 800 by 600 px; the frame takes 450 rows
        return [screen.getpixel((400, y)) for y in (70, 80, 300, 520, 530)]

    def answers(*command: str) -> bool:
        done = subprocess.run(["xdotool", *command], env=environment, check=False, capture_output=True)
        return done.returncode == 0

    def start(command: list[str]) -> None:
        running.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))

    try:
        start(window if late else manager)
        wait(lambda: answers(*(("search", "--name", "^fast-style$") if late else ("get_num_desktops",))))
        start(manager if late else window)
        bars, picture = (0, 0, 0), (220, 40, 40)
        wait(lambda: column() == [bars, picture, picture, picture, bars])
    finally:
        for started in running:
            started.kill()
            started.communicate()


@pytest.mark.parametrize(
    ("frame", "screen", "shape"),
    [((180, 320), (800, 600), (240, 320)), ((300, 100), (800, 600), (300, 400)), ((90, 160), (1920, 1080), (90, 160))],
)
def test_letterbox_takes_the_ratio_of_the_screen(
    frame: tuple[int, int], screen: tuple[int, int], shape: tuple[int, int]
) -> None:
    boxed = letterbox(np.full((*frame, 3), 200, np.uint8), *screen)
    assert boxed.shape[:2] == shape
    assert boxed.astype(int).sum() == 200 * 3 * frame[0] * frame[1]
    assert (boxed[shape[0] // 2, shape[1] // 2] == 200).all()


def test_the_dark_rim_of_text_lies_around_it() -> None:
    picture = write_lines(np.full((480, 640, 3), 128, np.uint8), ["starry-night  25 frames/s  17 ms"])
    dark, light = (np.flatnonzero(found.any(axis=(0, 2))) for found in (picture < 100, picture > 200))
    assert 0 < light[0] - dark[0] <= 3
    assert 0 < dark[-1] - light[-1] <= 3


@pytest.mark.parametrize(
    ("period", "asked", "painted"),
    [(60.0, None, 3), (1e-9, None, 1), (1e-9, 2, 2)],
    ids=["a slow camera", "a fast camera", "a number that was asked for"],
)
def test_a_camera_is_painted_in_as_many_passes_as_keep_up(
    period: float, asked: int | None, painted: int, make_clip: Make
) -> None:
    said: list[str] = []
    with closing(Capture(str(make_clip(frames=moving_square(2, 640, 480))))) as capture:
        capture.period = period
        live = Live(
            capture=capture,
            stylizers=[Stylizer("great-wave-tiny")],
            display=None,
            passes=asked,
            seconds=0.0,
            say=said.append,
        )
        live.run()
    assert live.passes == painted
    assert said == ["painting in 1 of 3 passes, to keep up; --passes sets their number"] * (painted == 1)


@pytest.mark.parametrize(("style", "strength"), [("great-wave-tiny", 2.0), ("starry-night-tiny", 1.0)])
def test_who_asks_for_what_one_pass_does_not_show_is_told(style: str, strength: float, make_clip: Make) -> None:
    said: list[str] = []
    with closing(Capture(str(make_clip(frames=moving_square(2, 640, 480))))) as capture:
        capture.period = 1e-9
        stylizers = [Stylizer(style, strength=strength)]
        Live(capture=capture, stylizers=stylizers, display=None, seconds=0.0, say=said.append).run()
    assert said[0].endswith("sets their number, and strength and ground show only in several")
