from __future__ import annotations

from pathlib import Path

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
