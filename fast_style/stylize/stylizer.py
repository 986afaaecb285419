"""The façade: open a style by its name and stylize pictures with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fast_style.errors import check_least
from fast_style.images import Picture, Pixels, channels, fit, load_image
from fast_style.images.arrays import with_alpha
from fast_style.images.exif import read_exif
from fast_style.images.load import to_picture, turn_upright
from fast_style.model import open_graph
from fast_style.model.ground import Forms
from fast_style.model.session import Device
from fast_style.model.table import STYLES, style_names
from fast_style.styles.mixture import find_mixture
from fast_style.stylize.checks import check_blend, check_pixels
from fast_style.stylize.contract import Range, check_contract
from fast_style.stylize.look import Look
from fast_style.stylize.masks import networks_for_masks, paint_masked, read_mask
from fast_style.stylize.network import StyleNetwork
from fast_style.stylize.passes import measure_passes
from fast_style.stylize.rasters import ArrayRaster
from fast_style.stylize.tiles import stylize_bands


class Stylizer:
    """A style, ready for pictures of any size. Several threads may call it at once.

    Args:
        style: A shipped name such as ``starry-night``, the path of an ONNX file, a mixture such as
            ``starry-night:0.7,udnie:0.3``, or a style and an adapter, ``fast+mine.safetensors``; see
            :func:`~fast_style.styles.mixture.find_mixture`.
        device: ``auto`` takes the best device that works; any other is required.
        threads: CPU threads for one picture, no more than there are cores; None takes every core. For several pictures
            at once, one thread for each is faster.
        value_range: The values that a float graph from elsewhere takes and returns, ``0-1`` or ``0-255``; results are
            clamped. For a graph of a fixed size, pictures are resized to it, and results resized back.
        strength: How strongly to paint, 0.25 to 4. Unlike ``blend``, it does not fade: the higher, the more the large
            forms of the first passes cover the photo's detail. It does nothing in a single pass.
        ground: Forms that are laid under flat places, see :mod:`fast_style.model.ground`; None takes the style's
            own. It does nothing in a single pass.

    Raises:
        StyleNotFoundError: There is no such style.
        InputError: The styles cannot be mixed, or the strength, ``ground`` or ``value_range`` is not one of those
            above.
        ModelError: The file is damaged, not ONNX, or does not turn one picture into one; or ``value_range`` is missing
            or contradicts it.
        DeviceError: The device is not available.

    Example:
        >>> Stylizer("starry-night")("photo.jpg").save("out.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        style: str | Path,
        *,
        device: Device = "auto",
        threads: int | None = None,
        value_range: Range | None = None,
        strength: float = 1.0,
        ground: Forms | None = None,
    ) -> None:
        check_least(1, threads=threads)
        chosen = find_mixture(style)
        graph = open_graph(chosen.style.path, device=device, threads=threads, content=chosen.content)
        metadata = graph.metadata if graph.ours else {}  # other programs may use our keys for something else
        network = StyleNetwork(
            contract=check_contract(graph, value_range),
            session=graph.session,
            device=graph.device,
            name=chosen.style.name,
            metadata=metadata,
            content=chosen.read(),
            styles=style_names(metadata),
            takes_styles=any(value.name == STYLES for value in graph.signature.optional),
            threads=threads,
        )
        self._opened = {"style": style, "device": device, "threads": threads, "value_range": value_range}
        self.style = chosen.style
        self.network = replace(network.mixed(chosen.weights or None, strength, ground), name=chosen.style.name)

    def __reduce__(self) -> tuple[Callable[..., Stylizer], tuple[object, ...]]:
        """Pickle the arguments of the constructor: unpickling opens the style again."""
        network = self.network
        return _open_again, (self._opened, network.weights, network.strength, network.other_ground)

    def __call__(
        self,
        image: str | Path | Image.Image | Pixels,
        *,
        size: int | None = None,
        blend: float = 1.0,
        keep_colors: bool = False,
        passes: int | None = None,
        styles: Mapping[str, float] | None = None,
        strength: float | None = None,
        ground: Forms | None = None,
        masks: Mapping[str, str | Path] | None = None,
    ) -> Image.Image:
        """Stylize one picture.

        Args:
            image: A path, a PIL image, or an (H, W, 3) uint8 RGB array. A PIL image of mode ``I`` is gray of 16 bits;
                of 16-bit RGB and of gray of fewer than 8 bits, Pillow loses which color is transparent, and a path
                does not.
            size: Shrink the long side to this many px first, or None.
            blend: 0.0 is the photo, 1.0 the full style.
            keep_colors: Take only brightness from the style.
            passes: Number of passes in which the picture is painted, from coarse to fine, 1 to 8; more give larger
                forms. None takes the style's for this size, see :mod:`fast_style.model.passes`.
            styles: Weights of the styles in the file by name, as for :meth:`mixed`.
            strength: How strongly the style is painted, as for :meth:`mixed`.
            ground: What is laid under flat places, as for :meth:`mixed`.
            masks: A mask for each style by name: the style is painted where it is white, and the photo stays where
                none is. Statistics are taken inside each mask. The stylizer's name stands for the whole mixture.

        Returns:
            A new RGB image (RGBA if the picture had alpha), upright, of the picture's size after shrinking. Its
            ``info`` has the picture's ``icc_profile``, ``dpi`` and ``exif``. Of these, Pillow's ``save`` writes by
            itself only the profile, into PNG and TIFF; give it the others by name.

        Raises:
            ImageError: The picture cannot be read, has a side under 16 px, or is too large for the memory; or an array
                has another shape or type.
            InputError: An option is out of its range; or as :meth:`mixed`.
        """
        is_other = any(each is not None for each in (styles, strength, ground))
        stylizer = self.mixed(styles, strength, ground) if is_other else self
        look = Look(size=size, blend=blend, keep_colors=keep_colors, passes=passes)
        picture = stylizer.picture(_as_picture(image), look, masks=masks)
        out = with_alpha(picture)
        kept = {"icc_profile": picture.icc_profile, "dpi": picture.dpi, "exif": picture.exif}
        out.info.update({name: value for name, value in kept.items() if value})
        return out

    def picture(
        self,
        picture: Picture,
        look: Look = Look(),
        *,
        masks: Mapping[str, str | Path] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Picture:
        """Stylize a decoded picture, keeping its alpha, profile and EXIF.

        Args:
            picture: The picture.
            look: How it is stylized; its masks do not count.
            masks: As for a call, which raises the same errors.
            progress: Called with the share of a large picture that is done.
        """
        if look.size is not None:
            picture = fit(picture, look.size)
        photo, painted = picture.pixels, np.empty_like(picture.pixels)
        if masks:
            read = [read_mask(path, picture.size) for path in masks.values()]
            networks = networks_for_masks(self.network, masks, picture.size)
            passes = self.network.count_passes(*picture.size, look.passes)
            # A generator, as each session keeps the memory of a picture.
            fixed = (
                network.fixed(measure_passes(network, photo, passes=passes, mask=mask))
                for network, mask in zip(networks, read, strict=True)
            )
            paint_masked(fixed, read, channels(photo), channels(painted), look)
        else:
            bands = stylize_bands(self.network, ArrayRaster(photo), look, progress=progress)
            for top, band in bands:
                painted[top : top + len(band)] = band
        return replace(picture, pixels=painted)

    def frame(self, pixels: Pixels, *, blend: float = 1.0, keep_colors: bool = False) -> Pixels:
        """Stylize an (H, W, 3) uint8 RGB array at once and return a new one of the same shape.

        Raises:
            ImageError: The array has another shape or type, a side under 16 px, or is too large for the memory.
            InputError: ``blend`` is outside [0, 1].
        """
        check_blend(blend)
        return self.network.frame(pixels, blend=blend, keep_colors=keep_colors)

    def mixed(
        self,
        styles: Mapping[str, float] | None = None,
        strength: float | None = None,
        ground: Forms | None = None,
    ) -> Stylizer:
        """Return this file's styles in another mixture, at another strength, or over another ground.

        The file is not opened again.

        Args:
            styles: Weights by name, divided by their sum; styles that are not named have none. None keeps the mixture.
            strength: 0.25 to 4; None keeps it.
            ground: See :mod:`fast_style.model.ground`; None keeps it.

        Raises:
            InputError: The file has no such style, no style is named, the strength is out of range, there is no such
                ground, or strength and ground are fixed in the file.
        """
        network = self.network.mixed(styles, strength, ground)
        mixed = copy.copy(self)
        mixed.style, mixed.network = replace(self.style, name=network.name), network
        return mixed

    def each(self) -> list[Stylizer]:
        """Return a stylizer for each style of the file, or only this one for one style or a mixture."""
        network = self.network
        if len(network.styles) < 2 or network.weights:
            return [self]
        return [self.mixed({name: 1.0}) for name in network.styles]


def _open_again(
    opened: dict[str, Any], weights: Mapping[str, float], strength: float, ground: Forms | None
) -> Stylizer:
    stylizer = Stylizer(**opened, strength=strength, ground=ground)
    return stylizer if weights == stylizer.network.weights else stylizer.mixed(weights)


def _as_picture(image: str | Path | Image.Image | Pixels) -> Picture:
    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Image.Image):
        upright = turn_upright(image)
        exif = read_exif(upright)  # type: ignore[arg-type]  # of an image that is not a file, it reads only the info
        if image.format == "TIFF":  # its tags say which end of the range is white, and how many bits count
            upright.format, upright.tag_v2 = image.format, getattr(image, "tag_v2", {})  # type: ignore[attr-defined]
        return to_picture(upright, exif=exif)
    check_pixels(image)
    return Picture(image)
