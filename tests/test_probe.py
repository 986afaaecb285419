"""The sections of docs/files.md that take seconds to try anew, and that nothing in it is wrong."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> Any:
    loader = SourceFileLoader("probe_files", str(ROOT / "scripts" / "probe_files"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("section", ["Orientation", "Animations"])
def test_the_page_says_what_becomes_of_files(section: str, script: Any) -> None:
    (part,) = script.probed([section])
    assert part in PAGE


def test_the_page_has_every_section_and_nothing_wrong_in_it(script: Any) -> None:
    assert [line[3:] for line in PAGE.splitlines() if line.startswith("## ")] == [*script.SECTIONS]
    assert not [line for line in PAGE.splitlines() if line.startswith("|") and "**" in line]
