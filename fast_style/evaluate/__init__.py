"""How good a style is: objective against the reference, quality, places, flicker, and the report."""

from fast_style.evaluate.run import Options, Report, evaluate_styles

__all__ = ["Options", "Report", "evaluate_styles"]
