"""The Gram matrix: which channels respond together, wherever they do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gram_matrix(features: Tensor) -> Tensor:
    """Correlate the channels of each image over its positions, in float32 whatever the autocast.

    (N, C, H, W) to (N, C, C), symmetric: F Fᵀ / (C·H·W) with F the features as C rows of H·W values.

    Reference:
        Gatys, Ecker and Bethge 2016, equation 3; normalized as in Johnson, Alahi and Fei-Fei 2016, equation 3.
    """
    with torch.autocast(features.device.type, enabled=False):
        gram: Tensor = _Gram.apply(features)
        return gram


class _Gram(torch.autograd.Function):
    """The Gram matrix with a cheaper gradient: one product in the features' dtype, where autograd makes two."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        rows = features.float().flatten(2)
        return rows @ rows.mT / features[0].numel()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        # bfloat16 has float32's range; float16 would lose small gradients.
        dtype = torch.bfloat16 if features.dtype == torch.bfloat16 else torch.float32
        both = ((grad + grad.mT) / features[0].numel()).to(dtype)
        rows = features.to(dtype).flatten(2)
        # The product that leaves the gradient in the features' memory format.
        back = (rows.mT @ both).mT if rows.stride(1) == 1 else both @ rows
        gradient: Tensor = back.reshape(features.shape).to(features.dtype)
        return gradient
