"""Painting in passes, from coarse to fine, in memory or in parts; see :mod:`fast_style.model.passes`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.images import Pixels, to_float
from fast_style.model.ground import MOST_PIXELS, NO_GROUND, Ground, ground_share, passes_over
from fast_style.model.passes import LEARNED_PASSES, count_fitting, draft_shares
from fast_style.model.passes_graph import ground_form, mixing_form, restoring_form, sharing_form
from fast_style.model.session import open_session, session_options
from fast_style.stylize.rasters import ArrayRaster, OverRaster, Raster, read_whole, to_part

if TYPE_CHECKING:
    import onnxruntime

    from fast_style.model.statistics import Statistics
    from fast_style.stylize.network import StyleNetwork

# Largest long side of the map of the draft's share, px: finer detail than this of a large photo does not matter.
_MAP_SIDE = 1024
# Least share of a picture that is measured.
_LEAST_MASK = np.float32(1e-3)
# How far around a pixel restoring sees, and rows that are restored at once, px; both even.
RESTORED_AROUND, _STRIP = 8, 64


def underpaint(
    stylize: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    photo: Raster,
    *,
    passes: int,
    strength: float,
    ground: Ground = NO_GROUND,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Stylize smaller copies from coarse to fine, for the last pass.

    Args:
        stylize: Stylizes a copy, (1, 3, H, W) float32 in [0, 1], into the same shape.
        photo: The photo, small enough to be in memory as floats.
        passes: Number of passes; 1 returns the photo.
        strength: How strongly to paint, see :func:`~fast_style.model.passes.draft_shares`.
        ground: What to lay under flat places, see :mod:`fast_style.model.ground`.
        threads: CPU threads; None takes every core.

    Returns:
        The input of the last pass, (1, 3, H, W) float32 in [0, 1], and the draft that :func:`restore_coarse` takes
        after it, or None if the last pass is one that networks learn.
    """
    passes = count_fitting(photo.size, passes)
    copies, smalls = _copies(photo, passes, ground, strength, threads)
    shares = np.array(draft_shares(strength), np.float32)
    copy = seen = to_float(read_whole(copies[0]))
    draft: NDArray[np.float32] | None = None
    for number in range(1, passes):
        before = draft if number > LEARNED_PASSES else None
        draft = restore_coarse(stylize(seen), before, threads=threads)
        _round(draft, 255)
        is_same = smalls[number - 1] is copies[number - 1]
        small = copy if is_same else to_float(read_whole(smalls[number - 1]))
        part = read_whole(copies[number])
        copy = to_float(part)
        feeds = {"photo": copy, "small": small, "draft": draft, "shares": shares}
        (seen,) = _session(mixing_form, threads).run(None, feeds)
        _round(seen, np.iinfo(part.dtype).max)
    return seen, draft if passes > LEARNED_PASSES else None


def underpaint_in_parts(
    stylize: Callable[[Raster, Pixels | None], Pixels],
    photo: Raster,
    *,
    passes: int,
    strength: float,
    ground: Ground = NO_GROUND,
    threads: int | None = None,
) -> tuple[Raster, Pixels | None]:
    """Do as :func:`underpaint`, whose arguments these are, for a photo of any size.

    Here ``stylize`` stylizes a copy into (H, W, 3) uint8, and restores the coarse part of a draft of half the size,
    unless that is None.
    """
    passes = count_fitting(photo.size, passes)
    copies, smalls = _copies(photo, passes, ground, strength, threads)
    seen = copies[0]
    shares = np.array(draft_shares(strength), np.float32)
    draft: Pixels | None = None
    for number in range(1, passes):
        draft = stylize(seen, draft if number > LEARNED_PASSES else None)
        # The map is at the draft's size, and smaller for a large photo.
        coarser = 2 ** max(0, math.ceil(math.log2(max(draft.shape) / _MAP_SIDE)))
        shown = smalls[number - 1] if coarser == 1 else smalls[number - 1].reduced(coarser)
        feeds = {"photo": to_float(read_whole(shown)), "shares": shares}
        (share,) = _session(sharing_form, threads).run(None, feeds)
        seen = OverRaster(copies[number], smalls[number - 1], draft, share[0, 0], 2 * coarser)
    return seen, draft if passes > LEARNED_PASSES else None


