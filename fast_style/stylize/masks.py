"""Masks: several styles in one picture, or a style in a part of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ImageError, InputError
from fast_style.images import Picture, Planes, fit_size, float_to_planes, load_image, mix, planes_to_float, resize
from fast_style.stylize.look import Look
from fast_style.stylize.network import Network, StyleNetwork
from fast_style.stylize.tiles import is_seen_whole

Mask = NDArray[np.float32]

# In place of a style's name: the whole mixture.
WHOLE = ""


def read_mask(path: str | Path, size: tuple[int, int]) -> Mask:
    """Read a mask, (H, W) in [0, 1], for a picture of (width, height) px: the brightness of a file, times its alpha.

    Raises:
        ImageError: The file cannot be read, or has another aspect ratio than the picture.
        InputError: It is completely black.
    """
    mask = as_mask(load_image(path), path, size)
    if not mask.any():
        raise InputError(f"the mask {path} is completely black", hint="A style is painted where its mask is white.")
    return mask


def as_mask(picture: Picture, path: str | Path, size: tuple[int, int]) -> Mask:
    """Turn a decoded picture into a mask, (H, W) in [0, 1], of (width, height) px; the path is for messages.

    Raises:
        ImageError: It has another aspect ratio.
    """
    width, height = picture.size
    shrunk = fit_size((width, height), max(size), enlarge=True)  # as the picture, whose sides were rounded then
    apart = max(abs(side - expected) for side, expected in zip(shrunk, size, strict=True))
    if apart > 1 and abs(width / height - size[0] / size[1]) > 0.02 * size[0] / size[1]:
        raise ImageError(
            f"the mask {path} of {width}×{height} px has another shape than the picture of {size[0]}×{size[1]} px",
            hint="Crop one of them.",
        )
    fitted = picture if picture.size == size else resize(picture, size)
    mask: Mask = fitted.pixels.astype(np.float32).mean(axis=2) / np.float32(255)
    return mask if fitted.alpha is None else mask * (fitted.alpha.astype(np.float32) / np.float32(255))


def pair_masks(network: StyleNetwork, masks: Sequence[Path]) -> dict[str, Path]:
    """Assign masks, if any, to the styles of a mixture, in its order; a single mask is for the whole mixture.

    Raises:
        InputError: There are several masks, and not as many as styles.
    """
    if not masks:
        return {}
    if len(masks) == 1:
        return {WHOLE: masks[0]}
    names = list(network.weights)
    if len(names) != len(masks):
        raise InputError(
            f"{len(masks)} masks for {len(names) or 1} style{'s' * (len(names) > 1)}",
            hint="Give as many styles, such as --style udnie,starry-night.",
        )
    return dict(zip(names, masks, strict=True))


def networks_for_masks(network: StyleNetwork, names: Iterable[str], size: tuple[int, int]) -> list[StyleNetwork]:
    """Return the network for each mask of a picture of (width, height) px, by the names of a mixture's styles.

    ``""`` stands for the whole mixture, and so does the network's name, unless it is that of a style.

    Raises:
        InputError: There is no such style, one was not exported by fast-style in float32 for pictures of any size, or
            the picture is too large to be drawn at once.
    """
    whole = {WHOLE, network.name} - {*network.styles}  # a file may be called like one of its styles
    networks = [network if name in whole else network.mixed({name: 1.0}) for name in names]
    width, height = size
    for masked in networks:
        if not masked.sees_parts:
            raise InputError(
                f"{masked.name} cannot be given masks",
                hint="Styles that fast-style exported for pictures of any size in float32, without --passes, can.",
            )
        # Masks cannot be painted in tiles, so pictures may be twice as large as those without.
        if not is_seen_whole(masked, height * width // 2):
            raise InputError(
                f"a picture of {width}×{height} px is too large for masks", hint="Shrink it with --size, such as 3000."
            )
    return networks


def paint_masked(
    fixed: Iterable[Network],
    masks: Sequence[Mask] | None,
    photo: Planes,
    result: Planes,
    look: Look = Look(),
    *,
    origin: tuple[int, int] = (0, 0),
) -> None:
    """Paint each style where its mask is white; elsewhere the photo stays.

    Each style has the statistics of the photo inside its mask, so that a bright sky does not change the colors of the
    ground. Where masks overlap, the stylized pictures are mixed.

    Args:
        fixed: The styles, with these statistics fixed.
        masks: A mask for each, (H, W) in [0, 1]; None lets the one style paint everywhere.
        photo: Red, green and blue, each (H, W) uint8.
        result: Red, green and blue of the result, each (H, W) uint8, overwritten.
        look: How it is stylized: its blend and whether the photo's colors are kept.
        origin: See :meth:`fast_style.stylize.network.Network.planes`.

    Raises:
        ImageError: The picture is smaller than 16 px, or too large for the memory.
        ModelError: A network produced NaN or infinity.
    """
    if masks is None:
        (network,) = fixed
        network.planes(photo, result, blend=look.blend, keep_colors=look.keep_colors, origin=origin)
        return
    image = np.empty((1, 3, *photo[0].shape), np.float32)
    planes_to_float(photo, image)
    covered = np.sum(masks, axis=0)
    painted = image * (1 - np.minimum(covered, 1))
    for network, mask in zip(fixed, masks, strict=True):
        painted += mask / np.maximum(covered, 1) * network.floats(image, origin=origin)
    mix(image, painted, blend=look.blend, keep_colors=look.keep_colors)
    float_to_planes(painted, result)
