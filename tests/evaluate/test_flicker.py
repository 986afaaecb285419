from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.evaluate import motion
from fast_style.evaluate.flicker import filmed, measure_films, measure_motion, warp
from fast_style.evaluate.motion import KINDS, Moment, play
from fast_style.images import Pixels, load_image
from tests.conftest import PHOTOS

cv2 = pytest.importorskip("cv2")


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


def scene(frames: int = 4) -> list[Moment]:
    return list(play("pan", load_image(PHOTOS["coffee"]).pixels[80:280, 60:360], frames=frames))


def test_noise_in_each_frame_is_flicker_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "NOISE", 0.0)
    camera = noisy(20.0)
    plain = measure_motion([moment.frame for moment in scene()], scene())
    noise = measure_motion([camera(moment.frame) for moment in scene()], scene())
    # Two independent noises differ by 20·√2 with a mean absolute value of √(2/π) times that; warping blurs a little.
    assert 10.0 < noise.error < 20 * np.sqrt(2) * np.sqrt(2 / np.pi) + plain.error
    assert noise.relative > 3.0


def test_paler_style_does_not_count_as_steadier() -> None:
    found = measure_motion([(moment.frame // 4 + 96).astype(np.uint8) for moment in scene()], scene())
    assert found.error < 0.5 * found.photos
    assert found.relative == pytest.approx(1.0, abs=0.35)


def still_film(frames: int = 12) -> list[Moment]:
    """A camera's noise over a scene that stands still."""
    photo = load_image(PHOTOS["coffee"]).pixels[80:240, 60:300]
    camera, flow = noisy(3.0), np.zeros((*photo.shape[:2], 2), np.float32)
    return [Moment(camera(photo), flow, np.ones(photo.shape[:2], bool)) for _ in range(frames)]


def alone(style: Stylizer, film: list[Moment]) -> list[Pixels]:
    """Each frame as a photo."""
    return [style.frame(moment.frame) for moment in film]


def test_steadily_halves_the_flicker_of_a_still_scene() -> None:
    film, style = still_film(), Stylizer("starry-night-tiny")
    plain, steady = (measure_motion(drawn, film) for drawn in (alone(style, film), filmed(style, film)))
    assert steady.error < 0.5 * plain.error
    assert steady.photos == plain.photos
    assert steady.contrast > 0.9 * plain.contrast


def test_a_film_of_a_camera_that_moves_flickers_less_than_its_frames_alone_and_steadily_half() -> None:
    style = Stylizer("starry-night")
    film = list(play("pan", load_image(PHOTOS["coffee"]).pixels, frames=6))
    plain, together, steady = (
        measure_motion(drawn, film)
        for drawn in (alone(style, film), filmed(style, film, steady=False), filmed(style, film))
    )
    assert together.error < 0.85 * plain.error
    assert steady.error < 0.5 * plain.error
    assert steady.contrast > 0.9 * plain.contrast


def test_each_way_to_draw_a_film_is_measured(negative: Path) -> None:
    photo = load_image(PHOTOS["coffee"]).pixels[80:208, 60:188]
    found = measure_films({"negative": Stylizer(negative), "tiny": Stylizer("starry-night-tiny")}, [photo])
    assert set(found) == {f"{way}{kind}" for way in ("", "film ", "no-steady ") for kind in KINDS}
    assert all(set(models) == {"negative", "tiny"} for models in found.values())
    assert found["pan"]["negative"].error == pytest.approx(found["pan"]["negative"].photos, rel=0.01)
