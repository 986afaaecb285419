"""Painting in passes, from coarse to fine, on tensors; :mod:`fast_style.stylize.passes` does the same without torch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fast_style.model.ground import (
    GROUND_RADIUS,
    NO_GROUND,
    STEEPNESS,
    Ground,
    ground_share,
    ground_tile,
    passes_over,
)
from fast_style.model.passes import (
    COARSE_SHARE,
    DETAIL_RADIUS,
    LEARNED_PASSES,
    LEAST_DETAIL,
    MUCH_DETAIL,
    SURROUNDINGS_RADIUS,
    draft_shares,
)


def paint(
    stylize: Callable[[Tensor], Tensor],
    photo: Tensor,
    passes: int,
    *,
    strength: float = 1.0,
    ground: Ground = NO_GROUND,
) -> Tensor:
    """Stylize in passes, from coarse to fine: see :mod:`fast_style.model.passes`.

    Arguments as for :func:`add_draft`. The result, (N, 3, H, W), has a gradient through the last pass only.
    """
    seen, draft = add_draft(stylize, photo, passes, strength=strength, ground=ground)
    drawn = stylize(seen)
    return drawn if draft is None or passes <= LEARNED_PASSES else _restored(drawn, draft)


@torch.no_grad()
def add_draft(
    stylize: Callable[[Tensor], Tensor],
    photo: Tensor,
    passes: int,
    *,
    strength: float = 1.0,
    ground: Ground = NO_GROUND,
) -> tuple[Tensor, Tensor | None]:
    """Stylize smaller copies from coarse to fine, and return the input of the last pass, and the last draft.

    Args:
        stylize: The network, (N, 3, H, W) to the same shape.
        photo: (N, 3, H, W), RGB in [0, 1], sides of at least 16 · 2^(passes - 1) px.
        passes: Number of passes; 1 returns the photo.
        strength: How strongly to paint, see :func:`~fast_style.model.passes.draft_shares`.
        ground: What to lay under flat places, see :mod:`fast_style.model.ground`.

    Returns:
        The photo, (N, 3, H, W), with its coarse part mixed with the enlarged draft, and the draft, at half the size,
        or None if there is one pass; without gradient.

    Reference:
        Lin et al. 2021 ("Drafting and revision", LapStyle): a draft at low resolution, revised at higher ones, to which
        the photo's fine part, a level of its Laplacian pyramid, is shown.

    Differs from the paper:
        One network for all passes, and it is shown the sum of the fine part and a mixture of the coarse part and the
        draft, which depends on the photo's detail.
    """
    copies = [_reduced(photo, 2**step) for step in reversed(range(passes))]
    smalls = list(copies)
    if learned := passes_over(ground, passes):
        base = lay_ground(copies[learned - 1], ground, learned, strength)
        copies[:learned] = [_reduced(base, 2**step) for step in reversed(range(learned))]
        smalls[: learned - 1] = copies[: learned - 1]
    seen = copies[0]
    draft: Tensor | None = None
    for number in range(1, passes):
        drawn = stylize(seen).float()
        draft = (drawn if draft is None or number <= LEARNED_PASSES else _restored(drawn, draft)).clamp(0.0, 1.0)
        small, copy = smalls[number - 1], copies[number]
        change, share = (_enlarged(maps, copy) for maps in (draft - small, draft_share(small, strength)))
        seen = (copy + share * change).clamp(0.0, 1.0)
    return seen, draft


def _restored(drawn: Tensor, draft: Tensor) -> Tensor:
    """Restore most of the coarse part of the draft in what was painted over it."""
    return (drawn + COARSE_SHARE * _enlarged(draft - _reduced(drawn, 2), drawn)).clamp(0.0, 1.0)


def draft_share(photo: Tensor, strength: float = 1.0) -> Tensor:
    """Return the share of the draft in the next pass: high where the photo is flat, low where it has fine detail.

    (N, 3, H, W) at the draft's size, RGB in [0, 1], to (N, 1, H, W).
    """
    flat, more = draft_shares(strength)
    return flat + more * _detail(photo)


def lay_ground(photo: Tensor, ground: Ground, passes: int, strength: float = 1.0) -> Tensor:
    """Lay a ground under the flat places of a photo, (N, 3, H, W) in [0, 1], and return the same shape and range.

    ``passes`` is the number of passes, all of them learned, of which the last sees a photo of this size: 2 or 3. Below
    a ``strength`` of 1, less of the ground is laid. See :mod:`fast_style.model.ground`.
    """
    levels, largest = ground_tile(ground, passes)
    tile = (torch.from_numpy(levels).to(photo) / 127.5 - 1) * largest
    height, width = photo.shape[-2:]
    rows, columns = (torch.arange(length, device=photo.device) % tile.shape[-1] for length in (height, width))
    factor = 2 ** (passes - 1)
    wide = blur(1 - _detail(_reduced(photo, factor)), GROUND_RADIUS)
    where = F.interpolate((STEEPNESS * wide + 1 - STEEPNESS).clamp(0, 1), scale_factor=float(factor), mode="bilinear")
    forms = ground_share(strength) * tile[..., rows[:, None], columns]
    return (photo + forms * where[..., :height, :width]).clamp(0, 1)


def _detail(photo: Tensor) -> Tensor:
    """How much detail there is by place, in [0, 1]: (N, 3, H, W) to (N, 1, H, W)."""
    brightness = photo.float().mean(dim=1, keepdim=True)
    fine = brightness - blur(brightness, DETAIL_RADIUS)
    detail = blur(fine.square(), SURROUNDINGS_RADIUS).clamp(min=0.0).sqrt()
    much = MUCH_DETAIL * detail.mean(dim=(2, 3), keepdim=True) + LEAST_DETAIL
    return (detail / much).clamp(max=1.0)


def blur(image: Tensor, radius: int) -> Tensor:
    """Average (N, C, H, W) over squares of 2 · radius + 1 px, twice; borders are repeated."""
    for _ in range(2):
        image = F.avg_pool2d(F.pad(image, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)
    return image


def _reduced(photo: Tensor, factor: int) -> Tensor:
    """Average squares, smaller at the right and the bottom: (N, 3, H, W) to (N, 3, ⌈H / factor⌉, ⌈W / factor⌉)."""
    if factor == 1:
        return photo
    return F.avg_pool2d(photo, factor, ceil_mode=True, count_include_pad=False)


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    """Enlarge by two, and cut to the size of the copy."""
    # With antialiasing, which does nothing else here, the kernel is that of Pillow and not steeper.
    enlarged = F.interpolate(image, scale_factor=2.0, mode="bicubic", antialias=True)
    return enlarged[..., : like.shape[-2], : like.shape[-1]]
