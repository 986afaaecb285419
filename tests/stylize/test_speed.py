"""How fast a style runs: what cannot be measured is said, whichever thread it happens in."""

from pathlib import Path

import pytest

from fast_style.errors import ImageError
from fast_style.stylize.speed import measure_style


def test_a_style_has_a_speed(model_file: Path) -> None:
    live, file = measure_style(model_file, size=(64, 48), seconds=0.0)
    assert min(live, file) > 0


def test_a_size_that_a_style_does_not_take_is_refused(model_file: Path) -> None:
    with pytest.raises(ImageError, match="a picture of 8×8 px is too small"):
        measure_style(model_file, size=(8, 8), seconds=0.0)
