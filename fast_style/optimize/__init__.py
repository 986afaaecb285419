"""The per-image reference: the method of Gatys et al. on the objective of the training."""

from fast_style.optimize.curve import write_curve, write_losses
from fast_style.optimize.descent import Scorer
from fast_style.optimize.lbfgs import lbfgs
from fast_style.optimize.presets import PRESETS, preset
from fast_style.optimize.run import Init, Outcome, Settings, Step, optimize_picture, scale_sizes

__all__ = [
    "PRESETS",
    "Init",
    "Outcome",
    "Scorer",
    "Settings",
    "Step",
    "lbfgs",
    "optimize_picture",
    "preset",
    "scale_sizes",
    "write_curve",
    "write_losses",
]
