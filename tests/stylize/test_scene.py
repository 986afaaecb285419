"""A style held over the frames of a scene."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.errors import ImageError, InputError
from fast_style.export.forms import pixels_in_and_out
from fast_style.images import Picture, Pixels, channels, to_float
from fast_style.model.checksum import CHECKSUM_KEY, add_checksum, read_checked
from fast_style.model.passes_graph import join_passes
from fast_style.model.statistics import Statistics
from fast_style.styles.catalog import find_style
from fast_style.stylize.animation import stylize_frames
from fast_style.stylize.look import Look
from fast_style.stylize.masks import Mask
from fast_style.stylize.network import StyleNetwork
from fast_style.stylize.passes import measure_passes
from fast_style.stylize.scene import Scene
from tests.conftest import PHOTOS


@pytest.fixture(scope="module")
def style() -> StyleNetwork:
    return Stylizer("great-wave-tiny", threads=1).network


def photo(name: str, width: int = 192, height: int = 128) -> Pixels:
    return np.array(Image.open(PHOTOS[name]).convert("RGB").resize((width, height)))


def drawn(scene: Scene, frames: Iterator[Pixels] | list[Pixels]) -> list[Pixels]:
    return [scene.style(channels(frame)).frame(frame) for frame in frames]


def passing(count: int = 90) -> Iterator[Pixels]:
    """A still photo through whose right half something bright goes."""
    still = photo("coffee")
    for number in range(count):
        frame = still.copy()
        if 30 <= number < 66:
            left = 192 - 2 * (number - 30)
            frame[10:118, max(96, left) : left + 60] = 250
        yield frame


def test_what_passes_on_the_right_leaves_the_left_alone(style: StyleNetwork) -> None:
    def change(pictures: list[Pixels]) -> float:
        left = np.stack(pictures)[:, :, :48].astype(np.float32)
        return float(np.abs(left - left[0]).mean((1, 2, 3)).max())

    each_by_itself = change([style.frame(frame) for frame in passing()])
    held = change(drawn(Scene(style), passing()))
    assert each_by_itself > 2
    assert held < each_by_itself / 10


def test_an_animation_is_painted_as_one_scene(style: StyleNetwork) -> None:
    frames = [(Picture(frame), 40.0) for frame in islice(passing(), 44)]
    painted = list(stylize_frames(style, frames, Look()))
    assert [time for _, time in painted] == [40.0] * 44
    left = np.stack([picture.pixels[:, :48] for picture, _ in painted]).astype(np.float32)
    assert float(np.abs(left - left[0]).mean((1, 2, 3)).max()) < 0.2


def test_an_animation_takes_masks_as_a_photo_does(style: StyleNetwork, tmp_path: Path) -> None:
    mask = np.zeros((128, 192), np.uint8)
    mask[:, :96] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    frame = photo("coffee")
    look = Look(masks=(tmp_path / "mask.png",))
    ((painted, _),) = stylize_frames(style, [(Picture(frame), 40.0)], look)
    assert (painted.pixels[:, 96:] == frame[:, 96:]).all()
    assert np.abs(painted.pixels[:, :96].astype(int) - frame[:, :96]).mean() > 10


def test_a_lamp_that_stays_on_changes_the_light(style: StyleNetwork) -> None:
    dark = (photo("coffee") * 0.5).astype(np.uint8)
    lit = dark.copy()
    lit[:, 110:] = np.clip(lit[:, 110:].astype(int) + 40, 0, 255)  # a part of the room, so that it is no cut
    frames = [dark] * 13 + [lit] * 240
    pictures = drawn(Scene(style), frames)
    goal = style.frame(lit).astype(np.float32)

    def distance(number: int) -> float:
        return float(np.abs(pictures[number] - goal).mean())

    assert distance(14) > 4 * distance(-1)
    steps = [float(np.abs(pictures[n].astype(int) - pictures[n - 1]).mean()) for n in range(15, len(pictures))]
    assert max(steps) < 0.5 * distance(14)


def test_a_cut_takes_over_the_new_scene_at_once(style: StyleNetwork) -> None:
    for first, second in (("coffee", "rocket"), ("china", "coffee")):
        scene = Scene(style)
        pictures = drawn(scene, [photo(first)] * 5 + [photo(second)])
        expected = style.frame(photo(second)).astype(int)
        assert np.abs(pictures[-1] - expected).max() <= 1


@pytest.mark.parametrize("start", ["black", "navy", "half as bright", "through black"])
def test_a_scene_that_fades_in_looks_as_if_it_had_begun_bright(style: StyleNetwork, start: str) -> None:
    bright = photo("coffee")
    even = np.array([5, 10, 60] if start == "navy" else [0, 0, 0])
    first = 12 if start == "half as bright" else 0
    fade = [(even + (bright - even) * (number / 24)).astype(np.uint8) for number in range(first, 24)]
    before = [bright, *fade[::-1], *[fade[0]] * 72] if start == "through black" else []
    (*_, found) = drawn(Scene(style), [*before, *fade, bright])
    (expected,) = drawn(Scene(style), [bright])
    bleached = Scene(style).style(channels(fade[0])).frame(bright)
    assert np.abs(found.astype(int) - expected).mean() < 0.25 * np.abs(bleached.astype(int) - expected).mean()


def test_a_pan_is_no_cut(style: StyleNetwork) -> None:
    wide = photo("china", 400, 128)
    scene = Scene(style)
    first, *others = [scene.style(channels(wide[:, shift : shift + 192])) for shift in range(0, 88, 8)]
    assert all(other is first for other in others)


def test_a_still_film_is_measured_but_not_made_anew(style: StyleNetwork) -> None:
    scene = Scene(style)
    frame = channels(photo("coffee"))
    first, *others = [scene.style(frame) for _ in range(60)]
    assert all(other is first for other in others)


@pytest.mark.parametrize(("rate", "expected"), [(12.5, [0, 96, 192, 216]), (48.0, [0, 192])])
def test_a_frame_a_second_is_looked_at_and_only_every_fourth_that_looks_alike_is_measured(
    style: StyleNetwork, monkeypatch: pytest.MonkeyPatch, rate: float, expected: list[int]
) -> None:
    measured = []

    def measure(network: StyleNetwork, frame: Pixels, *, passes: int, mask: Mask | None) -> Statistics:
        measured.append(number)
        return measure_passes(network, frame, passes=passes, mask=mask)

    monkeypatch.setattr("fast_style.stylize.scene.measure_passes", measure)
    still = photo("coffee")
    warmer = np.clip(still + np.array([20, 0, 0]), 0, 255).astype(np.uint8)
    scene = Scene(style, rate=rate)
    for number in range(240):
        scene.style(channels(still if number < 200 else warmer))
    assert measured == expected


def test_the_same_film_gives_the_same_pictures(style: StyleNetwork) -> None:
    frames = list(passing(40))
    once, again = (drawn(Scene(style), frames) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_a_style_from_elsewhere_is_taken_as_it_is(negative: str) -> None:
    stylizer = Stylizer(negative).network
    scene = Scene(stylizer)
    assert scene.style(channels(photo("coffee"))) is stylizer


@pytest.fixture(scope="module")
def pixels_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A style with pixels in and out, which cannot be measured in parts."""
    path = tmp_path_factory.mktemp("scene") / "pixels.onnx"
    model = pixels_in_and_out(onnx.load(find_style("udnie-tiny").path))
    metadata = {**Stylizer("udnie-tiny").network.metadata, "range": "0-255"}
    del metadata[CHECKSUM_KEY], model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    path.write_bytes(add_checksum(model.SerializeToString()))
    return path


