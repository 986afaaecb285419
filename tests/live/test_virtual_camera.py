"""A virtual camera, through pyvirtualcam, whose backend here keeps the frames instead of showing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fast_style.cli import main
from fast_style.errors import CameraError
from fast_style.images import Pixels
from fast_style.live.virtual_camera import VirtualCamera
from tests.conftest import moving_square

pyvirtualcam = pytest.importorskip("pyvirtualcam")


class Kept:
    """A backend as pyvirtualcam's documentation describes one; it takes even sizes only."""

    opened: list[Kept]

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None) -> None:
        assert (width % 2, height % 2) == (0, 0)
        self.width, self.height, self.fps = width, height, fps
        self.fourcc, self.frames, self.closed = fourcc, list[Pixels](), False
        self.opened.append(self)

    def send(self, frame: Pixels) -> None:
        assert not self.closed
        assert frame.flags.c_contiguous
        self.frames.append(frame.reshape(self.height, self.width, 3).copy())

    def close(self) -> None:
        self.closed = True

    def device(self) -> str:
        return "/dev/video9"

    def native_fourcc(self) -> None:
        return None


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """The virtual cameras that were opened; there are no others on this machine."""
    Kept.opened = []
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {})
    pyvirtualcam.register_backend("kept", Kept)
    return Kept.opened


def test_other_programs_see_what_is_shown(
    opened: list[Kept], make_clip: Callable[..., Path], negative: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(frames=moving_square(20))
    assert main(["webcam", "-s", str(negative), "--source", str(clip), "--headless", "--virtual-camera"]) == 0
    assert capsys.readouterr().err == "virtual camera: /dev/video9, 64×48 px\n"
    (camera,) = opened
    assert camera.closed
    assert camera.fourcc == pyvirtualcam.util.encode_fourcc(pyvirtualcam.PixelFormat.BGR.value)
    assert len(camera.frames) > 3
    # The negative of (200, 60, 30), in blue, green and red: the square moves to the right, so this is not mirrored.
    first, last = (
        np.abs(frame.astype(int) - (225, 195, 55)).max(axis=2) < 20
        for frame in camera.frames[:: len(camera.frames) - 1]
    )
    assert np.flatnonzero(first.any(axis=0)).mean() < np.flatnonzero(last.any(axis=0)).mean()


def test_it_keeps_its_size_when_two_pictures_are_shown_side_by_side(opened: list[Kept]) -> None:
    camera = VirtualCamera(lambda text: None)
    camera.send(np.full((48, 64, 3), 200, np.uint8))
    camera.send(np.full((48, 128, 3), 200, np.uint8))
    plain, both = opened[0].frames
    assert (plain == 200).all()
    assert (both[12:36] == 200).all()
    assert (both[:11] == 0).all()
    assert (both[37:] == 0).all()


def test_odd_sides_become_even(opened: list[Kept]) -> None:
    camera = VirtualCamera(lambda text: None)
    camera.send(np.full((49, 65, 3), 200, np.uint8))
    (frame,) = opened[0].frames
    assert frame.shape == (48, 64, 3)
    assert (frame[1:-1, 1:-1] == 200).all()


def test_it_is_closed_once_though_it_was_never_opened(opened: list[Kept]) -> None:
    VirtualCamera(lambda text: None).close()
    assert opened == []


def test_a_machine_without_a_virtual_camera_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __init__(self, **_: object) -> None:
            raise RuntimeError("no device")

    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"absent": Absent})
    camera = VirtualCamera(lambda text: None)
    with pytest.raises(CameraError, match="no virtual camera can be opened: 'absent' backend: no device") as caught:
        camera.send(np.zeros((48, 64, 3), np.uint8))
    assert caught.value.hint == "On Linux load v4l2loopback, on Windows and macOS install OBS."
