"""Pictures in memory: resizing them, and turning their bytes into a network's floats and back.

Code that only measures (frames around paintings, steady film, flicker, heat maps) computes in floats of 0 to 255 and
says so; the ONNX graphs with pixels in and out, and the page's script, repeat :func:`to_float` and :func:`to_uint8`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Planes = Sequence[Pixels] | NDArray[np.uint8]  # red, green and blue, each (H, W); or (3, H, W)

# ITU-R BT.601 luma, the weights of Pillow's "L" and of the Y in JPEG.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what has to survive a round trip.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, turned upright.
        alpha: (H, W) uint8, or None if the file had none.
        icc_profile: The RGB color profile, or None.
        exif: EXIF without the orientation, or None.
        dpi: Resolution for print, across and down, pixels an inch, or None.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.pixels.shape[1], self.pixels.shape[0]


def on_white(picture: Picture) -> Picture:
    """Lay transparent parts on white."""
    if picture.alpha is None:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    whole = Image.alpha_composite(white, with_alpha(picture))
    return replace(picture, pixels=np.array(whole.convert("RGB")), alpha=None)


def with_alpha(picture: Picture) -> Image.Image:
    """A picture as Pillow's, in RGB or RGBA."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def fit(picture: Picture, size: float, *, enlarge: bool = False) -> Picture:
    """Shrink a picture so that its long side has at most ``size`` px; a smaller one is kept or enlarged to it."""
    target = fit_size(picture.size, size, enlarge=enlarge)
    return picture if target == picture.size else resize(picture, target)


def fit_size(
    size: tuple[int, int], long_side: float | None, *, enlarge: bool = False, least: int = 1
) -> tuple[int, int]:
    """Shrink a size, (width, height) px, to a long side, px; the aspect ratio is kept. None keeps the size.

    ``enlarge`` also enlarges a smaller size to that long side. Each side of the result has at least ``least`` px.
    """
    if long_side is None or (max(size) <= long_side and not enlarge):
        return size
    scale = long_side / max(size)
    return max(least, round(size[0] * scale)), max(least, round(size[1] * scale))


def resize(picture: Picture, size: tuple[int, int]) -> Picture:
    """Resample to exactly (width, height) px with Lanczos, alpha too."""

    def resample(channels: Pixels) -> Pixels:
        return np.asarray(Image.fromarray(channels).resize(size, Image.Resampling.LANCZOS))

    alpha = None if picture.alpha is None else resample(picture.alpha)
    return replace(picture, pixels=resample(picture.pixels), alpha=alpha)


def to_float(pixels: Pixels | NDArray[np.uint16]) -> NDArray[np.float32]:
    """(H, W, 3) uint8, or uint16 of a picture with 16 bits a channel, to (1, 3, H, W) float32 in [0, 1]."""
    out = np.empty((1, 3, *pixels.shape[:2]), dtype=np.float32)
    np.multiply(pixels.transpose(2, 0, 1), np.float32(1 / np.iinfo(pixels.dtype).max), out=out[0])
    return out


def to_uint8(image: NDArray[np.float32]) -> Pixels:
    """(1, 3, H, W) float in [0, 1] to (H, W, 3) uint8; rounds, and clamps what lies outside."""
    return np.ascontiguousarray(_to_levels(image, 255).astype(np.uint8).transpose(1, 2, 0))


def to_uint16(image: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(1, 3, H, W) float in [0, 1] to (H, W, 3) uint16; rounds, and clamps what lies outside."""
    return np.ascontiguousarray(_to_levels(image, 65535).astype(np.uint16).transpose(1, 2, 0))


def _to_levels(image: NDArray[np.float32], highest: int) -> NDArray[np.float32]:
    levels: NDArray[np.float32] = np.clip(image[0] * np.float32(highest) + np.float32(0.5), 0, highest)
    return levels


def channels(pixels: Pixels) -> list[Pixels]:
    """The three (H, W) planes of an (H, W, 3) array, as views."""
    return [pixels[..., channel] for channel in range(3)]


def planes_to_float(planes: Planes, out: NDArray[np.float32]) -> None:
    """Fill a (1, 3, H, W) float32 image in [0, 1] from three (H, W) uint8 planes, views with any strides."""
    for channel, plane in zip(out[0], planes, strict=True):
        np.multiply(plane, np.float32(1 / 255), out=channel)


def float_to_planes(image: NDArray[np.float32], planes: Planes) -> None:
    """Fill three (H, W) uint8 planes from a (1, 3, H, W) float32 image; rounds, and clamps what lies outside [0, 1].

    The image is overwritten: scaling it in place avoids loading other memory into the caches.
    """
    for channel, plane in zip(image[0], planes, strict=True):
        channel *= np.float32(255)
        channel += np.float32(0.5)
        np.clip(channel, np.float32(0), np.float32(255), out=channel)
        np.copyto(plane, channel, casting="unsafe")


def mix(
    photo: NDArray[np.float32], stylized: NDArray[np.float32], *, blend: float = 1.0, keep_colors: bool = False
) -> None:
    """Mix the photo into the stylized picture, in place. Both (1, 3, H, W) float32 in [0, 1].

    A ``blend`` of 0.0 is the photo, of 1.0 the stylized picture. With ``keep_colors``, the brightness is that of the
    stylized picture, the colors those of the photo.

    Reference:
        Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", section 3.2.
    """
    if keep_colors:
        shift = np.tensordot(LUMA, stylized[0] - photo[0], axes=1)
        np.clip(photo + shift, 0, 1, out=stylized)
    if blend < 1.0:
        stylized *= np.float32(blend)
        stylized += np.float32(1.0 - blend) * photo


def example_image(count: int, height: int, width: int) -> NDArray[np.float32]:
    """Make (N, 3, H, W) in [0, 1] for proofs: half noise, half gradient, as noise alone hides faults in a flat sky."""
    image = np.random.default_rng(0).random((count, 3, height, width), np.float32)
    image[..., : width // 2] = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return image
