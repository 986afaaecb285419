"""Frames and borders: cut off to the canvas where they are, and never where they are not."""

import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from fast_style.cli import main
from fast_style.errors import CheckpointError, ImageError, InputError
from fast_style.images import Picture, Pixels, load_image
from fast_style.painting import crop_painting, find_style_size, form_size, scale_painting
from fast_style.training import Canvas, find_canvas
from fast_style.training.paintings import read_painting
from tests.conftest import PAINTING, PHOTOS, SKIMAGE

Box = tuple[int, int, int, int]
Framed = tuple[Pixels, Box]
UNFRAMED = [
    *PHOTOS.values(),
    *(
        SKIMAGE / f"{name}.png"
        for name in ("ihc", "brick", "grass", "gravel", "coins", "horse", "page", "text", "moon")
    ),
    *(SKIMAGE / name for name in ("camera.png", "hubble_deep_field.jpg", "motorcycle_left.png", "phantom.png")),
]
# Of the canvas' long side. The evidence is sought in a copy of 512 px, and the cut goes two pixels of it further in.
TOLERANCE = 0.015


def picture(name: str) -> Pixels:
    image = Image.open(PHOTOS[name]).convert("RGB")
    image.thumbnail((420, 420))
    return np.array(image)


def surround(canvas: Pixels, width: int, values: Callable[[int, int], NDArray[np.float64]]) -> Framed:
    """Lay a canvas on what ``values`` makes for (height, width), and compress it as a scan is."""
    height, wide = canvas.shape[0] + 2 * width, canvas.shape[1] + 2 * width
    whole = np.clip(values(height, wide), 0, 255).astype(np.uint8)
    whole[width:-width, width:-width] = canvas
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "JPEG", quality=85)
    return np.array(Image.open(file)), (width, width, wide - width, height - width)


def border(canvas: Pixels, width: int, color: tuple[int, int, int]) -> Framed:
    random = np.random.default_rng(0)
    return surround(canvas, width, lambda h, w: np.array(color) + random.normal(0, 2, (h, w, 3)))


def wooden_frame(canvas: Pixels) -> Framed:
    """A rounded moulding, mitred and lit from above, with grain along its length."""
    random = np.random.default_rng(0)
    width = canvas.shape[1] // 12

    def values(height: int, wide: int) -> NDArray[np.float64]:
        y, x = np.mgrid[:height, :wide]
        down, across = np.minimum(y, height - 1 - y), np.minimum(x, wide - 1 - x)
        profile = 90 + 70 * np.sin(np.pi * np.clip(np.minimum(down, across) / width, 0, 1))
        grain = np.where(down <= across, random.normal(0, 8, (height, 1)), random.normal(0, 8, (1, wide)))
        light = np.where(down <= across, np.where(y < height / 2, 15, -20), 0)
        wood = profile + grain + light + random.normal(0, 6, (height, wide))
        return np.asarray(wood[..., None] * np.array([1.0, 0.68, 0.38]), np.float64)

    return surround(canvas, width, values)


def on_a_wall(canvas: Pixels) -> Framed:
    """The wooden frame on a gray wall that gets darker downwards, with a soft shadow to the lower right."""
    framed, inner = wooden_frame(canvas)
    width = canvas.shape[1] // 7

    def values(height: int, wide: int) -> NDArray[np.float64]:
        shadow = Image.new("L", (wide, height), 0)
        shadow.paste(110, (width + 12, width + 12, wide - width + 12, height - width + 12))
        light = 1 - np.asarray(shadow.filter(ImageFilter.GaussianBlur(9))) / 255
        wall = 190 - 25 * np.arange(height)[:, None] / height + np.random.default_rng(1).normal(0, 4, (height, wide))
        return np.asarray((wall * light)[..., None] * np.array([1.0, 0.99, 0.97]), np.float64)

    whole, _ = surround(framed, width, values)
    left, top, right, bottom = (edge + width for edge in inner)
    return whole, (left, top, right, bottom)


