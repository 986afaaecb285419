from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.cli.evaluate import _flicker_lines, _load_scenes, _measure_flicker
from fast_style.errors import InputError
from fast_style.evaluate.flicker import (
    consistent_flow,
    filmed,
    measure_flicker,
    measure_motion,
    measure_stereo,
    motorcycle,
    read_clip,
    steadily,
    warp,
)
from fast_style.evaluate.models import Model
from fast_style.evaluate.motion import play
from fast_style.images import Pixels, channels, load_image
from fast_style.runtime.writing import VideoFormat, VideoWriter
from tests.conftest import PHOTOS

cv2 = pytest.importorskip("cv2")


def panned(frames: int = 4, step: int = 3) -> list[Pixels]:
    photo = load_image(PHOTOS["coffee"]).pixels[80:280]
    return [np.ascontiguousarray(photo[:, 60 + step * i : 360 + step * i]) for i in range(frames)]


def noisy(levels: float) -> Callable[[Pixels], Pixels]:
    random = np.random.default_rng(0)

    def stylize(pixels: Pixels) -> Pixels:
        return np.clip(pixels + random.normal(0, levels, pixels.shape), 0, 255).astype(np.uint8)

    return stylize


def test_warp_by_whole_pixels_is_a_shift() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    flow = np.zeros((8, 9, 2), dtype=np.float32)
    flow[..., 0] = 2
    assert np.array_equal(warp(image, flow)[:, :-2], image[:, 2:].astype(np.float32))


def test_flow_of_a_pan_is_the_pan() -> None:
    first, second = panned(2)
    flow, mask = consistent_flow(cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), first, second)
    assert np.median(flow[..., 0][mask]) == pytest.approx(3.0, abs=0.1)
    assert mask.mean() > 0.8


def test_unstyled_clip_is_as_steady_as_itself() -> None:
    found = measure_flicker(lambda pixels: pixels, panned())
    assert found.error == found.photos
    assert found.relative == pytest.approx(1.0)
    assert found.pairs == 3


def test_noise_in_each_frame_is_flicker_of_its_size() -> None:
    steady, flickering = (measure_flicker(stylize, panned()) for stylize in (lambda pixels: pixels, noisy(20.0)))
    # Two independent noises differ by 20·√2 with a mean absolute value of √(2/π) times that; warping blurs a little.
    assert 10.0 < flickering.error < 20 * np.sqrt(2) * np.sqrt(2 / np.pi) + steady.error
    assert flickering.relative > 3.0


def test_paler_style_does_not_count_as_steadier() -> None:
    found = measure_flicker(lambda pixels: (pixels // 4 + 96).astype(np.uint8), panned())
    assert found.error < 0.5 * found.photos
    assert found.relative == pytest.approx(1.0, abs=0.35)


def test_stereo_pair_agrees_with_itself_by_its_true_disparity() -> None:
    left, right, disparity = motorcycle()
    found = measure_stereo(lambda pixels: pixels, left, right, disparity)
    wrong = measure_stereo(lambda pixels: pixels, left, right, disparity + 6)
    assert found.relative == pytest.approx(1.0)
    assert found.photos < 6.0 < wrong.photos
    assert 0.6 < found.covered < 0.95


def test_one_frame_is_an_error() -> None:
    with pytest.raises(InputError, match="at least two frames"):
        measure_flicker(lambda pixels: pixels, panned(1))


def test_packaged_clip_is_read(clips: Path) -> None:
    frames = read_clip(clips / "bikes.mp4", frames=3, size=160)
    assert len(frames) == 3
    assert max(frames[0].shape) == 160
    assert measure_flicker(lambda pixels: pixels, frames).pairs == 2


def test_file_that_is_no_clip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no clip")
    with pytest.raises(InputError, match="cannot be read as a clip"):
        read_clip(tmp_path / "clip.mp4", frames=2, size=100)
    with pytest.raises(InputError, match="is not a file"):
        read_clip(tmp_path / "nowhere.mp4", frames=2, size=100)


def sharpened(pixels: Pixels) -> Pixels:
    """Stands in for a style that makes much of little."""
    image = pixels.astype(np.float32)
    return np.asarray(np.clip(3 * image - 2 * cv2.blur(image, (5, 5)), 0, 255), np.uint8)


def still_film(frames: int = 12) -> list[Pixels]:
    """A camera's noise over a scene that stands still."""
    photo = load_image(PHOTOS["coffee"]).pixels[80:240, 60:300]
    camera = noisy(3.0)
    return [camera(photo) for _ in range(frames)]


def test_steadily_halves_the_flicker_of_a_still_scene() -> None:
    frames = still_film()
    plain, steady = measure_flicker(sharpened, frames), measure_flicker(steadily(sharpened), frames)
    assert steady.error < 0.5 * plain.error
    assert steady.photos == plain.photos
    assert steady.contrast > 0.9 * plain.contrast


def test_each_clip_is_steadied_with_a_memory_of_its_own() -> None:
    first, other = still_film(2), panned(2)
    one, two = steadily(sharpened), steadily(sharpened)
    two(first[0])
    assert np.array_equal(one(other[0]), sharpened(other[0]))


def test_a_film_of_a_camera_that_moves_flickers_less_than_its_frames_alone_and_steadily_half() -> None:
    style = Stylizer("starry-night")
    film = list(play("pan", load_image(PHOTOS["coffee"]).pixels, frames=6))
    alone, together, steady = (
        measure_motion(draw, film) for draw in (style.frame, filmed(style), filmed(style, steady=True))
    )
    assert together.error < 0.85 * alone.error
    assert steady.error < 0.6 * alone.error
    assert steady.contrast > 0.9 * alone.contrast


def test_evaluate_puts_plain_and_steady_side_by_side(tmp_path: Path) -> None:
    frames = [np.full((48, 64, 3), 90, np.uint8) + noisy(3.0)(np.full((48, 64, 3), 20, np.uint8)) for _ in range(3)]
    clip = tmp_path / "clip.mp4"
    writer = VideoWriter(clip, VideoFormat(64, 48, Fraction(25), Fraction(1, 25)))
    for number, frame in enumerate(frames):
        writer.add(channels(frame), number)
    writer.close()
    model = Model("inverse", tmp_path / "inverse.onnx", "onnx", lambda image: 1 - image)
    scenes = _load_scenes(clip, 3, stereo=False)
    found = _measure_flicker([model], scenes, steady=True)
    assert list(found) == ["video", "steady video"]
    assert found["video"]["inverse"]["pairs"] == found["steady video"]["inverse"]["pairs"] == 2
    assert [line.split(":")[0] for line in _flicker_lines(found)] == [
        "Flicker of inverse on the video",
        "Flicker of inverse on the steady video",
    ]
    assert list(_measure_flicker([model], scenes, steady=False)) == ["video"]


def test_steady_without_a_clip_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "x.onnx", "--style", "x.jpg", "--photos", str(tmp_path), "--steady"]) == 2
    assert "hint: Give a clip with --video, or --motion." in capsys.readouterr().err
