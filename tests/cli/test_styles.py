from __future__ import annotations

from pathlib import Path

import pytest

from fast_style.cli import main
from fast_style.styles.catalog import Style


@pytest.mark.parametrize("title", ["[untitled]", "[/b]", "[bold]Wave[/bold]", ":wave:"])
def test_a_title_is_shown_as_it_is_written(
    title: str, same: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    style = Style("wave", same, {"paintings": {"wave": {"title": title}}})
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("fast_style.cli.styles.own_paths", lambda: ["wave"])
    monkeypatch.setattr("fast_style.cli.styles.find_style", lambda name: style)
    assert main(["styles"]) == 0
    assert title in capsys.readouterr().out
