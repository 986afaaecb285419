"""Train a style from Python: ``python examples/train_style.py PAINTING PHOTOS OUT``.

Needs ``pip install '.[train]'``. It starts from a shipped style, so that 800 steps are enough, and writes the
ONNX file, its card and the checkpoint into OUT, like ``fast-style train``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fast_style.perceptual import Objective
from fast_style.training import Outcome, Recipe, train_style


def main(
    painting: Path, photos: Path, out: Path, *, steps: int = 800, size: int = 256, vgg: str = "caffe-vgg19"
) -> Outcome:
    """Train a bolder style than the default, with relu5_1 among its style layers.

    Returns:
        What the run left.
    """
    objective = Objective(strength=1.5, style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))
    recipe = Recipe(network="fast", steps=steps, size=size, vgg=vgg, objective=objective)
    return train_style(painting, photos, out, recipe=recipe, init="starry-night", details={"licence": "public domain"})


if __name__ == "__main__":
    outcome = main(*map(Path, sys.argv[1:4]))
    print(outcome.model, "differs from the network by", outcome.verification and outcome.verification.largest)
