"""Looking inside networks: feature maps, activation maximization, classes, Grad-CAM, and the table of layers.

Functions return arrays and plain values; :mod:`fast_style.inspect.drawing` makes pictures of them.
"""

from fast_style.device import to_tensor
from fast_style.inspect.activations import activations, catch, check_channel, find_layers
from fast_style.inspect.classify import Prediction, classify, find_class
from fast_style.inspect.features import feature_maps, normalize_maps, rank_channels
from fast_style.inspect.gradcam import HeatMaps, grad_cam, last_convolution
from fast_style.inspect.layers import Layer, layer_table
from fast_style.inspect.maximize import Growth, Maximized, maximize, scharr
from fast_style.inspect.network import Network, load_network

__all__ = [
    "Growth",
    "HeatMaps",
    "Layer",
    "Maximized",
    "Network",
    "Prediction",
    "activations",
    "catch",
    "check_channel",
    "classify",
    "feature_maps",
    "find_class",
    "find_layers",
    "grad_cam",
    "last_convolution",
    "layer_table",
    "load_network",
    "maximize",
    "normalize_maps",
    "rank_channels",
    "scharr",
    "to_tensor",
]
