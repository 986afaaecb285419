"""The perceptual network and the losses measured with it."""

from fast_style.perceptual.losses import (
    Calibration,
    LossTerms,
    Objective,
    PerceptualLoss,
    content_loss,
    gram_matrix,
    lattice,
    load_vgg,
    pixel_grid,
    style_loss,
    total_variation,
)
from fast_style.perceptual.vgg import VGG, layer_names
from fast_style.perceptual.weights import SOURCES, VGGWeights, load_vgg_weights

__all__ = [
    "SOURCES",
    "VGG",
    "Calibration",
    "LossTerms",
    "Objective",
    "PerceptualLoss",
    "VGGWeights",
    "content_loss",
    "gram_matrix",
    "lattice",
    "layer_names",
    "load_vgg",
    "load_vgg_weights",
    "pixel_grid",
    "style_loss",
    "total_variation",
]
