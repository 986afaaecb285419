"""Styles inside masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import FastStyleError
from fast_style.images import to_float
from fast_style.styles.merge import merge_styles
from tests.conftest import PHOTOS

ONE, OTHER = "water-lilies", "composition-vii"
WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo, and masks: all of it, its left and its right half, and a soft ramp."""
    folder = tmp_path_factory.mktemp("masks")
    Image.open(PHOTOS["coffee"]).convert("RGB").resize((WIDTH, HEIGHT)).save(folder / "photo.png")
    left = np.zeros((HEIGHT, WIDTH), np.uint8)
    left[:, : WIDTH // 2] = 255
    ramp = np.broadcast_to(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, WIDTH))
    masks = {"all": left * 0 + 255, "left": left, "right": 255 - left, "ramp": ramp, "none": left * 0}
    for name, mask in masks.items():
        Image.fromarray(mask).save(folder / f"{name}.png")
    return folder


def pixels(image: Image.Image | Path) -> np.ndarray:
    return np.asarray(Image.open(image) if isinstance(image, Path) else image, np.int16)


def test_a_white_mask_changes_nothing(folder: Path) -> None:
    style, photo = Stylizer(ONE), folder / "photo.png"
    found = style(photo, masks={ONE: folder / "all.png"})
    assert np.abs(pixels(found) - pixels(style(photo))).max() <= 1


