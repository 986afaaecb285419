"""Train a style from Python: ``python examples/train_style.py PAINTING PHOTOS OUT``.

Needs ``pip install '.[train]'``. It starts from a shipped style, so that 800 steps are enough, and writes the ONNX
file, its card and the checkpoint into OUT, like ``fast-style train``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from fast_style import FastStyleError
from fast_style.losses import BOLD
from fast_style.training import Outcome, Recipe, train_style


def main(painting: Path, photos: Path, out: Path, **changes: Any) -> Outcome:
    """Train a bolder style than the default.

    Args:
        painting: The style image.
        photos: A folder of photos.
        out: Where the results go.
        **changes: To the recipe, such as ``size=256``.

    Returns:
        What the run left.
    """
    recipe = Recipe("fast", objective=replace(BOLD, strength=1.5), **{"steps": 800, **changes})
    return train_style(painting, photos, out, recipe=recipe, init="starry-night", details={"license": "public domain"})


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/train_style.py PAINTING PHOTOS OUT")
    try:
        outcome = main(*map(Path, sys.argv[1:]))
    except FastStyleError as error:
        sys.exit(f"error: {error}")
    print(outcome.model, "differs from the network by", outcome.verification and outcome.verification.largest)
