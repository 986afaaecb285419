"""``fast-style info``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.cli.model_description import print_model
from fast_style.styles import find_style


def info(model: Path, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Describe a model: what it says of itself, its operators and its cost.

    Args:
        model: The name of a shipped style, or an ONNX file.
        json: Print it for machines.
    """
    print_model(find_style(model).path, json=json)
