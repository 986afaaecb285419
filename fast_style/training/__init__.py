"""Training a style: prepared, fitted and published."""

from fast_style.checkpoint import Checkpoint, load_checkpoint
from fast_style.export import export_checkpoint, write_card
from fast_style.painting import Canvas, find_canvas, load_painting
from fast_style.recipe import Precision, Recipe
from fast_style.training.fit import Fitted, fit
from fast_style.training.prepare import Prepared, prepare, style_name
from fast_style.training.publish import Outcome, publish
from fast_style.training.run import train_style
from fast_style.training.start import NEAREST, SCRATCH, has_start

__all__ = [
    "NEAREST",
    "SCRATCH",
    "Canvas",
    "Checkpoint",
    "Fitted",
    "Outcome",
    "Precision",
    "Prepared",
    "Recipe",
    "export_checkpoint",
    "find_canvas",
    "fit",
    "has_start",
    "load_checkpoint",
    "load_painting",
    "prepare",
    "publish",
    "style_name",
    "train_style",
    "write_card",
]
