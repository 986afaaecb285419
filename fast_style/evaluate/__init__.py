"""How good a style is: objective against the reference, quality, speed, flicker, and the report."""

from fast_style.evaluate.evaluation import Evaluation, Result, equivalent_iterations, evaluate, find_faults
from fast_style.evaluate.flicker import Flicker, measure_films, measure_motion
from fast_style.evaluate.models import Model, check_size, open_model
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
from fast_style.evaluate.run import Options, Report, evaluate_styles

__all__ = [
    "Course",
    "Evaluation",
    "Flicker",
    "Grid",
    "Model",
    "Options",
    "Reference",
    "Report",
    "Result",
    "border_contrast",
    "check_size",
    "color_count",
    "dead_area",
    "draw_sheet",
    "equivalent_iterations",
    "evaluate",
    "evaluate_styles",
    "find_faults",
    "grids",
    "measure_films",
    "measure_motion",
    "open_model",
    "saturation",
    "smallest_channel_spread",
    "structural_similarity",
    "table_rows",
    "verdict",
    "write_html",
]