def _copies(
    photo: Raster, passes: int, ground: Ground, strength: float, threads: int | None
) -> tuple[list[Raster], list[Raster]]:
    """The photo as each pass sees it beside the draft, and as each but the last is compared with its draft."""
    copies = [photo.reduced(2**step) for step in range(passes - 1, 0, -1)] + [photo]
    smalls = copies[:-1]
    learned = passes_over(ground, passes)
    if learned and math.prod(copies[learned - 1].size) <= MOST_PIXELS:
        part = read_whole(copies[learned - 1])
        feeds = {"photo": to_float(part), "share": np.array([ground_share(strength)], np.float32)}
        (grounded,) = _session(ground_form, threads, ground, learned).run(None, feeds)
        base = ArrayRaster(to_part(grounded, part))
        copies[:learned] = [base.reduced(2**step) for step in range(learned - 1, 0, -1)] + [base]
        # The first pass that sees no ground takes what the draft made of the photo, with its ground.
        smalls[: learned - 1] = copies[: learned - 1]
    return copies, smalls


def restore_coarse(
    painted: NDArray[np.float32], draft: NDArray[np.float32] | None, *, threads: int | None = None
) -> NDArray[np.float32]:
    """Replace most of the coarse part of what a pass has painted by the draft, see :mod:`fast_style.model.passes`.

    ``painted`` is (1, 3, H, W) float32, and the draft (1, 3, ⌈H / 2⌉, ⌈W / 2⌉) in [0, 1]; None changes nothing.
    """
    if draft is None:
        return painted
    restored = np.empty_like(painted)
    height = painted.shape[2]
    # In strips of rows with their surroundings, as the graph holds several times what it is given.
    for top in range(0, height, _STRIP):
        first, last = max(0, top - RESTORED_AROUND), min(height, top + _STRIP + RESTORED_AROUND)
        feeds = {"painted": painted[:, :, first:last], "draft": draft[:, :, first // 2 : -(-last // 2)]}
        contiguous = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        (part,) = _session(restoring_form, threads).run(None, contiguous)
        restored[:, :, top : top + _STRIP] = part[:, :, top - first : top - first + _STRIP]
    return restored


def measure_passes(
    network: StyleNetwork, photo: Pixels, *, passes: int, mask: NDArray[np.float32] | None = None
) -> Statistics:
    """Measure the statistics of each pass over a photo, see :meth:`~fast_style.stylize.network.StyleNetwork.measure`.

    Args:
        network: One whose statistics can be fixed.
        photo: (H, W, 3) uint8.
        passes: Number of passes; a small photo takes fewer.
        mask: (H, W) float32, the weight of each pixel, not all zero.

    Returns:
        (N, 2, C) for N passes, for :meth:`~fast_style.stylize.network.StyleNetwork.fixed`.
    """
    measured: list[Statistics] = []

    def measure(image: NDArray[np.float32]) -> None:
        weights = None
        if mask is not None:
            factor = math.ceil(photo.shape[0] / image.shape[2])
            weights = np.asarray(Image.fromarray(mask).reduce(factor))[None, None]
            # Below a tenth of a percent, the rest makes up for what the mask lacks: a few equal places have no
            # variance, and what is divided by it would be huge elsewhere.
            weights = np.maximum(weights, _LEAST_MASK - weights.mean())
        measured.append(network.measure(image, mask=weights))

    def stylize(image: NDArray[np.float32]) -> NDArray[np.float32]:
        measure(image)
        return (network if mask is None else network.fixed(measured[-1])).floats(image)

    strength, threads = network.draft_strength, network.threads
    ground = network.ground
    seen, _ = underpaint(stylize, ArrayRaster(photo), passes=passes, strength=strength, ground=ground, threads=threads)
    measure(seen)
    return np.stack(measured)


@lru_cache(16)
def _session(form: Callable[..., bytes], threads: int | None, *told: object) -> onnxruntime.InferenceSession:
    options = session_options(threads)
    options.enable_cpu_mem_arena = False  # it would hold memory while the network, which needs more, runs
    return open_session(form(*told), options=options)


def _round(image: NDArray[np.float32], levels: int) -> None:
    """Round to 8 or 16 bits in place, as everywhere between passes: networks magnify the least difference."""
    image *= np.float32(levels)
    np.clip(np.rint(image, out=image), 0, levels, out=image)
    image *= np.float32(1 / levels)
