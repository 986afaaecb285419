from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import Pixels
from fast_style.optimize import Outcome


@pytest.fixture(autouse=True)
def _no_optimization(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(photo: Pixels, *rest: Any, **options: Any) -> Outcome:
        return Outcome(photo, last=None, interrupted=False)

    monkeypatch.setattr("fast_style.cli.optimize.optimize_picture", keep)


def test_colors_that_a_photo_hides_are_not_optimized(tmp_path: Path) -> None:
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    photo, out = str(tmp_path / "clear.png"), tmp_path / "out.png"
    assert main(["optimize", photo, photo, "-o", str(out)]) == 0
    assert Image.open(out).getpixel((9, 9)) == (255, 255, 255)


def test_memory_that_runs_out_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhaust(photo: Pixels, *rest: Any, **options: Any) -> Outcome:
        return Outcome(photo, last=None, interrupted=False, exhausted=True)

    def run_out(*rest: Any, **options: Any) -> Outcome:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    photo, out = str(tmp_path / "photo.png"), tmp_path / "out.png"
    for function, status in ((exhaust, 1), (run_out, 2)):
        monkeypatch.setattr("fast_style.cli.optimize.optimize_picture", function)
        assert main(["optimize", photo, photo, "-o", str(out), "--force"]) == status
        told = capsys.readouterr().err
        assert "memory ran out" in told
        assert "hint: Give a smaller --size" in told
    assert out.is_file()


def test_the_resolution_for_print_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.jpg", dpi=(300, 300))
    photo, out = str(tmp_path / "photo.jpg"), tmp_path / "out.jpg"
    assert main(["optimize", photo, photo, "-o", str(out)]) == 0
    with Image.open(out) as written:
        assert written.info["dpi"] == (300, 300)
