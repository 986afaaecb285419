"""Training a style."""

from fast_style.checkpoint import Checkpoint, load_checkpoint
from fast_style.painting import Canvas, find_canvas
from fast_style.recipe import Recipe
from fast_style.training.paintings import style_name
from fast_style.training.run import Estimate, Outcome, estimate_duration, train_style
from fast_style.training.start import NEAREST, SCRATCH

__all__ = [
    "NEAREST",
    "SCRATCH",
    "Canvas",
    "Checkpoint",
    "Estimate",
    "Outcome",
    "Recipe",
    "estimate_duration",
    "find_canvas",
    "load_checkpoint",
    "style_name",
    "train_style",
]
