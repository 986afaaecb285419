"""Many styles in one network: a set of scales and shifts for each."""

import torch
from torch import Tensor, nn


class StyleSets(nn.Module):
    """A scale and a shift of each normalized channel, for each style of a network.

    A network draws a style if its set replaces its own parameters; names that it lacks would be ignored::

        torch.func.functional_call(network, sets.one(0), (image, condition))

    Args:
        network: The network; each set begins as the scales and shifts of its layers.
        names: Names of the styles.

    Attributes:
        values: For each style (2, C): scales and shifts of all C channels in the layers' order.

    Reference:
        Dumoulin, Shlens and Kudlur 2017, section 2.2.
    """

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.InstanceNorm2d)}
        self.layers = {name: layer.num_features for name, layer in layers.items()}
        scales, shifts = (torch.cat([getattr(layer, what) for layer in layers.values()]) for what in ("weight", "bias"))
        affine = torch.stack([scales, shifts]).detach()
        self.values = nn.ParameterList([nn.Parameter(affine.clone()) for _ in names])

    def forward(self, weights: Tensor) -> dict[str, Tensor]:
        """Mix styles: (K,) weights of the K styles to parameters of the network by name, such as ``stem.norm.bias``."""
        # Not a product of matrices, which autocast would compute in bfloat16: normalizations need float32.
        return self._split((weights[:, None, None] * torch.stack(list(self.values))).sum(dim=0))

    def one(self, style: int) -> dict[str, Tensor]:
        """Return one style's: as a mixture of it alone, except that other styles get no gradient, not even zero."""
        return self._split(self.values[style])

    def _split(self, values: Tensor) -> dict[str, Tensor]:
        parts = values.split(list(self.layers.values()), dim=-1)
        return {
            f"{layer}.{name}": value
            for layer, part in zip(self.layers, parts, strict=True)
            for name, value in zip(("weight", "bias"), part, strict=True)
        }


@torch.no_grad()
def take_style(network: nn.Module, values: Tensor) -> None:
    """Copy a style's set, (2, C), into the scales and shifts of the network's layers."""
    sets = StyleSets(network, ("",))
    sets.values[0].copy_(values)
    network.load_state_dict(sets.one(0), strict=False)  # the other weights stay
