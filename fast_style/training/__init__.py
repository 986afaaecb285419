"""Training a style: the recipe, the photos, the Lightning module, and the run that ties them together."""

from fast_style.training.checkpoint import Checkpoint, load_checkpoint
from fast_style.training.painting import Canvas, find_canvas, load_painting
from fast_style.training.recipe import Precision, Recipe
from fast_style.training.run import Outcome, export_checkpoint, train_style, write_card

__all__ = [
    "Canvas",
    "Checkpoint",
    "Outcome",
    "Precision",
    "Recipe",
    "export_checkpoint",
    "find_canvas",
    "load_checkpoint",
    "load_painting",
    "train_style",
    "write_card",
]