def matted_and_framed(canvas: Pixels) -> Framed:
    matted, inner = border(canvas, canvas.shape[1] // 20, (240, 236, 225))
    whole, outer = wooden_frame(matted)
    left, top, right, bottom = (edge + outer[0] for edge in inner)
    return whole, (left, top, right, bottom)


FRAMES: dict[str, Callable[[Pixels], Framed]] = {
    "white mat": lambda canvas: border(canvas, 25, (250, 249, 246)),
    "black border": lambda canvas: border(canvas, 13, (4, 4, 4)),
    "hairline": lambda canvas: border(canvas, 3, (255, 255, 255)),
    "deep gray mat": lambda canvas: border(canvas, 60, (128, 128, 128)),
    "red border": lambda canvas: border(canvas, 20, (160, 20, 30)),
    "wooden frame": wooden_frame,
    "frame on a wall": on_a_wall,
    "mat in a frame": matted_and_framed,
}


@pytest.mark.parametrize("path", UNFRAMED, ids=lambda path: path.stem)
def test_a_picture_without_a_frame_is_left_whole(path: Path) -> None:
    assert find_canvas(load_image(path).pixels) is None


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "china", "flower"])
@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_cut_off_to_the_canvas(frame: str, name: str) -> None:
    canvas = picture(name)
    whole, expected = FRAMES[frame](canvas)
    found = find_canvas(whole)
    assert found is not None
    if frame != "hairline":  # which JPEG blurs into the canvas
        assert found.note.startswith("a frame was" if "frame" in frame else "a border of one color was")
    allowed = TOLERANCE * max(canvas.shape)
    assert all(abs(a - b) <= allowed for a, b in zip(found.box, expected, strict=True)), (found.box, expected)
    left, top, right, bottom = expected
    assert found.box[0] >= left
    assert found.box[1] >= top
    assert found.box[2] <= right
    assert found.box[3] <= bottom


def test_the_cut_leaves_nothing_of_an_exact_border() -> None:
    random = np.random.default_rng(0)
    whole = np.full((120, 160, 3), 255, np.uint8)
    whole[20:100, 30:130] = random.integers(0, 200, (80, 100, 3))
    note = "a border of one color was cut off: 32 px left, 22 px top, 32 px right, 22 px bottom"
    assert find_canvas(whole) == Canvas((32, 22, 128, 98), note)  # two pixels further in


def test_bars_above_and_below_are_cut_off_but_not_a_sky() -> None:
    canvas = picture("coffee")
    barred = np.pad(canvas, ((40, 40), (0, 0), (0, 0)))
    found = find_canvas(barred)
    assert found is not None
    box = found.box
    assert (box[0], box[2]) == (0, canvas.shape[1])
    assert abs(box[1] - 40) <= 2
    assert abs(box[3] - 40 - canvas.shape[0]) <= 2
    gray = np.pad(canvas, ((40, 0), (0, 0), (0, 0)), constant_values=128)
    assert find_canvas(gray) is None


def test_a_border_on_three_sides_is_kept() -> None:
    whole = np.pad(picture("chelsea"), ((30, 0), (30, 30), (0, 0)), constant_values=250)
    assert find_canvas(whole) is None


