"""Grad-CAM: where in a photo a class is seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fast_style.errors import InputError, LayerError
from fast_style.inspect.activations import catch, find_maps, hooks
from fast_style.inspect.network import Network


@dataclass(frozen=True)
class HeatMaps:
    """Heat maps of classes.

    Attributes:
        layer: Name of the layer.
        upsampled: (N, K, H, W), in [0, 1], bilinear, at the size of the picture that the network saw; zeros if nothing
            supports the class.
    """

    layer: str
    upsampled: NDArray[np.float32]


@torch.no_grad()
def last_convolution(network: Network, image: Tensor) -> str:
    """Find the layer for Grad-CAM: the last convolution, or the largest block of the same size that ends with it.

    In a plain network that is the last convolution. Where branches are joined or added after it (GoogLeNet,
    ResNet, DenseNet), one branch alone would miss most of the evidence, so the block that joins them is taken.

    Raises:
        LayerError: The network has no convolution with positions.
    """
    order: list[str] = []
    sizes: dict[str, torch.Size] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            order.append(name)
            sizes[name] = output.shape[2:]

    layers = network.layers
    with hooks(layers, note):
        network(image)
    convolutions = [name for name in order if isinstance(layers[name], nn.Conv2d) and sizes[name] != (1, 1)]
    if not convolutions:
        raise LayerError(f"{network.name} has no convolution that Grad-CAM could look at", hint="Give --layer.")
    last = convolutions[-1]
    after = order[order.index(last) :]
    blocks = [name for name in after if last.startswith(f"{name}.") and sizes[name] == sizes[last]]
    return (blocks or [last])[-1]


def grad_cam(network: Network, image: Tensor, classes: Sequence[int], *, layer: str | None = None) -> HeatMaps:
    """Show where a network sees each of some classes.

    The gradient of a class's score before the softmax with respect to the layer's activations, averaged over positions,
    weights the channels; their sum, clamped at zero, is scaled to a maximum of 1.

    Args:
        network: A classifier.
        image: (N, 3, H, W), RGB in [0, 1]; see :meth:`Network.class_input`.
        classes: Indices of the classes.
        layer: Name of the layer; by default :func:`last_convolution`.

    Raises:
        InputError: The network does not classify, or has no class of that index.
        LayerError: As :func:`~fast_style.inspect.activations.find_maps`, or the scores do not depend on the layer.

    Reference:
        Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
        section 3, equations 1 and 2.
    """
    network.require_classes()
    if not classes or not all(0 <= index < len(network.labels) for index in classes):
        raise InputError(f"classes {list(classes)}; expected some of 0 to {len(network.labels) - 1}")
    layer = layer or last_convolution(network, image)
    with torch.enable_grad(), catch(find_maps(network, [layer])) as caught:
        scores = network(image.detach().clone().requires_grad_())
    features = caught[layer]
    maps = []
    for index in classes:
        # The pictures of a batch do not influence each other, so the gradient of their sum is that of each.
        (slope,) = torch.autograd.grad(scores[:, index].sum(), features, retain_graph=True, allow_unused=True)
        if slope is None:
            raise LayerError(f"the classes of {network.name} do not depend on layer {layer!r}")
        maps.append((slope.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1).relu().detach())
    heat = torch.stack(maps, dim=1).float()
    peak = heat.amax(dim=(2, 3), keepdim=True)
    heat = heat / torch.where(peak > 0, peak, 1.0)
    upsampled = F.interpolate(heat, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return HeatMaps(layer, upsampled.cpu().numpy())