@pytest.mark.parametrize("passes", [None, 1, 3])
@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_a_frame_of_a_style_that_sees_no_parts_is_the_photo_it_would_be(
    pixels_file: Path, passes: int | None, strength: float
) -> None:
    stylizer, frame = Stylizer(pixels_file, strength=strength), photo("china", 320, 200)
    painter = Scene(stylizer.network, passes=passes).style(channels(frame))
    expected = np.asarray(stylizer(frame, passes=passes, blend=0.8, keep_colors=True))
    assert stylizer.network.count_passes(320, 200) == 2
    np.testing.assert_array_equal(painter.frame(frame, blend=0.8, keep_colors=True), expected)


def test_a_film_in_other_passes_than_a_file_paints_in_by_itself_is_refused(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "itself.onnx"
    path.write_bytes(add_checksum(join_passes([read_checked(model_file)] * 3)))
    network, frame = Stylizer(path).network, photo("coffee")
    with pytest.raises(InputError, match=r"passes is 2, but .*itself\.onnx paints in 3 by itself"):
        Scene(network, passes=2)
    for scene in (Scene(network), Scene(network, passes=3)):
        np.testing.assert_array_equal(scene.style(channels(frame)).frame(frame), network.frame(frame))
        scene.close()


def test_a_number_of_passes_out_of_range_is_refused(style: StyleNetwork) -> None:
    with pytest.raises(InputError, match="passes is 0; expected 1 to 8"):
        Scene(style, passes=0)


def test_measuring_beside_the_film_counts_later(style: StyleNetwork) -> None:
    scene = Scene(style, background=True)
    dark = (photo("coffee") * 0.5).astype(np.uint8)
    light = dark.copy()
    light[:, 96:] = np.clip(light[:, 96:].astype(int) + 60, 0, 255)
    first = scene.style(channels(dark))
    deadline = time.monotonic() + 20
    while scene.style(channels(light)) is first and time.monotonic() < deadline:
        time.sleep(0.005)
    assert scene.style(channels(light)) is not first
    scene.close()


def test_frames_too_small_for_a_network_are_refused_in_our_words(style: StyleNetwork) -> None:
    with pytest.raises(ImageError, match="a picture of 12×8 px is too small"):
        Scene(style).style(channels(np.zeros((8, 12, 3), np.uint8)))


def test_a_mask_that_has_grown_is_measured_anew(style: StyleNetwork) -> None:
    """The first pixels of what enters a picture are not what it is painted by."""
    frame, image = channels(photo("coffee")), to_float(photo("coffee"))
    scene, mask = Scene(style), np.zeros((128, 192), np.float32)
    mask[:, :2] = 1
    scene.style(frame, mask)
    mask[:, :40] = 1
    begun = scene.style(frame, mask)
    expected = style.fixed(style.measure(image, mask=mask[None, None]))
    np.testing.assert_array_equal(begun.frame(photo("coffee")), expected.frame(photo("coffee")))
    mask[:, :60] = 1
    assert scene.style(frame, mask) is begun


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_a_frame_is_painted_in_the_same_passes_as_a_photo(style: StyleNetwork, passes: int) -> None:
    frame = photo("china", 320, 200)
    scene = Scene(style, passes=passes)
    painted = scene.style(channels(frame)).frame(frame).astype(int)
    apart = [
        np.abs(painted - np.asarray(Stylizer("great-wave-tiny", threads=1)(frame, passes=other))).mean()
        for other in (1, 2, 3)
    ]
    assert apart[passes - 1] < 0.5  # a photo's drafts are rounded to 8 bits
    assert all(distance > 2 for other, distance in enumerate(apart, 1) if other != passes)


def test_by_default_a_film_is_painted_in_as_many_passes_as_a_photo_of_its_size(style: StyleNetwork) -> None:
    frame = photo("china", 320, 200)
    by_default, in_two = (Scene(style, passes=passes).style(channels(frame)).frame(frame) for passes in (None, 2))
    assert np.array_equal(by_default, in_two)


def test_strokes_of_every_pass_move_with_the_camera(style: StyleNetwork) -> None:
    height, width, step = 900, 1200, 48
    wide = photo("china", width + step, height)
    before, after = wide[:, :width], wide[:, step:]
    network = Scene(style, passes=3).style(channels(before))
    painted = [np.empty((3, height, width), np.uint8) for _ in range(3)]
    network.planes(channels(before), painted[0])
    network.planes(channels(after), painted[1], origin=(0, step))
    network.planes(channels(after), painted[2])  # as if the camera stood still
    rows, left, right = slice(440, 460), 560, 640  # farther from the borders than the first pass sees
    shown = painted[0][:, rows, left + step : right + step].astype(int)
    with_it, without = (np.abs(shown - picture[:, rows, left:right]).mean() for picture in painted[1:])
    assert with_it < 0.2
    assert without > 1
