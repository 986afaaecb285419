"""Looking inside networks: feature maps, activation maximisation, classes, Grad-CAM, and what layers there are.

Functions return arrays and plain values; :mod:`fast_style.inspect.drawing` makes pictures of them.
"""

from fast_style.device import find_device as pick_device
from fast_style.device import to_tensor
from fast_style.inspect.activations import activations, catch, find_layers, hooks
from fast_style.inspect.classify import Prediction, classify, find_class
from fast_style.inspect.features import feature_maps, normalize_maps, parse_channels, rank_channels
from fast_style.inspect.gradcam import HeatMaps, grad_cam, last_convolution
from fast_style.inspect.layers import Layer, default_style_layers, gram_differences, layer_table
from fast_style.inspect.maximize import Growth, Maximized, dream, maximize, scharr
from fast_style.inspect.network import Network, classifier_names, load_network

__all__ = [
    "Growth",
    "HeatMaps",
    "Layer",
    "Maximized",
    "Network",
    "Prediction",
    "activations",
    "catch",
    "classifier_names",
    "classify",
    "default_style_layers",
    "dream",
    "feature_maps",
    "find_class",
    "find_layers",
    "grad_cam",
    "gram_differences",
    "hooks",
    "last_convolution",
    "layer_table",
    "load_network",
    "maximize",
    "normalize_maps",
    "parse_channels",
    "pick_device",
    "rank_channels",
    "scharr",
    "to_tensor",
]