def test_the_photo_stays_where_no_mask_is_white(folder: Path) -> None:
    found = pixels(Stylizer(ONE)(folder / "photo.png", masks={ONE: folder / "left.png"}))
    photo = pixels(folder / "photo.png")
    np.testing.assert_array_equal(found[:, WIDTH // 2 :], photo[:, WIDTH // 2 :])
    assert np.abs(found[:, : WIDTH // 2] - photo[:, : WIDTH // 2]).mean() > 5


def test_statistics_are_taken_inside_the_mask(folder: Path, tmp_path: Path) -> None:
    """What lies outside, as bright as it may be, does not change what is painted inside but near its edge."""
    masks = {ONE: folder / "left.png"}
    photo = pixels(folder / "photo.png").astype(np.uint8)
    glaring = photo.copy()
    glaring[:, WIDTH // 2 + 24 :] = 255
    style = Stylizer(ONE)
    inside = slice(0, WIDTH // 8)
    masked, other = (pixels(style(Image.fromarray(one), masks=masks))[:, inside] for one in (photo, glaring))
    whole, changed = (pixels(style(Image.fromarray(one)))[:, inside] for one in (photo, glaring))
    assert np.abs(masked - other).mean() < 0.35 * np.abs(whole - changed).mean()


@pytest.mark.parametrize("side", [1, 4, 8])
def test_a_mask_of_a_few_pixels_is_painted(side: int, folder: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[-side:, -side:] = 255
    Image.fromarray(mask).save(folder / "corner.png")
    found = pixels(Stylizer(ONE)(folder / "photo.png", masks={ONE: folder / "corner.png"}, passes=3))
    np.testing.assert_array_equal(found[mask == 0], pixels(folder / "photo.png")[mask == 0])


def test_a_mask_of_equal_weights_measures_as_none_does(folder: Path) -> None:
    style, image = Stylizer(ONE).network, to_float(pixels(folder / "photo.png").astype(np.uint8))
    even = np.full((1, 1, HEIGHT, WIDTH), 0.5, np.float32)
    np.testing.assert_allclose(style.measure(image, mask=even), style.measure(image), rtol=2e-3, atol=2e-3)


def test_two_styles_share_a_picture_and_a_soft_edge_mixes_them(folder: Path) -> None:
    style, photo = Stylizer(f"{ONE},{OTHER}"), folder / "photo.png"
    found = pixels(style(photo, masks={ONE: folder / "left.png", OTHER: folder / "right.png"}))
    for name, side in ((ONE, "left"), (OTHER, "right")):
        alone = pixels(Stylizer(name)(photo, masks={name: folder / f"{side}.png"}))
        part = slice(0, WIDTH // 2) if side == "left" else slice(WIDTH // 2, WIDTH)
        assert np.abs(found[:, part] - alone[:, part]).max() <= 1
    soft = pixels(Stylizer(ONE)(photo, masks={ONE: folder / "ramp.png"}))
    change = np.abs(soft - pixels(photo)).mean(axis=(0, 2))
    assert change[:20].mean() < change[-20:].mean()


def test_a_mask_is_of_its_style_even_if_the_file_is_called_like_it(folder: Path, tmp_path: Path) -> None:
    file, out, photo = tmp_path / f"{ONE}.onnx", tmp_path / "out.png", folder / "photo.png"
    merge_styles([ONE, OTHER], file)
    (tmp_path / "other").mkdir()
    style = f"{file}#{ONE},{file}#{OTHER}"
    masks = {ONE: folder / "left.png", OTHER: folder / "right.png"}
    expected = pixels(Stylizer(f"{ONE},{OTHER}")(photo, masks=masks))
    assert np.abs(pixels(Stylizer(style)(photo, masks=masks)) - expected).max() <= 1
    # A single mask is still that of the whole mixture, or of the style that is painted without weights.
    merge_styles([OTHER, ONE], tmp_path / "other" / file.name)
    for text, painted in ((style, f"{ONE},{OTHER}"), (str(tmp_path / "other" / file.name), OTHER)):
        command = ["stylize", str(photo), "-s", text, "--mask", str(folder / "all.png"), "-o", str(out), "--force"]
        assert main(command) == 0
        assert np.abs(pixels(out) - pixels(Stylizer(painted)(photo))).max() <= 1


@pytest.mark.parametrize(
    ("style", "masks", "message"),
    [
        (ONE, {ONE: "none.png"}, "completely black"),
        (ONE, {ONE: "missing.png"}, "does not exist"),
        (ONE, {"nobody": "left.png"}, "no style 'nobody'"),
        (f"{ONE},{OTHER}", {"nobody": "left.png"}, "no style 'nobody'"),
    ],
)
def test_masks_that_cannot_be_used_are_explained(folder: Path, style: str, masks: dict[str, str], message: str) -> None:
    with pytest.raises(FastStyleError, match=message):
        Stylizer(style)(folder / "photo.png", masks={name: folder / path for name, path in masks.items()})


def test_a_mask_of_another_shape_is_refused_and_of_another_size_resized(folder: Path, tmp_path: Path) -> None:
    Image.new("L", (100, 100), 255).save(tmp_path / "square.png")
    with pytest.raises(FastStyleError, match="another shape"):
        Stylizer(ONE)(folder / "photo.png", masks={ONE: tmp_path / "square.png"})
    Image.new("L", (2 * WIDTH, 2 * HEIGHT), 255).save(tmp_path / "large.png")
    found = Stylizer(ONE)(folder / "photo.png", masks={ONE: tmp_path / "large.png"})
    assert np.abs(pixels(found) - pixels(Stylizer(ONE)(folder / "photo.png"))).max() <= 1


def test_the_command_line_gives_masks_to_styles_in_their_order(folder: Path, tmp_path: Path) -> None:
    out, photo = tmp_path / "out.png", str(folder / "photo.png")
    left, right = str(folder / "left.png"), str(folder / "right.png")
    assert main(["stylize", photo, "-s", f"{OTHER},{ONE}", "--mask", left, right, "-o", str(out)]) == 0
    masks = {OTHER: left, ONE: right}
    expected = Stylizer(f"{ONE},{OTHER}")(photo, masks=masks)
    np.testing.assert_array_equal(pixels(out), pixels(expected))
    assert main(["stylize", photo, "-s", ONE, "--mask", left, "-o", str(out), "--force"]) == 0
    assert main(["stylize", photo, "-s", ONE, "--mask", left, right, "-o", str(out), "--force"]) == 2


def test_the_mask_of_a_long_photo_is_shrunk_as_the_photo_is(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 50), (90, 120, 200)).save(tmp_path / "photo.png")
    Image.new("L", (2000, 50), 255).save(tmp_path / "mask.png")
    masks = {ONE: tmp_path / "mask.png"}
    assert Stylizer(ONE)(tmp_path / "photo.png", size=700, masks=masks).size == (700, 18)
