"""A style held over the frames of a scene, so that what crosses the picture does not change the rest of it.

Each normalization looks at the whole frame: a lamp that is carried through a room changes the colours of its walls. So
the statistics of some frames are taken, the median of the latest ones is what counts, and the style follows it slowly.
What passes within seconds is not seen in a median; what stays is. A cut takes over the statistics of its first frame.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fast_style.images import Planes, planes_to_float
from fast_style.model import Statistics, noise_tiles
from fast_style.stylize.masks import Mask
from fast_style.stylize.network import Network, StyleNetwork

# Frames from one that is measured to the next: a second of film, at which measuring takes a twentieth of the time.
_EVERY = 24
# Measured frames of which the median is taken: what stays for less than half of them, some three seconds, is not seen.
_RECENT = 7
# The share of the way that is taken towards the median at each measured frame.
_RATE = 0.4
# A style is made anew when a channel has moved by this share of its deviation; less than that cannot be seen.
_LEAST_CHANGE = 0.02
# What normalizations add to the variance: a channel that is constant has no deviation, and rounding would move it.
_EPSILON = np.float32(1e-5)
# A cut changes at least this share of a frame's colours, and brightness by so many levels at each place. A pan keeps
# the colours, a thing that crosses the picture most of the places.
_CUT_COLOURS, _CUT_LEVELS = 0.35, 18.0
# A mask whose area has grown by so much begins anew: the few pixels of what enters the picture say little of it.
_GROWN = 2.0
_LOOK = 48  # Samples along the long side of what cuts are looked for in.
_BINS = 12


class Scene:
    """The style for each frame of a film, in order.

    Args:
        network: The style; one that does not see parts is taken as it is, for each frame by itself.
        background: Measure in a thread of its own, so that no frame waits; what is found counts from a later frame on.
            Else the same film gives the same result each time.
    """

    def __init__(self, network: StyleNetwork, *, background: bool = False) -> None:
        self.network = network
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="measure") if background else None
        self._measuring: Future[Statistics] | None = None
        self._recent: deque[Statistics] = deque(maxlen=_RECENT)
        self._held: Statistics | None = None
        self._fixed: Statistics | None = None
        self._current: Network = network
        self._before: _Look | None = None
        self._since = 0
        self._area = 0.0

    @property
    def uses_origin(self) -> bool:
        """Whether pictures depend on where the camera has gone: its noise and its cells move along with the scene."""
        network = self.network
        return network.sees_parts and (network.stride > 1 or bool(noise_tiles(network.chosen)))

    def style(self, frame: Planes, mask: Mask | None = None) -> Network:
        """Return the style that the next frame is drawn with.

        Args:
            frame: Red, green and blue, each (H, W) uint8.
            mask: (H, W), how much each pixel counts where the frame is measured; not all zero. None counts all alike.
        """
        if not self.network.sees_parts:
            return self.network
        look, before = _Look(frame), self._before
        self._before = look
        self._since += 1
        area = 0.0 if mask is None else float(mask.sum())
        if self._held is None or before is None or look.is_cut_from(before) or area > _GROWN * self._area:
            self._measuring, self._area = None, area
            self._begin(self._measure(frame, mask))
        elif self._pool is None:
            if self._since >= _EVERY:
                self._follow(self._measure(frame, mask))
        elif self._measuring is not None and self._measuring.done():
            self._follow(self._measuring.result())
            self._measuring = None
        elif self._measuring is None and self._since >= _EVERY:
            self._measuring = self._pool.submit(self._measure, np.stack([*frame]), mask)
        return self._current

    def close(self) -> None:
        """End the thread that measures."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _measure(self, frame: Planes, mask: Mask | None) -> Statistics:
        image = np.empty((1, 3, *frame[0].shape), np.float32)
        planes_to_float(frame, image)
        return self.network.measure(image, mask=None if mask is None else mask[None, None])

    def _begin(self, found: Statistics) -> None:
        self._since = 0
        self._recent.clear()
        self._recent.append(found)
        self._held = found
        self._fix(found)

    def _follow(self, found: Statistics) -> None:
        assert self._held is not None  # since a scene has begun
        assert self._fixed is not None
        self._since = 0
        self._recent.append(found)
        median = np.median(np.stack(self._recent), axis=0).astype(np.float32)
        self._held = self._held + np.float32(_RATE) * (median - self._held)
        deviation = np.sqrt(self._fixed[1] + _EPSILON)
        moved = np.abs(self._held[0] - self._fixed[0]) / deviation
        widened = np.abs(np.sqrt(np.maximum(self._held[1], 0) + _EPSILON) / deviation - 1)
        if max(float(moved.max()), float(widened.max())) > _LEAST_CHANGE:
            self._fix(self._held)

    def _fix(self, statistics: Statistics) -> None:
        self._fixed = statistics
        self._current = self.network.fixed(statistics)


class _Look:
    """A frame, as far as cuts are concerned: its brightness on a coarse grid, and how its colours are spread."""

    def __init__(self, frame: Planes) -> None:
        step = max(1, max(frame[0].shape) // _LOOK)
        samples = np.stack([plane[::step, ::step] for plane in frame]).astype(np.float32)
        self.light: NDArray[np.float32] = samples.mean(0)
        counts = [np.bincount((plane.ravel() * (_BINS / 256)).astype(np.intp), minlength=_BINS) for plane in samples]
        self.colours = np.stack(counts) / self.light.size

    def is_cut_from(self, before: _Look) -> bool:
        """Whether a new scene begins here."""
        if self.light.shape != before.light.shape:
            return True
        changed = float(np.abs(self.colours - before.colours).sum(1).max()) / 2
        return changed > _CUT_COLOURS and float(np.abs(self.light - before.light).mean()) > _CUT_LEVELS
