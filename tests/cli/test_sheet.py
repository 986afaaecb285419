from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fast_style.cli import main
from fast_style.runtime.sheet import lay_out


def test_a_sheet_shows_each_picture_at_its_place() -> None:
    colours = ["red", "green", "blue"]
    sheet = np.asarray(lay_out([(name, Image.new("RGB", (40, 30), name)) for name in colours], columns=2))
    assert sheet[20, 20].tolist() == [255, 0, 0]
    assert sheet[20, 70].tolist() == [0, 128, 0]
    assert sheet[80, 20].tolist() == [0, 0, 255]
    assert sheet[80, 70].tolist() == [255, 255, 255]


def test_the_sheet_of_a_photo_holds_the_photo_and_its_styles(
    photo_folder: Path, model_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    arguments = ["sheet", str(photo_folder / "astronaut.png"), "--style", str(model_file), "-o", str(out)]
    assert main(arguments) == 0
    with Image.open(out) as image:
        assert image.size == (2 * (120 + 8) + 8, 96 + 30 + 8)
    assert main(arguments) == 2
