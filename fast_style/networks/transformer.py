"""The base of all transformer networks: pictures of any size in, pictures of the same size out."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

# Row and column of a picture in each of the two maps of noise, coarse and fine, in cells of theirs.
Places = tuple[tuple[int, int], tuple[int, int]]
AT_THE_CORNER: Places = ((0, 0), (0, 0))


class TransformerNetwork(nn.Module):
    """A feed-forward network from a photo to a stylized picture of the same size.

    Subclasses set ``stride`` and ``margin`` and implement :meth:`transform`. Padding and cropping are part of the
    network, and so of its ONNX graph.

    Attributes:
        stride: Sides are padded to multiples of this, px.
        margin: Width of the reflected photo around the picture, px: zero padding inside the network meets the margin,
            not the picture.
    """

    stride: int = 1
    margin: int = 0

    def forward(self, image: Tensor, places: Places = AT_THE_CORNER) -> Tensor:
        """Stylize.

        Args:
            image: (N, 3, H, W), RGB in [0, 1], sides of at least 16 px: at most 15 are reflected.
            places: Where the picture lies in the maps of noise, if the network has any.

        Returns:
            (N, 3, H, W), RGB, nominally in [0, 1]; a network may overshoot, which the exported graph clamps.
        """
        height, width = image.shape[-2:]
        margin, stride = self.margin, self.stride
        padded = F.pad(image, (margin, margin + (-width) % stride, margin, margin + (-height) % stride), mode="reflect")
        return self.transform(padded, places)[..., margin : margin + height, margin : margin + width]

    def transform(self, image: Tensor, places: Places) -> Tensor:
        """Stylize a picture whose sides are multiples of ``stride``; ranges and shapes as :meth:`forward`.

        What lies in the margin at the right and the bottom may be missing from the result.
        """
        raise NotImplementedError

    def set_finish(self, *, coring: bool, accents: bool) -> None:
        """Add or take away the parts that networks are trained without; not every network has them.

        Args:
            coring: Flat places are flat, see :class:`fast_style.networks.coring.Coring`.
            accents: The photo's strong colors show, see :class:`fast_style.networks.accents.Accents`.
        """

    def random_places(self, random: np.random.Generator) -> Places:
        """Return the places of a training step: if the network adds noise, it lies elsewhere each time."""
        return AT_THE_CORNER
