"""Many styles in one network: a set of scales and shifts for each, over a strength."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fast_style.networks.condition import Affine
from fast_style.networks.normalization import InstanceNormalization


class StyleSets(nn.Module):
    """What differs between the styles of a network: the scales and shifts of its normalizations.

    Each scale and shift is a polynomial in the logarithm of the strength to the base 4, so that strength 1 is its
    first coefficient.

    Args:
        network: Whose normalizations they are for; every set begins as the network's own.
        names: Of the styles.
        powers: Coefficients: 1 for styles without a strength, 3 for those with one.

    Attributes:
        names: Of the styles.
        values: For each style (powers, 2, C), scales and shifts of all C channels in the layers' order.

    Reference:
        Dumoulin, Shlens and Kudlur 2017, section 2.2; Dosovitskiy and Djolonga 2020, section 3.

    Differs from them:
        The strength changes scales and shifts by a polynomial of its own for each, not by a network.
    """

    def __init__(self, network: nn.Module, names: tuple[str, ...], *, powers: int) -> None:
        super().__init__()
        self.names = names
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, InstanceNormalization)}
        self.layers = {name: len(layer.weight) for name, layer in layers.items()}
        scales, shifts = (torch.cat([getattr(layer, what) for layer in layers.values()]) for what in ("weight", "bias"))
        own = torch.stack([scales, shifts]).detach()
        first = torch.cat([own[None], torch.zeros(powers - 1, *own.shape)])
        self.values = nn.ParameterList([nn.Parameter(first.clone()) for _ in names])

    def forward(self, weights: Tensor, strength: Tensor) -> dict[str, Affine]:
        """Mix styles.

        Args:
            weights: (N, K).
            strength: (N, 1), 0.25 to 4.

        Returns:
            What each normalization layer is to take, by its name.
        """
        mixed = torch.einsum("nk,kpac->npac", weights, torch.stack(list(self.values)))
        return self._split(self._at(mixed, strength))

    def one(self, style: int, strength: float = 1.0) -> dict[str, Affine]:
        """Take one style: the same as a mixture of it alone, but others get no gradient, not even of zero."""
        values = self.values[style]
        return self._split(self._at(values[None], torch.full((1, 1), strength, device=values.device)))

    @staticmethod
    def _at(values: Tensor, strength: Tensor) -> Tensor:
        """(N, P, 2, C) at (N, 1) strengths to (N, 2, C)."""
        power = strength.log() / math.log(4.0)
        powers = torch.cat([power**exponent for exponent in range(values.shape[1])], dim=1)
        return torch.einsum("np,npac->nac", powers, values)

    def _split(self, values: Tensor) -> dict[str, Affine]:
        parts = values.split(list(self.layers.values()), dim=-1)
        return {name: Affine(part[:, 0], part[:, 1]) for name, part in zip(self.layers, parts, strict=True)}


@torch.no_grad()
def take_style(network: nn.Module, values: Tensor) -> None:
    """Make a style's set, (P, 2, C), at strength 1 the network's own scales and shifts."""
    sets = StyleSets(network, ("",), powers=len(values))
    sets.values[0].copy_(values)
    for name, affine in sets.one(0).items():
        layer = network.get_submodule(name)
        assert isinstance(layer, InstanceNormalization)
        layer.weight.copy_(affine.scale[0])
        layer.bias.copy_(affine.shift[0])
