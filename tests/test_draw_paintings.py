"""The script that draws paintings to learn styles from."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "draw_paintings"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    script = runpy.run_path(str(SCRIPT), run_name="draw_paintings")
    script["main"].__globals__["FINE"] = 2  # edges are rougher, and it takes less time
    return script


@pytest.fixture(scope="module")
def drawn(script: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("drawn") / "new"
    script["main"]([str(folder)])
    return {path.stem: path for path in folder.iterdir()}


def test_three_paintings_of_1024_px_are_drawn(drawn: dict[str, Path]) -> None:
    assert set(drawn) == {"stained-glass", "engraving", "halftone"}
    for path in drawn.values():
        with Image.open(path) as picture:
            assert (picture.format, picture.mode, max(picture.size)) == ("JPEG", "RGB", 1024)


def test_no_large_part_of_them_is_empty(drawn: dict[str, Path]) -> None:
    for path in drawn.values():
        tiles = np.asarray(Image.open(path).convert("L"), np.float32).reshape(5, 160, 8, 128)
        assert tiles.std((1, 3)).min() > 15


def test_they_differ_from_each_other(drawn: dict[str, Path]) -> None:
    pictures = [np.asarray(Image.open(path), np.float32) for path in drawn.values()]
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 40


def test_one_is_the_same_when_it_is_drawn_again(script: dict[str, Any], drawn: dict[str, Path], tmp_path: Path) -> None:
    script["draw"](tmp_path / "engraving.jpg")
    assert (tmp_path / "engraving.jpg").read_bytes() == drawn["engraving"].read_bytes()
