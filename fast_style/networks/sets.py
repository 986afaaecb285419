"""Many styles in one network: a set of scales and shifts for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fast_style.networks.condition import Affine
from fast_style.networks.normalization import InstanceNormalization


class StyleSets(nn.Module):
    """A scale and a shift of each normalized channel, for each style of a network.

    Args:
        network: The network; each set begins as the scales and shifts of its layers.
        names: Names of the styles.

    Attributes:
        names: Names of the styles.
        values: For each style (2, C): scales and shifts of all C channels in the layers' order.

    Reference:
        Dumoulin, Shlens and Kudlur 2017, section 2.2.
    """

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, InstanceNormalization)}
        self.layers = {name: len(layer.weight) for name, layer in layers.items()}
        scales, shifts = (torch.cat([getattr(layer, what) for layer in layers.values()]) for what in ("weight", "bias"))
        affine = torch.stack([scales, shifts]).detach()
        self.values = nn.ParameterList([nn.Parameter(affine.clone()) for _ in names])

    def forward(self, weights: Tensor) -> dict[str, Affine]:
        """Mix styles: (N, K) weights of the K styles to scales and shifts by the name of the normalization layer."""
        # Not a product of matrices, which autocast would compute in bfloat16: normalizations need float32.
        return self._split((weights[:, :, None, None] * torch.stack(list(self.values))).sum(dim=1))

    def one(self, style: int) -> dict[str, Affine]:
        """Return one style's: as a mixture of it alone, except that other styles get no gradient, not even zero."""
        return self._split(self.values[style][None])

    def _split(self, values: Tensor) -> dict[str, Affine]:
        parts = values.split(list(self.layers.values()), dim=-1)
        return {name: Affine(part[:, 0], part[:, 1]) for name, part in zip(self.layers, parts, strict=True)}


@torch.no_grad()
def take_style(network: nn.Module, values: Tensor) -> None:
    """Copy a style's set, (2, C), into the scales and shifts of the network's layers."""
    sets = StyleSets(network, ("",))
    sets.values[0].copy_(values)
    for name, affine in sets.one(0).items():
        layer = network.get_submodule(name)
        assert isinstance(layer, InstanceNormalization)
        layer.weight.copy_(affine.scale[0])
        layer.bias.copy_(affine.shift[0])
