"""Styles inside masks of films, which may move."""

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import InputError
from fast_style.films.video import VideoOptions, stylize_video
from fast_style.images import load_image
from fast_style.photos.jobs import numbered_files
from tests.conftest import PHOTOS

ONE, ONE_OF_TEN, OTHER = "great-wave-tiny", "water-lilies", "composition-vii"
WIDTH, HEIGHT, FRAMES = 96, 64, 4
LEFT, RIGHT = slice(0, WIDTH // 2), slice(WIDTH // 2, WIDTH)
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered pictures of a pan, a still, and masks: all, none, the left and the right half."""
    folder = tmp_path_factory.mktemp("films")
    photo = Image.open(PHOTOS["coffee"]).convert("RGB").resize((2 * WIDTH, 2 * HEIGHT))
    for number in range(FRAMES):
        for name, left in (("pan", 4 * number), ("still", 0)):
            photo.crop((left, 30, left + WIDTH, 30 + HEIGHT)).save(folder / f"{name}-{number}.png")
    everywhere = half(LEFT) | half(RIGHT)
    masks = {"all": everywhere, "none": 0 * everywhere, "left": half(LEFT), "right": half(RIGHT)}
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def moving(make_clip: Make) -> Path:
    """A mask that is white on the left in its first frame, and on the right in its second and last."""
    return make_clip("mask.mkv", frames=[np.stack([half(side)] * 3) for side in (LEFT, RIGHT)])


def half(side: slice) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, side] = 255
    return mask


def pictures(pattern: Path) -> list[np.ndarray]:
    return [load_image(file).pixels.astype(np.int16) for file in numbered_files(pattern)]


def painted(film: Path, style: str, *masks: Path, **options: Any) -> list[np.ndarray]:
    out = film.parent / f"out-{len(list(film.parent.glob('out-*')))}" / "%d.png"
    look = VideoOptions(masks=masks, **{"steady": False, **options})
    stylize_video(film, out, Stylizer(style, threads=1), look, workers=2)
    return pictures(out)


@pytest.mark.parametrize(
    "options", [{}, {"steady": True}, {"blend": 0.6, "keep_colors": True}, {"side_by_side": True}], ids=str
)
def test_a_white_mask_changes_nothing(folder: Path, options: dict[str, Any]) -> None:
    film = folder / "pan-%d.png"
    masked, plain = painted(film, ONE, folder / "all.png", **options), painted(film, ONE, **options)
    assert np.abs(np.stack(masked) - plain).max() <= 2


def test_the_film_stays_where_its_mask_is_black(folder: Path) -> None:
    film = folder / "pan-%d.png"
    np.testing.assert_array_equal(painted(film, ONE, folder / "none.png"), pictures(film))
    for frame, photo in zip(painted(film, ONE, folder / "left.png"), pictures(film), strict=True):
        np.testing.assert_array_equal(frame[:, RIGHT], photo[:, RIGHT])
        assert np.abs(frame - photo)[:, LEFT].mean() > 5


def test_two_styles_share_a_film(folder: Path) -> None:
    film, masks = folder / "pan-%d.png", [folder / "left.png", folder / "right.png"]
    both = painted(film, f"{ONE_OF_TEN},{OTHER}", *masks)
    for name, mask, side in zip((ONE_OF_TEN, OTHER), masks, (slice(0, 44), slice(52, WIDTH)), strict=True):
        alone = painted(film, name, mask)
        assert np.abs(np.stack(both) - alone)[:, :, side].max() <= 1
        assert np.abs(np.stack(both) - pictures(film))[:, :, side].mean() > 5


def test_a_moving_mask_moves_and_its_last_frame_stays(folder: Path, moving: Path) -> None:
    film = folder / "pan-%d.png"
    for number, change in enumerate(np.abs(np.stack(painted(film, ONE, moving)) - pictures(film))):
        inside, outside = (LEFT, slice(56, WIDTH)) if number == 0 else (RIGHT, slice(0, 40))
        assert change[:, inside].mean() > 5
        assert change[:, outside].max() <= 3


def test_numbered_pictures_are_a_moving_mask(folder: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("left", "right")):
        (tmp_path / f"mask-{number}.png").write_bytes((folder / f"{name}.png").read_bytes())
    film = folder / "pan-%d.png"
    first, second, *_ = painted(film, ONE, tmp_path / "mask-%d.png")
    np.testing.assert_array_equal(first[:, 56:], pictures(film)[0][:, 56:])
    np.testing.assert_array_equal(second[:, :40], pictures(film)[1][:, :40])


def test_start_and_fps_cut_and_repeat_a_mask_as_they_do_its_film(
    folder: Path, moving: Path, make_clip: Make, tmp_path: Path
) -> None:
    late = painted(folder / "pan-%d.png", ONE, moving, start=1 / 25)
    assert np.abs(late[0] - pictures(folder / "pan-%d.png")[1])[:, :40].max() <= 3
    clip = make_clip(frames=[np.moveaxis(frame, 2, 0).astype(np.uint8) for frame in pictures(folder / "still-%d.png")])
    doubled = painted(clip, ONE, moving, fps=Fraction(50))
    plain = painted(clip, ONE, folder / "none.png", fps=Fraction(50))
    changed = [float(np.abs(frame - photo)[:, :40].mean()) for frame, photo in zip(doubled, plain, strict=True)]
    assert min(changed[:2]) > 5 > max(changed[2:])


def test_a_moving_mask_leaves_no_trail_in_a_steady_film(folder: Path, moving: Path) -> None:
    film = folder / "still-%d.png"
    frames = painted(film, ONE, moving, steady=True)
    assert np.abs(frames[1] - pictures(film)[1])[:, :32].max() <= 3


def test_masks_that_cannot_be_used_are_explained(folder: Path, negative: Path, tmp_path: Path) -> None:
    Image.new("L", (64, 64), 255).save(tmp_path / "square.png")
    (tmp_path / "text.mp4").write_text("no video")
    with wave.open(str(tmp_path / "sound.mp4"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    left = folder / "left.png"
    for style, masks, message in (
        (ONE, ["square.png"], "another shape"),
        (ONE, ["missing.png"], "does not exist"),
        (ONE, ["missing.mp4"], "the mask .*missing.mp4 does not exist"),
        (ONE, ["text.mp4"], "the mask .*text.mp4 is not a video"),
        (ONE, ["sound.mp4"], "the mask .*sound.mp4 holds no video"),
        (ONE, ["missing-%d.png"], "no picture from 0 s on"),
        (ONE, [left, left], "2 masks for 1 style"),
        (str(negative), [left], "cannot be given masks"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            painted(folder / "pan-%d.png", style, *[tmp_path / mask for mask in masks])
        assert raised.value.hint or "does not exist" in message


def test_the_command_line_gives_masks_to_the_styles_of_a_film(
    folder: Path, moving: Path, make_clip: Make, tmp_path: Path
) -> None:
    clip = make_clip(frames=[np.moveaxis(frame, 2, 0).astype(np.uint8) for frame in pictures(folder / "pan-%d.png")])
    command = ["stylize", str(clip), "-s", f"{ONE_OF_TEN},{OTHER}", "-o", str(tmp_path / "out.mp4"), "--mask"]
    assert main([*command, str(moving), str(folder / "right.png")]) == 0
    assert (tmp_path / "out.mp4").is_file()
    assert main([*command, str(moving), str(moving), str(moving), "--force"]) == 2


def test_a_lost_picture_takes_its_mask_with_it(folder: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("left", "left", "right")):
        (tmp_path / f"mask-{number}.png").write_bytes((folder / f"{name}.png").read_bytes())
        (tmp_path / f"film-{number}.png").write_bytes((folder / f"pan-{number}.png").read_bytes())
    (tmp_path / "film-1.png").write_bytes(b"damaged")
    _, last = painted(tmp_path / "film-%d.png", ONE, tmp_path / "mask-%d.png")
    np.testing.assert_array_equal(last[:, :40], pictures(folder / "pan-%d.png")[2][:, :40])


def test_numbered_masks_are_not_written_over(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = tmp_path / "mask-1.png"
    mask.write_bytes((folder / "all.png").read_bytes())
    before, places = mask.read_bytes(), ["--mask", f"{tmp_path}/mask-%d.png", "-o", f"{tmp_path}/mask-%d.png"]
    assert main(["stylize", str(folder / "pan-%d.png"), "-s", ONE, *places, "--force"]) == 2
    assert "mask-1.png is an input and would be overwritten" in capsys.readouterr().err
    assert mask.read_bytes() == before
