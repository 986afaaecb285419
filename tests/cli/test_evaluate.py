from __future__ import annotations

import pytest
from rich.console import Console

from fast_style.cli.evaluate import _tabulate

LINES = [
    ["", "total", "= iterations", *(f"figure {number}" for number in range(14))],
    ["unstyled", "23.503", "", *["0.43 (1.1)"] * 14],
    ["reference 30", "1.428", "", *["0.67 (1.2)"] * 14],
    ["starry-night", "1.943", "17.8", *["0.01 (1.0)"] * 14],
]


@pytest.mark.parametrize("width", [60, 80, 240])
def test_every_figure_is_whole_in_a_terminal_of_any_width(width: int) -> None:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(_tabulate(LINES, width))
    shown = capture.get()
    assert "…" not in shown
    for name in LINES[0][1:]:
        assert name in shown
    assert shown.count("0.67 (1.2)") == 14
    # Wide: a line for each result; narrow: for each figure.
    assert len(shown.splitlines()) == (len(LINES) if width == 240 else len(LINES[0]))
