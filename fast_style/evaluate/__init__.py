"""How good a style is: objective against the reference, quality, speed, flicker, and the report."""

from fast_style.evaluate.evaluation import Evaluation, Result, equivalent_iterations, evaluate, find_faults
from fast_style.evaluate.flicker import Flicker, measure_flicker, measure_motion, measure_stereo, motorcycle, read_clip
from fast_style.evaluate.models import Model, ValueRange, check_size, open_model
from fast_style.evaluate.quality import (
    Grid,
    border_contrast,
    color_count,
    dead_area,
    grids,
    saturation,
    smallest_channel_spread,
    structural_similarity,
)
from fast_style.evaluate.reference import Course, Reference
from fast_style.evaluate.report import draw_sheet, table_rows, verdict, write_html

__all__ = [
    "Course",
    "Evaluation",
    "Flicker",
    "Grid",
    "Model",
    "Reference",
    "Result",
    "ValueRange",
    "border_contrast",
    "check_size",
    "color_count",
    "dead_area",
    "draw_sheet",
    "equivalent_iterations",
    "evaluate",
    "find_faults",
    "grids",
    "measure_flicker",
    "measure_motion",
    "measure_stereo",
    "motorcycle",
    "open_model",
    "read_clip",
    "saturation",
    "smallest_channel_spread",
    "structural_similarity",
    "table_rows",
    "verdict",
    "write_html",
]
