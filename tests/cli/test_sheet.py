from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fast_style.cli import main


def test_the_sheet_of_a_photo_holds_the_photo_and_its_styles(
    photo_folder: Path, model_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    arguments = ["sheet", str(photo_folder / "astronaut.png"), "--style", str(model_file), "-o", str(out)]
    assert main(arguments) == 0
    with Image.open(out) as image:
        assert image.size == (2 * (120 + 6) + 6, 24 + 96 + 6 + 6)
    assert main(arguments) == 2


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
