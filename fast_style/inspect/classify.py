"""Classification: what a network says is in a photo."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fast_style.errors import InputError, check_least, did_you_mean
from fast_style.inspect.network import Network


@dataclass(frozen=True)
class Prediction:
    """A class and its probability, 0 to 1."""

    index: int
    label: str
    probability: float


@torch.no_grad()
def classify(network: Network, image: Tensor, *, top: int = 5) -> list[list[Prediction]]:
    """Name the ``top`` most probable classes of each picture of a batch, most probable first; all if there are fewer.

    ``image`` is (N, 3, H, W), RGB in [0, 1]; see :meth:`Network.class_input`.

    Raises:
        InputError: The network does not classify, or ``top`` is not positive.
    """
    network.require_classes()
    check_least(1, top=top)
    probabilities = network(image).float().softmax(dim=1)
    values, indices = probabilities.topk(min(top, probabilities.shape[1]), dim=1)
    return [
        [Prediction(i, network.labels[i], p) for i, p in zip(row_i, row_p, strict=True)]
        for row_i, row_p in zip(indices.tolist(), values.tolist(), strict=True)
    ]


def find_class(network: Network, wanted: str) -> int:
    """Find a class by index or name; case, spaces, hyphens and underscores do not matter.

    Raises:
        InputError: The network does not classify, or has no such class; the message suggests the nearest.
    """
    network.require_classes()
    if wanted.isdecimal():
        if int(wanted) >= len(network.labels):
            raise InputError(f"{network.name} has no class {wanted}; its classes are 0 to {len(network.labels) - 1}")
        return int(wanted)
    plain = [_plain(label) for label in network.labels]
    if _plain(wanted) in plain:
        return plain.index(_plain(wanted))  # two names occur twice in ImageNet: crane and maillot
    raise InputError(
        f"{network.name} has no class {wanted!r}{did_you_mean(wanted, network.labels)}",
        hint="'fast-style inspect classify PHOTO --top 1000' lists them with their numbers.",
    )


def _plain(label: str) -> str:
    return "".join(letter for letter in label.casefold() if letter.isalnum())
