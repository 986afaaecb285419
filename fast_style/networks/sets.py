"""Many styles in one network: a set of scales and shifts for each, as functions of the strength."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fast_style.networks.condition import Affine
from fast_style.networks.normalization import InstanceNormalization


class StyleSets(nn.Module):
    """A scale and a shift of each normalized channel, for each style of a network.

    Each is a polynomial in the base-4 logarithm of the strength, so at strength 1 it is the first coefficient.

    Args:
        network: The network; each set begins as the scales and shifts of its layers.
        names: Names of the styles.
        powers: Number of coefficients: 1 for styles without a strength, 3 for those with one.

    Attributes:
        names: Names of the styles.
        values: For each style (powers, 2, C): scales and shifts of all C channels in the layers' order.

    Reference:
        Dumoulin, Shlens and Kudlur 2017, section 2.2; Dosovitskiy and Djolonga 2020, section 3.

    Differs from the papers:
        The strength changes scales and shifts by polynomials, not by a network.
    """

    def __init__(self, network: nn.Module, names: tuple[str, ...], *, powers: int) -> None:
        super().__init__()
        self.names = names
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, InstanceNormalization)}
        self.layers = {name: len(layer.weight) for name, layer in layers.items()}
        scales, shifts = (torch.cat([getattr(layer, what) for layer in layers.values()]) for what in ("weight", "bias"))
        affine = torch.stack([scales, shifts]).detach()
        first = torch.cat([affine[None], torch.zeros(powers - 1, *affine.shape)])
        self.values = nn.ParameterList([nn.Parameter(first.clone()) for _ in names])

    def forward(self, weights: Tensor, strength: Tensor) -> dict[str, Affine]:
        """Mix styles.

        Args:
            weights: (N, K), the weight of each of the K styles.
            strength: (N, 1), 0.25 to 4.

        Returns:
            Scales and shifts by the name of the normalization layer.
        """
        mixed = (weights[:, :, None, None, None] * torch.stack(list(self.values))).sum(dim=1)
        return self._split(self._at(mixed, strength))

    def one(self, style: int, strength: float = 1.0) -> dict[str, Affine]:
        """Return one style's: as a mixture of it alone, except that other styles get no gradient, not even zero."""
        values = self.values[style]
        return self._split(self._at(values[None], torch.full((1, 1), strength, device=values.device)))

    @staticmethod
    def _at(values: Tensor, strength: Tensor) -> Tensor:
        """(N, P, 2, C) at (N, 1) strengths to (N, 2, C)."""
        power = strength.log() / math.log(4.0)
        powers = torch.cat([power**exponent for exponent in range(values.shape[1])], dim=1)
        # Not a product of matrices, which autocast would compute in bfloat16: normalizations need float32.
        return (powers[:, :, None, None] * values).sum(dim=1)

    def _split(self, values: Tensor) -> dict[str, Affine]:
        parts = values.split(list(self.layers.values()), dim=-1)
        return {name: Affine(part[:, 0], part[:, 1]) for name, part in zip(self.layers, parts, strict=True)}


@torch.no_grad()
def take_style(network: nn.Module, values: Tensor) -> None:
    """Copy a style's set, (P, 2, C), at strength 1 into the scales and shifts of the network's layers."""
    sets = StyleSets(network, ("",), powers=len(values))
    sets.values[0].copy_(values)
    for name, affine in sets.one(0).items():
        layer = network.get_submodule(name)
        assert isinstance(layer, InstanceNormalization)
        layer.weight.copy_(affine.scale[0])
        layer.bias.copy_(affine.shift[0])
