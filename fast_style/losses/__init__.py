"""The perceptual network and the loss measured with it: a weighted sum of named terms."""

from fast_style.losses.loss import FIGURES, LossTerms, PerceptualLoss, Units, WeightedSum, load_vgg
from fast_style.losses.objective import BOLD, Objective
from fast_style.losses.second_view import Motion
from fast_style.losses.term import Seen, Term, Weight
from fast_style.losses.terms.border import Border
from fast_style.losses.terms.content import Content, content_loss, kept
from fast_style.losses.terms.steady import Steady
from fast_style.losses.terms.style import gram_matrix, style_loss
from fast_style.losses.terms.variation import total_variation
from fast_style.losses.vgg import VGG, layer_names
from fast_style.losses.weights import VGGWeights, load_vgg_weights
from fast_style.losses.window import Window, draw_window

__all__ = [
    "BOLD",
    "FIGURES",
    "VGG",
    "Border",
    "Content",
    "LossTerms",
    "Motion",
    "Objective",
    "PerceptualLoss",
    "Seen",
    "Steady",
    "Term",
    "Units",
    "VGGWeights",
    "Weight",
    "WeightedSum",
    "Window",
    "content_loss",
    "draw_window",
    "gram_matrix",
    "kept",
    "layer_names",
    "load_vgg",
    "load_vgg_weights",
    "style_loss",
    "total_variation",
]
