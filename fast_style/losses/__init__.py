"""The perceptual network and the loss measured with it: a weighted sum of named terms."""

from fast_style.losses.loss import LossTerms, PerceptualLoss, load_vgg
from fast_style.losses.objective import BOLD, Objective
from fast_style.losses.terms.content import content_loss
from fast_style.losses.terms.style import gram_matrix, style_loss
from fast_style.losses.terms.variation import total_variation
from fast_style.losses.vgg import VGG, layer_names
from fast_style.losses.weights import VGGWeights, load_vgg_weights

__all__ = [
    "BOLD",
    "VGG",
    "LossTerms",
    "Objective",
    "PerceptualLoss",
    "VGGWeights",
    "content_loss",
    "gram_matrix",
    "layer_names",
    "load_vgg",
    "load_vgg_weights",
    "style_loss",
    "total_variation",
]
