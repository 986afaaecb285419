"""The per-image reference: the method of Gatys et al. on the objective of the training."""

from fast_style.optimize.lbfgs import lbfgs
from fast_style.optimize.presets import PRESETS
from fast_style.optimize.run import Outcome, Scorer, Settings, Step, optimize_picture

__all__ = ["PRESETS", "Outcome", "Scorer", "Settings", "Step", "lbfgs", "optimize_picture"]
