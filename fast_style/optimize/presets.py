"""Objectives by name: the trainer's own, and those of the papers."""

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
    # Johnson et al. 2016, section 4.1: relu3_3 and relu1_2 … relu4_3, max pooling. The weights are those of their
    # fast-neural-style/train.lua, for a single picture:
    # - Content 1, a mean of squares as here.
    # - Style 5 for each layer, of the mean over the C² entries of a Gram matrix (StyleLoss.lua), where this one is
    #   their sum: 5 / C², for 64, 128, 256 and 512 channels 5 / 64² times 1, 1/4, 1/16 and 1/64, which sum to 85 / 64.
    # - Total variation 1e-6, of half the sum over a picture in 0-255, as its gradient has it (TotalVariation.lua),
    #   where this one is the mean of [0, 1]: at 256 by 256 px 1e-6 / 2 · 3 · 256² · 255².
    # Differs from the paper: they use VGG-16, this preset the network that --vgg names, by default
    # VGG-19, which has layers of the same names.
    "johnson": Objective(
        weighting="classic",
        content_layers=("relu3_3",),
        style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        content_weight=1.0,
        style_layer_weights=(64.0, 16.0, 4.0, 1.0),
        style_weight=5 / 64**2 * 85 / 64,
        tv_weight=6_392.0,
        pooling="max",
        padding="zeros",
    ),
}
