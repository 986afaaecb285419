"""Moving scenes made of photos, whose motion is exactly known: pans, zooms, and something in front that moves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fast_style.images import Pixels

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Kind = Literal["pan", "zoom", "layers"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# Standard deviation of a camera's noise, levels of 255.
NOISE = 3.0
# Margin around the view that the camera moves over, as a share of the photo's side.
_MARGIN = 1 / 8
# Slow pan across and down, px a frame: no frame lies on the pixels of another.
_PAN = (1.37, 0.61)
# Motion of the disc in front, against the pan, px a frame.
_FRONT = (-2.23, 0.43)
# Enlargement from frame to frame.
_ZOOM = 1.008


@dataclass(frozen=True)
class Moment:
    """A frame, and its motion since the frame before."""

    frame: Pixels  # (H, W, 3) uint8, with noise
    flow: Floats  # (H, W, 2), px across and down: where each pixel lay in the frame before, relative to its place
    known: Mask  # (H, W): whether the pixel could be seen there


def play(kind: Kind, photo: Pixels, *, frames: int = 12) -> Iterator[Moment]:
    """Play a scene; nothing of its first moment is known, as no moment precedes it.

    In a ``pan`` a camera moves over the photo, in a ``zoom`` toward its middle; in ``layers`` a disc cut from the photo
    upside down moves over a pan, and hides parts of it. The photo is (H, W, 3) uint8, at least 32 px on each side; the
    frames have three quarters of its sides.
    """
    import cv2

    height, width = (round(side * (1 - 2 * _MARGIN)) for side in photo.shape[:2])
    rows, columns = np.indices((height, width), dtype=np.float32)
    across, down = _MARGIN * photo.shape[1], _MARGIN * photo.shape[0]
    x0, y0 = (width - 1) / 2, (height - 1) / 2
    (zoom, pan) = (_ZOOM, (0.0, 0.0)) if kind == "zoom" else (1.0, _PAN)
    random = np.random.default_rng(0)
    middle = (frames - 1) / 2

    def behind(time: int) -> tuple[Floats, Floats]:
        """Return which point of the photo each pixel shows."""
        factor, moved = zoom ** (middle - time), time - middle
        x = x0 + factor * (columns - x0) + across + pan[0] * moved
        return x, y0 + factor * (rows - y0) + down + pan[1] * moved

    def in_front(time: int) -> tuple[Floats, Floats, Mask]:
        """Return which point of the photo upside down each pixel shows, and the mask of the disc."""
        x, y = columns - _FRONT[0] * (time - middle), rows - _FRONT[1] * (time - middle)
        inside = (x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 4) ** 2
        return x + across, y + down, inside

    # Where each pixel of the background lay a frame before: its place shrinks toward the middle by a step of the zoom.
    step = 1 / zoom - 1
    back = np.stack([step * (columns - x0) + pan[0], step * (rows - y0) + pan[1]], axis=-1).astype(np.float32)
    for time in range(frames):
        scene, flow = _fetch(photo, *behind(time)), back
        known = np.full((height, width), time > 0)
        if kind == "layers":
            x, y, here = in_front(time)
            scene = np.where(here[..., None], _fetch(photo[::-1], x, y), scene)
            flow = np.where(here[..., None], -np.array(_FRONT, np.float32), flow)
            # Pixels behind the disc a frame before could not be seen; one px more, for interpolation.
            covered = cv2.dilate(in_front(time - 1)[2].astype(np.uint8), np.ones((3, 3), np.uint8))
            before = cv2.remap(covered, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_NEAREST)
            edge = cv2.morphologyEx(here.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
            known &= (here | (before == 0)) & (edge == 0)
        targets_x, targets_y = columns + flow[..., 0], rows + flow[..., 1]
        known &= (targets_x >= 0) & (targets_x <= width - 1) & (targets_y >= 0) & (targets_y <= height - 1)
        noisy = scene + random.normal(0, NOISE, scene.shape)
        yield Moment(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), flow, known)


def _fetch(source: Pixels, x: Floats, y: Floats) -> Floats:
    """Fetch the points of a picture at columns ``x`` and rows ``y``, each (H, W)."""
    import cv2

    points = x.astype(np.float32), y.astype(np.float32)
    seen = cv2.remap(source.astype(np.float32), *points, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(seen, dtype=np.float32)
