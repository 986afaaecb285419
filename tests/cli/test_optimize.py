from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import Pixels
from fast_style.optimize import Outcome


def test_colors_that_a_photo_hides_are_not_optimized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(photo: Pixels, *rest: Any, **options: Any) -> Outcome:
        return Outcome(photo, last=None, interrupted=False)

    monkeypatch.setattr("fast_style.cli.optimize.optimize_picture", keep)
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    photo, out = str(tmp_path / "clear.png"), tmp_path / "out.png"
    assert main(["optimize", photo, photo, "-o", str(out)]) == 0
    assert Image.open(out).getpixel((9, 9)) == (255, 255, 255)
