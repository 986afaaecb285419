"""Comparing an exported ONNX file, and the graph variants made from it, with the network."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fast_style.errors import VerificationError
from fast_style.images.arrays import example_image
from fast_style.model.checksum import read_checked
from fast_style.model.editing import parse_model, read_metadata
from fast_style.model.ground import ground_in
from fast_style.model.opening import INPUT, OUTPUT, Feed
from fast_style.model.passes import SMALLEST_DRAFT, smallest_side, strength_in
from fast_style.model.reach import find_reach
from fast_style.model.session import open_session
from fast_style.model.statistics import ORIGIN, fixed_form, measure_form
from fast_style.networks import TransformerNetwork
from fast_style.networks.passes import paint

# Largest absolute difference allowed, in [0, 1].
TOLERANCE = 1e-3
# (N, H, W): odd, tiny, wide, tall and a batch of two; none is the size the graph is traced at.
VERIFY_SHAPES = ((1, 97, 131), (1, 16, 17), (1, 64, 400), (1, 233, 40), (2, 120, 90))
# Pixels of a tile beside its reach.
_ROOM = 64
# Added to variances in comparisons: channels that vary by less count as constant.
_LEAST_VARIANCE = 1e-5


@dataclass(frozen=True)
class Verification:
    """How far an ONNX file is from its network."""

    # Largest absolute difference in [0, 1] by shape, such as `1x3x97x131`, and by graph variant, see `verify_variants`.
    differences: Mapping[str, float]

    @property
    def largest(self) -> float:
        """The largest of the differences."""
        return max(self.differences.values())


def verify_onnx(network: TransformerNetwork, path: str | Path) -> Verification:
    """Compare an ONNX file with its network, in eval mode, on noise and smooth pictures of several shapes.

    Raises:
        VerificationError: The difference is larger, or is not a number.
    """
    device = next(network.parameters()).device
    return judge(verify_passes(lambda image: network(image.to(device)), read_checked(Path(path)), 1))


def difference(result: NDArray[np.float32], picture: Tensor) -> float:
    """Largest difference of a result from a network's picture, which is clamped; raises if their shapes differ."""
    expected = picture.clamp(0.0, 1.0).cpu().numpy()
    if result.shape != expected.shape:
        raise VerificationError(f"the ONNX file gives {result.shape}, the network {expected.shape}")
    return float(np.abs(result - expected).max())


def judge(differences: Mapping[str, float]) -> Verification:
    """Return a verification, or raise VerificationError if a difference is larger than allowed."""
    verification = Verification(differences)
    # Written so that a NaN fails.
    if not all(difference <= TOLERANCE for difference in differences.values()):
        raise VerificationError(
            f"the ONNX file differs from the network by up to {verification.largest:.2e}; {TOLERANCE:.0e} is allowed",
            hint="Very large activations do this: train longer, or with a lower learning rate.",
        )
    return verification


@torch.no_grad()
def verify_variants(network: TransformerNetwork, path: Path) -> dict[str, float]:
    """Compare the graph variants of an ONNX file of any size with its network.

    Returns:
        Largest absolute differences by what was compared: ``statistics``, in deviations of their channel; ``fixed``, a
        picture with its own statistics in the convolutions; ``tile``, a part of it with the statistics of the whole, as
        far as the tile's border is out of reach. Empty for a network without normalizations, which sees no whole.

    Raises:
        ModelError: No variants can be made of the graph.
    """
    if not any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules()):
        return {}
    content, stride = read_checked(path), network.stride
    # Tiles begin at cells of the network, and here at none that the noise repeats.
    margin = -(-find_reach(content) // stride) * stride
    image = example_image(1, 2 * margin + _ROOM + 3 * stride, 2 * margin + _ROOM + 5 * stride + 3)
    seen = torch.from_numpy(image).to(next(network.parameters()).device)
    expected = network(seen).clamp(0.0, 1.0).cpu().numpy()
    recorded = record_statistics(network, seen)
    (statistics,) = open_session(measure_form(content)).run(None, {INPUT: image})
    deviation = np.sqrt(recorded[1] + _LEAST_VARIANCE)
    means, deviations = (statistics[0] - recorded[0]) / deviation, np.sqrt(statistics[1] + _LEAST_VARIANCE) / deviation
    fixed = open_session(fixed_form(content, statistics, stride=stride))
    row, column = stride, 2 * stride
    part = np.ascontiguousarray(image[..., row:, column:])
    (whole,) = fixed.run(None, {INPUT: image})
    (tile,) = fixed.run(None, {INPUT: part, ORIGIN: np.array([row, column])})
    return {
        "statistics": float(max(np.abs(means).max(), np.abs(deviations - 1).max())),
        "fixed": float(np.abs(whole - expected).max()),
        "tile": float(np.abs(tile[..., margin:, margin:] - expected[..., row + margin :, column + margin :]).max()),
    }


@torch.no_grad()
def record_statistics(network: TransformerNetwork, image: Tensor) -> NDArray[np.float32]:
    """Return what a network's normalizations find in a picture, (1, 3, H, W), RGB in [0, 1].

    Returns:
        (2, C), means and variances of all C channels in the order in which the layers are run.
    """
    found: list[Tensor] = []

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        variances, means = torch.var_mean(inputs[0][0], (1, 2), correction=0)
        found.append(torch.stack([means, variances]))

    with ExitStack() as hooks:
        for layer in network.modules():
            if isinstance(layer, nn.InstanceNorm2d):
                hooks.callback(layer.register_forward_pre_hook(record).remove)
        network(image)
    statistics: NDArray[np.float32] = torch.cat(found, dim=1).cpu().numpy()
    return statistics


@torch.no_grad()
def verify_passes(
    stylize: Callable[[Tensor], Tensor],
    content: bytes,
    passes: int,
    *,
    sizes: Sequence[tuple[int, int, int]] | None = None,
    feed: Feed | None = None,
) -> dict[str, float]:
    """Compare a graph that paints in passes by itself with a network that is run for each pass.

    Args:
        stylize: The network, (N, 3, H, W) to the same shape.
        content: The serialized graph.
        passes: Number of passes.
        sizes: (N, H, W) of each comparison; by default those of :func:`verify_onnx`, larger by what passes need.
        feed: The graph's other inputs.

    Returns:
        Largest absolute differences in [0, 1] by shape, such as ``3 passes 1x3x145x179``.

    Raises:
        VerificationError: The graph gives a picture of another shape.
    """
    session, metadata = open_session(content), read_metadata(parse_model(content))
    strength, ground = strength_in(metadata), ground_in(metadata)
    more = smallest_side(passes) - SMALLEST_DRAFT
    differences = {}
    for n, height, width in sizes or [(n, height + more, width + more) for n, height, width in VERIFY_SHAPES]:
        image = example_image(n, height, width)
        expected = paint(stylize, torch.from_numpy(image), passes, strength=strength, ground=ground)
        (result,) = session.run([OUTPUT], {INPUT: image, **(feed or {})})
        label = f"{passes} passes " if passes > 1 else ""
        differences[f"{label}{n}x3x{height}x{width}"] = difference(result, expected)
    return differences
