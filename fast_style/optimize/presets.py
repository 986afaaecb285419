"""Objectives by name: the trainer's own, and those of the papers."""

from __future__ import annotations

from fast_style.losses import BOLD, Objective

PRESETS = {
    # The objectives of `fast-style train`: of tiny, fast and fine, and of johnson.
    "bold": BOLD,
    "balanced": Objective(),
    # Gatys, Ecker and Bethge 2016, section 3: content conv4_2, style conv1_1 … conv5_1 with weights of 1/5,
    # alpha/beta = 1e-3, average pooling. Caffe applies ReLU in place, so their conv4_2 is relu4_2 here.
    # Differs from the paper: their VGG-19 was rescaled to a mean activation of one in each filter (section 2);
    # this one has the published weights, so that layers also count by the size of their activations.
    "gatys": Objective(
        weighting="gatys",
        content_layers=("relu4_2",),
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        content_weight=1.0,
        style_weight=1e3,
        tv_weight=0.0,
        padding="zeros",
    ),
    # Johnson et al. 2016, section 4.1: relu3_3 and relu1_2 … relu4_3, max pooling; weights 1 and 5 for each
    # layer (their fast-neural-style/train.lua; four layers, whose shares here sum to one, make 20) and total
    # variation 1e-6 as a sum over 256 by 256 px in 0-255: 1e-6 · 3 · 256² · 255² as the mean of [0, 1].
    # Differs from the paper: they use VGG-16, this preset the network that --vgg names, by default
    # VGG-19, which has layers of the same names.
    "johnson": Objective(
        weighting="classic",
        content_layers=("relu3_3",),
        style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        content_weight=1.0,
        style_weight=20.0,
        tv_weight=12_784.0,
        pooling="max",
        padding="zeros",
    ),
}
