"""The script that carries a style over to another network, driven as a user would, with few steps."""

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fast_style import Stylizer
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style
from tests.conftest import PHOTOS, write_photos

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "imitate"


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT), run_name="imitate")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


def run(script: dict[str, Any], *words: object) -> None:
    script["main"]([str(word) for word in (*words, "--size", 64, "--workers", 0)])


def apart(one: Path | str, other: Path | str) -> float:
    """Root mean square difference of two styles on a photo, in levels."""
    pictures = [np.asarray(Stylizer(style)(PHOTOS["chelsea"], passes=1), np.float32) for style in (one, other)]
    return math.sqrt(np.square(pictures[0] - pictures[1]).mean())


def test_a_new_network_comes_to_draw_the_teachers_pictures(
    script: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    few, more = tmp_path / "few.onnx", tmp_path / "more.onnx"
    for out, steps in ((few, 1), (more, 60)):
        run(script, "great-wave", photos, out, "--network", "tiny", "--steps", steps, "--batch", 2)
    assert apart(more, "great-wave") < 0.75 * apart(few, "great-wave")
    assert read_card(more)["network"] == "tiny"


def test_an_imitation_has_the_teachers_painting_and_says_what_it_imitates(
    script: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy.onnx"
    run(script, "udnie-tiny", photos, out, "--steps", 2)
    teacher, card = find_style("udnie-tiny").card, read_card(out)
    assert card["paintings"] == {"copy": teacher["paintings"]["udnie-tiny"]}  # a style has the name of its file
    assert (card["imitation"]["of"], card["imitation"]["steps"]) == (teacher["sha256"], 2)
    # It starts from the teacher's weights.
    assert apart(out, "udnie-tiny") < 20


def test_each_painting_of_a_file_of_many_can_also_be_written_alone(
    script: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "many.onnx"
    run(script, "ten", photos, out, "--steps", 2, "--batch", 1, "--alone", "night-cafe")
    assert read_card(out)["styles"] == find_style("ten").card["styles"]
    alone = tmp_path / "night-cafe.onnx"
    assert read_card(alone)["styles"] == ["night-cafe"]
    night = Stylizer(out).mixed({"night-cafe": 1.0})
    pictures = [np.asarray(each(PHOTOS["chelsea"], passes=1), int) for each in (Stylizer(alone), night)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    assert apart(alone, "night-cafe") < 30 < apart(alone, "water-lilies")