@pytest.mark.parametrize("make", ["flat", "noise", "gradient", "stripes", "tiny"])
def test_odd_pictures_are_left_whole(make: str) -> None:
    y, x = np.mgrid[:200, :260]
    pictures = {
        "flat": np.full((200, 260, 3), 90),
        "noise": np.random.default_rng(0).integers(0, 256, (200, 260, 3)),
        "gradient": np.stack([x * 255 // 260, y * 255 // 200, x * 0], -1),
        "stripes": np.repeat((y // 20 % 2 * 255)[..., None], 3, -1),
        "tiny": np.pad(np.full((8, 8, 3), 9), ((4, 4), (4, 4), (0, 0)), constant_values=255),
    }
    assert find_canvas(pictures[make].astype(np.uint8)) is None


def test_a_box_selects_that_part_and_is_checked() -> None:
    pixels = load_image(PAINTING).pixels
    half = pixels.shape[1] // 2
    found = crop_painting(Picture(pixels), [half, 0, pixels.shape[1], pixels.shape[0]], name="painting")
    assert np.array_equal(found.pixels, pixels[:, half:])
    assert scale_painting(found, 64, name="painting").shape == (1, 3, 64, 32)
    with pytest.raises(CheckpointError, match="has no part"):
        crop_painting(Picture(pixels), [0, 0, pixels.shape[1] + 1, 9], name="painting")
    with pytest.raises(CheckpointError, match="expected left, top, right, bottom"):
        crop_painting(Picture(pixels), [0, 0, 9], name="painting")


def test_training_tells_of_the_cut_records_it_and_keeps_a_frame_on_demand(
    photo_folder: Path, tmp_path: Path, narrow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painting = tmp_path / "framed.png"
    Image.fromarray(border(picture("chelsea"), 25, (250, 249, 246))[0]).save(painting)
    options = (
        "--network tiny --steps 1 --size 48 --batch 1 --style-size 64 --accelerator cpu --precision 32 --workers 0"
    )
    command = ["train", str(painting), str(photo_folder), "--vgg", str(narrow_file), *options.split()]
    assert main([*command, "-o", str(tmp_path / "cut")]) == 0
    told = capsys.readouterr().err
    assert "a border of one color was cut off" in told
    assert "--keep-frame keeps it" in told
    box = json.loads((tmp_path / "cut" / "framed.json").read_text())["paintings"]["framed"]["box"]
    assert all(20 <= edge <= 30 for edge in box[:2])
    assert main([*command, "-o", str(tmp_path / "kept"), "--keep-frame"]) == 0
    assert "cut off" not in capsys.readouterr().err
    assert "box" not in json.loads((tmp_path / "kept" / "framed.json").read_text())["paintings"]["framed"]
    resumed = ["--resume", str(tmp_path / "cut" / "framed.ckpt"), "--keep-frame"]
    assert main([*command, "-o", str(tmp_path / "cut"), *resumed]) == 2
    assert "was trained without the frame" in capsys.readouterr().err


def squares(side: int, long_side: int = 640) -> Pixels:
    """Squares of random grays."""
    count = -(-long_side // side)
    grays = np.random.default_rng(0).integers(0, 256, (count, count, 1), np.uint8)
    return grays.repeat(side, 0).repeat(side, 1).repeat(3, 2)[: 3 * long_side // 4, :long_side]


def test_forms_that_are_twice_as_large_are_found_twice_as_large() -> None:
    sizes = [form_size(squares(side)) for side in (10, 20, 40)]
    assert [large / small for small, large in pairwise(sizes)] == pytest.approx([2, 2], rel=0.15)


def test_only_a_painting_of_large_forms_is_taught_smaller_in_proportion_to_them() -> None:
    assert find_style_size(squares(10)) == 640
    assert find_style_size(squares(160)) == 320
    large = squares(40)
    taught = find_style_size(large)
    assert 320 < taught < 640
    shown = np.asarray(Image.fromarray(large).resize((taught, taught * 3 // 4), Image.Resampling.LANCZOS))
    assert form_size(np.tile(shown, (2, 2, 1))[:480, :640]) == pytest.approx(33, rel=0.15)


@given(scale=st.floats(0.5, 2.0), gray=st.integers(0, 255))
@settings(max_examples=10, deadline=None)
def test_the_size_does_not_depend_on_the_file_s_resolution_and_a_blank_has_640_px(scale: float, gray: int) -> None:
    large = Image.fromarray(squares(40))
    scaled = large.resize((round(640 * scale), round(480 * scale)), Image.Resampling.LANCZOS)
    # A file of half the resolution lacks the finest octave.
    assert find_style_size(np.asarray(scaled)) == pytest.approx(find_style_size(np.asarray(large)), rel=0.08)
    assert find_style_size(np.full((30, 40, 3), gray, np.uint8)) == 640


def test_training_tells_the_size_it_found_records_it_and_takes_a_given_one(
    photo_folder: Path, tmp_path: Path, narrow_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(squares(40)).save(painting := tmp_path / "large.png")
    options = "--network tiny --steps 1 --size 48 --batch 1 --accelerator cpu --precision 32 --workers 0"
    command = ["train", str(painting), str(photo_folder), "--vgg", str(narrow_file), *options.split()]
    found = find_style_size(np.asarray(Image.open(painting)))
    assert main([*command, "-o", str(tmp_path / "found")]) == 0
    assert f"taught at {found} px" in capsys.readouterr().err
    card = json.loads((tmp_path / "found" / "large.json").read_text())
    assert card["paintings"]["large"]["style_size"] == found
    assert main([*command, "-o", str(tmp_path / "given"), "--style-size", "96"]) == 0
    assert "taught at" not in capsys.readouterr().err
    card = json.loads((tmp_path / "given" / "large.json").read_text())
    assert card["paintings"]["large"]["style_size"] == 96


def test_without_its_grain_a_painting_has_planes_and_the_same_edges() -> None:
    planes = np.full((200, 300, 3), 60, np.uint8)
    planes[:, 150:] = 200
    grain = np.random.default_rng(0).normal(0, 12, planes.shape)
    picture = Picture((planes + grain).clip(0, 255).astype(np.uint8))
    rough, smooth = (scale_painting(picture, 300, smooth_at=at, name="painting")[0].numpy() for at in (None, 300))
    assert smooth[:, 10:-10, 10:130].std() < rough[:, 10:-10, 10:130].std() / 2
    step = smooth[:, 10:-10].mean((0, 1))
    assert step[153] - step[146] > 0.9 * (200 - 60) / 255


@pytest.mark.parametrize("size", [0, -1, 5000, 10**12, "640", 640.5, [640]])
def test_what_is_no_size_of_a_painting_is_refused(size: object) -> None:
    with pytest.raises(InputError, match="expected 1 to 4096"):
        scale_painting(load_image(PAINTING), size, name="painting")  # type: ignore[arg-type]


def read(path: Path, size: int | None) -> Tensor:
    """Read a painting as a run does, whole and with its grain."""
    return read_painting(path, "s", size, previous=None, keep_frame=True, grain=True, details={}).image


def test_a_painting_of_one_pixel_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(ImageError, match="1×1 px is too small for a painting"):
        read(tmp_path / "dot.png", 64)


@pytest.mark.parametrize(("shape", "size"), [((3000, 20), 160), ((20, 3000), 160), ((3000, 20), None), ((64, 64), 15)])
def test_a_painting_that_becomes_too_narrow_is_refused(
    tmp_path: Path, shape: tuple[int, int], size: int | None
) -> None:
    Image.new("RGB", shape, (90, 30, 200)).save(tmp_path / "ribbon.png")
    with pytest.raises(ImageError, match=rf"{shape[0]}×{shape[1]} px is too narrow.*at least 16 px"):
        read(tmp_path / "ribbon.png", size)


def test_what_a_transparent_painting_hides_is_not_learned(tmp_path: Path) -> None:
    with Image.open(SKIMAGE / "coffee.png") as image:
        pixels = np.dstack([np.asarray(image.convert("RGB")), np.full((image.height, image.width), 255, np.uint8)])
    pixels[:, :200, 3] = 0
    paintings = []
    for hidden in (0, 200):
        pixels[:, :200, :3] = hidden
        Image.fromarray(pixels).save(tmp_path / f"{hidden}.png")
        paintings.append(read(tmp_path / f"{hidden}.png", 128))
    black, gray = paintings
    np.testing.assert_array_equal(black, gray)
