"""The losses of an optimization as a table and as a picture."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fast_style.files import replacing
from fast_style.losses import FIGURES

if TYPE_CHECKING:
    from fast_style.optimize.run import Step


def write_losses(steps: Sequence[Step], path: Path) -> None:
    """Write one row an iteration as CSV.

    Raises:
        FileError: The file cannot be written.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = tuple(steps[0].terms) if steps else FIGURES
        writer.writerow(["scale", "size", "iteration", *names, "evaluations", "seconds"])
        for step in steps:
            size = f"{step.size[0]}x{step.size[1]}"
            figures = [f"{step.terms[name]:.6g}" for name in names]
            writer.writerow([step.scale, size, step.iteration, *figures, step.evaluations, f"{step.seconds:.3f}"])


def write_curve(steps: Sequence[Step], path: Path) -> None:
    """Draw the objective and its parts over the iterations as PNG.

    Raises:
        FileError: The file cannot be written.
    """
    from matplotlib.figure import Figure  # 0.3 s, and only needed for a curve
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    numbers = range(1, len(steps) + 1)
    for name, color, width in (("total", "#222222", 2.0), ("content", "#2a7ab9", 1.2), ("style", "#c8553d", 1.2)):
        axes.plot(numbers, [step.terms[name] for step in steps], label=name, color=color, linewidth=width)
    for number, (before, after) in enumerate(itertools.pairwise(steps), 1):
        if before.scale != after.scale:
            axes.axvline(number + 0.5, color="#bbbbbb", linewidth=0.8)
    axes.set(xlabel="iteration", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")
