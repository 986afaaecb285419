"""What a run starts from: another style's weights, one that was named or the nearest that ships."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from fast_style.checkpoint import load_checkpoint
from fast_style.errors import CheckpointError, InputError
from fast_style.export import network_from_onnx, read_network
from fast_style.files import is_file
from fast_style.losses import PerceptualLoss
from fast_style.model.checksum import read_checked
from fast_style.model.table import read_sets
from fast_style.networks import StyleSets, TransformerNetwork, take_style
from fast_style.styles.catalog import Style, find_style, shipped_styles

NEAREST = "nearest"
SCRATCH = "scratch"
# Terms of the painting's strokes.
STROKES = ("style", "places")
# All styles are drawn on one photo, and so many of them on the others.
FINALISTS = 4


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from."""

    name: str | None  # what the card calls them; None if a resumed run began with fresh ones
    network: TransformerNetwork  # with the scales and shifts of the style that was chosen, or of the first
    # Each style's scales and shifts, (2, C), by its name.
    sets: Mapping[str, Tensor] = field(default_factory=dict)
    style: str | None = None  # which of them was asked for; None leaves each style its own
    notes: tuple[str, ...] = ()  # what a user should know: that they were found to be the nearest

    @torch.no_grad()
    def give(self, sets: StyleSets) -> None:
        """Let each style begin with the set of its name, or all with the one that was asked for."""
        for name, weight in zip(sets.names, sets.values, strict=True):
            values = self.sets.get(self.style or name)
            if values is not None:
                weight.copy_(values)


def shipped_starts(network: str) -> list[Style]:
    """List the shipped files of one style of a network; those of several hold the same styles."""
    return [style for style in shipped_styles() if style.card.get("network") == network and len(style.styles) == 1]


def count_drawn(network: str, photos: int) -> int:
    """Return how many pictures :func:`nearest_start` draws."""
    starts = len(shipped_starts(network))
    return starts + (photos - 1) * min(FINALISTS, starts)


def load_start(init: str | Path, *, network: str) -> Start:
    """Load the weights of a checkpoint, an exported style or a shipped one, to train on; they must be of that network.

    FILE#STYLE is one of the styles in a file of several.

    Raises:
        CheckpointError: The checkpoint is unusable, or what is there is another network.
        ModelError: The ONNX file is unusable.
        StyleNotFoundError: There is nothing of that name.
        InputError: The file holds no style of that name.
    """
    named = "#" in str(init) and not is_file(init)
    file, style = str(init).rsplit("#", 1) if named else (str(init), "")
    if Path(file).suffix == ".ckpt":
        checkpoint = load_checkpoint(file)
        name, weights, sets = checkpoint.recipe.network, checkpoint.network(style or None), checkpoint.sets
    else:
        path = find_style(file).path
        name, weights = read_network(path, style=style or None)
        sets = {held: torch.from_numpy(values.copy()) for held, values in read_sets(read_checked(path)).items()}
    if name != network:
        raise CheckpointError(
            f"{init} holds the network {name!r}, not {network!r}", hint=f"Give --network {name}, or another --init."
        )
    return Start(Path(init).name, weights, sets, style or None)


def nearest_start(loss: PerceptualLoss, photos: Sequence[Tensor], *, network: str) -> Start:
    """Return the shipped style whose strokes score best on a painting: the start from which least is to be learned.

    Colors do not count: they are learned in a few steps, and what draws a mosaic's lines may be of other ones.

    Args:
        loss: Loss of the painting, calibrated.
        photos: Each (N, 3, H, W), RGB in [0, 1]. All styles are drawn on the first, the best of them on the others.
        network: Styles of other networks do not count.

    Raises:
        InputError: No style of this network ships.
    """
    networks = {style.name: network_from_onnx(style.path) for style in shipped_starts(network)}
    if not networks:
        raise InputError(f"no style of the network {network!r} ships, to start from", hint="Leave --init out.")
    scores = _scores(loss, photos[:1], networks)
    best = sorted(networks, key=scores.__getitem__)[:FINALISTS]
    further = _scores(loss, photos[1:], {name: networks[name] for name in best})
    name = min(best, key=lambda name: scores[name] + further[name])
    return Start(name, networks[name], notes=(f"starting from {name}, the nearest style",))


def nearest_style_of(start: Start, loss: PerceptualLoss, photos: Sequence[Tensor]) -> Start:
    """Choose the style in a file of several whose pictures score best; arguments as :func:`nearest_start`."""
    scores: dict[str, float] = {}
    for name, values in start.sets.items():
        take_style(start.network, values)
        scores |= _scores(loss, photos, {name: start.network})
    style = min(scores, key=scores.__getitem__)
    take_style(start.network, start.sets[style])
    name = f"{start.name}#{style}"
    return Start(name, start.network, start.sets, style, (f"starting from {name}, the nearest style",))


@torch.no_grad()
def _scores(
    loss: PerceptualLoss, photos: Sequence[Tensor], networks: Mapping[str, TransformerNetwork]
) -> dict[str, float]:
    """Sum over the photos what the strokes of each network's pictures score."""
    scores = dict.fromkeys(networks, 0.0)
    for photo in photos:
        target = loss.content_targets(photo)
        for name, paint in networks.items():
            terms = loss(paint(photo), target, photo=photo).weighted
            scores[name] += sum(float(terms[term]) for term in STROKES if term in terms)
    return scores
