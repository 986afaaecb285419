"""Styles where masks are white: several in one picture, or only a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ImageError, InputError
from fast_style.images import Pixels, load_image, resize, to_float, to_uint8
from fast_style.runtime.tiles import is_seen_whole

if TYPE_CHECKING:
    from fast_style.runtime.stylizer import Stylizer

Mask = NDArray[np.float32]


def read_mask(path: str | Path, size: tuple[int, int]) -> Mask:
    """Read a mask, (H, W) in [0, 1], of (width, height) px: the brightness of a picture, which may be transparent.

    Raises:
        ImageError: It cannot be read, or is of another shape than the picture.
        InputError: It is black all over.
    """
    picture = load_image(path)
    width, height = picture.size
    if abs(width / height - size[0] / size[1]) > 0.02 * size[0] / size[1]:
        raise ImageError(
            f"the mask {path} of {width}×{height} px is of another shape than the picture of {size[0]}×{size[1]} px",
            hint="Cut one of them.",
        )
    fitted = picture if picture.size == size else resize(picture, size)
    mask: Mask = fitted.pixels.astype(np.float32).mean(axis=2) / np.float32(255)
    if fitted.alpha is not None:
        mask = mask * (fitted.alpha.astype(np.float32) / np.float32(255))
    if not mask.any():
        raise InputError(f"the mask {path} is black all over", hint="A style is painted where its mask is white.")
    return mask


def pair_masks(stylizer: Stylizer, masks: Sequence[Path]) -> dict[str, Path]:
    """Give each style of a mixture a mask, in the order in which it names them; one mask is for all of it.

    Raises:
        InputError: There are neither as many styles as masks nor one mask.
    """
    if len(masks) == 1:
        return {stylizer.style.name: masks[0]}
    names = list(stylizer.weights)
    if len(names) != len(masks):
        raise InputError(
            f"{len(masks)} masks for {len(names) or 1} style{'s' * (len(names) > 1)}",
            hint="Give as many styles, such as --style udnie,starry-night.",
        )
    return dict(zip(names, masks, strict=True))


def paint_masked(stylizers: Sequence[Stylizer], masks: Sequence[Mask], pixels: Pixels) -> Pixels:
    """Paint each style where its mask is white, as if only that were the picture; the photo shows where none is.

    Each style takes its statistics inside its mask, so that a bright sky does not change the colours of the ground.
    Where masks overlap, the styles are mixed as pictures.

    Args:
        stylizers: The styles.
        masks: One for each, (H, W) in [0, 1].
        pixels: The photo, (H, W, 3) uint8.

    Raises:
        InputError: The picture is larger than what a style is shown at once.
        ImageError: It is smaller than 16 px, or too large for the memory.
        ModelError: A style is not one of ours for pictures of any size with float normalizations.
    """
    height, width = pixels.shape[:2]
    photo = to_float(pixels)
    covered = np.sum(masks, axis=0)
    painted = photo * (1 - np.minimum(covered, 1))
    for stylizer, mask in zip(stylizers, masks, strict=True):
        if not stylizer.sees_parts:
            raise InputError(
                f"{stylizer.style.name} cannot be given masks",
                hint="Styles that fast-style exported for pictures of any size in float32 can.",
            )
        if not is_seen_whole(stylizer, height * width):
            raise InputError(
                f"a picture of {width}×{height} px is too large for masks", hint="Shrink it with --size, such as 3000."
            )
        fixed = stylizer.fixed(stylizer.measure(photo, mask=mask[None, None]))
        painted += mask / np.maximum(covered, 1) * fixed.floats(photo, keep_memory=False)
    return to_uint8(painted)
