"""Stylizing the frames of an animation in the colors of one scene, so that they do not flicker."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from fast_style.images import Picture, channels
from fast_style.stylize.look import Look
from fast_style.stylize.masks import Mask, networks_for_masks, paint_masked, pair_masks, read_mask
from fast_style.stylize.network import StyleNetwork
from fast_style.stylize.scene import Scene


def stylize_frames(
    network: StyleNetwork, frames: Iterable[tuple[Picture, float]], look: Look
) -> Iterator[tuple[Picture, float]]:
    """Stylize pictures of one size in turn, keeping alpha, profile and EXIF.

    Args:
        network: The style.
        frames: Pictures, and for how long each is shown; the times are passed on.
        look: How they are stylized.

    Raises:
        ImageError, InputError: The pictures are too small, or the masks do not fit.
    """
    masks = pair_masks(network, look.masks)
    scenes: list[Scene] = []
    read: list[Mask] = []
    for picture, time in frames:
        if not scenes:
            networks = networks_for_masks(network, masks, picture.size) if masks else [network]
            scenes = [Scene(each, passes=look.passes) for each in networks]
            read = [read_mask(path, picture.size) for path in masks.values()]
        photo, painted = channels(picture.pixels), np.empty_like(picture.pixels)
        fixed = [scene.style(photo, mask) for scene, mask in zip(scenes, read or (None,), strict=True)]
        paint_masked(fixed, read or None, photo, channels(painted), look)
        yield replace(picture, pixels=painted), time
