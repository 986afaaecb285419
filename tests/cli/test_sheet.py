from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.images import load_image
from fast_style.sheet import Tile, grid


def test_the_sheet_of_a_photo_holds_the_photo_and_its_styles(
    photo_folder: Path, model_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    arguments = ["sheet", str(photo_folder / "astronaut.png"), "--style", str(model_file), "-o", str(out)]
    assert main(arguments) == 0
    with Image.open(out) as image:
        assert image.size == (2 * (120 + 6) + 6, 24 + 96 + 6 + 6)
    assert main(arguments) == 2


def test_a_sheet_shows_each_strength_over_each_ground(photo_folder: Path, tmp_path: Path) -> None:
    gray, out = tmp_path / "gray.png", tmp_path / "sheet.png"
    Image.new("RGB", (320, 320), (120, 120, 120)).save(gray)
    arguments = ["sheet", str(gray), "-o", str(out), "--style", "starry-night-tiny", "--size", "320"]
    assert main([*arguments, "--strength", "0.5", "2", "--ground", "none", "flow"]) == 0
    sheet = np.asarray(Image.open(out).convert("RGB")).astype(int)
    tiles = [sheet[30 + 350 * row :, 6 + 326 * column :][:300, :300] for row in (0, 1) for column in (0, 1, 2)][:5]
    assert tiles[0].std() < 1
    shown = [
        np.asarray(Stylizer("starry-night-tiny")(gray, strength=strength, ground=ground))[:300, :300]
        for strength in (0.5, 2.0)
        for ground in ("none", "flow")
    ]
    for tile, expected in zip(tiles[1:], shown, strict=True):
        np.testing.assert_array_equal(tile, expected)


def test_a_mixture_is_labeled_with_what_was_asked_for(photo_folder: Path, tmp_path: Path) -> None:
    photo, out = photo_folder / "astronaut.png", tmp_path / "sheet.png"
    asked = {
        "udnie:0.9,night-cafe:0.1": "udnie:0.9, night-cafe:0.1",
        "ten#udnie": "ten#udnie",
        "starry-night-tiny:0.5": "starry-night-tiny",
    }
    assert main(["sheet", str(photo), "-o", str(out), "--size", "256", "--style", *asked]) == 0
    pictures = {"photo": load_image(photo, size=256).pixels}
    pictures |= {label: np.asarray(Stylizer(style)(photo, size=256)) for style, label in asked.items()}
    expected = grid([Tile(pixels, label) for label, pixels in pictures.items()], text=18)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)


def test_colors_that_a_photo_hides_are_not_on_its_sheet(same: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    out = tmp_path / "sheet.png"
    assert main(["sheet", str(tmp_path / "clear.png"), "--style", str(same), "-o", str(out)]) == 0
    pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert (pixels.max(axis=-1) - pixels.min(axis=-1)).max() < 8  # no red


@pytest.mark.parametrize("size", [0, 7])
def test_a_size_that_no_network_takes_is_refused(
    size: int, photo_folder: Path, same: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sheet", str(photo_folder / "astronaut.png"), "-s", str(same), "-o", str(tmp_path / "sheet.png")]
    assert main([*arguments, "--size", str(size)]) == 2
    assert capsys.readouterr().err.startswith(f"error: size is {size} px; expected at least ")
