"""A style held steady over the frames of a scene, so that a passing object does not change the rest of the picture.

Each normalization sees the whole frame: a lamp carried through a room changes the colors of its walls. So statistics
of each pass are measured on some frames, and the style slowly follows the median of the latest ones. Something that
passes within seconds does not affect the median; something that stays does. A cut adopts the statistics of its first
frame.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fast_style.images import Planes, channels
from fast_style.model.statistics import Statistics, noise_tiles
from fast_style.stylize.checks import check_passes
from fast_style.stylize.look import Look
from fast_style.stylize.masks import Mask
from fast_style.stylize.network import Network, StyleNetwork
from fast_style.stylize.passes import measure_passes
from fast_style.stylize.rasters import ArrayRaster
from fast_style.stylize.tiles import stylize_bands

# Least interval between measured frames; it is one second of film, so that measuring takes a twentieth of the time. A
# frame whose colors are nearly those of the last one measured, by this share, is not measured, up to so many times in a
# row.
_LEAST_INTERVAL = 24
_ALIKE_COLORS, _MOST_UNMEASURED = 0.08, 3
# Number of measured frames in the median: an object that stays for less than half of them, about three seconds, has
# no effect.
_RECENT = 7
# Step toward the median at each measured frame, as a share of the distance.
_RATE = 0.4
# Least change of channels, in the median of them, as a share of their deviation, that updates the style: it changes a
# picture by about one level of 255.
_LEAST_CHANGE = 0.003
# Epsilon that normalizations add to the variance: a constant channel has no deviation, and rounding would move it.
_EPSILON = np.float32(1e-5)
# Least changes at a cut: share of a frame's colors, and mean difference of brightness, levels. A pan keeps the colors;
# an object that crosses the picture leaves most of it unchanged.
_CUT_COLORS, _CUT_LEVELS = 0.35, 18.0
# Growth of the contrast of the same picture that restarts measuring, the least contrast that counts, levels, and the
# least correlation of the same picture. A film that fades in begins nearly even: its first statistics would magnify the
# frames that follow.
_BRIGHTER, _LEAST_CONTRAST, _SAME = 1.1, 8.0, 0.97
# Growth of a mask's area that restarts measuring: the first few pixels of an object entering the picture are not
# representative.
_GROWN = 2.0
_LOOK = 48  # samples along the long side of a frame, for finding cuts
_BINS = 12  # of each channel's histogram


class Scene:
    """The style for each frame of a film, in order.

    Args:
        network: The style; if it cannot be measured in parts, it paints each frame by itself, as a photo.
        passes: Number of passes in which frames are painted, from coarse to fine; None takes the style's for their
            size.
        rate: Frames a second; of slow films, 24.
        background: Measure in a separate thread, so that no frame waits; the statistics apply from a later frame on.
            If False, the same film always gives the same result.

    Raises:
        InputError: ``passes`` is out of range, or another number than that in which the style paints by itself.
    """

    def __init__(
        self, network: StyleNetwork, *, passes: int | None = None, rate: float = 24.0, background: bool = False
    ) -> None:
        check_passes(passes)
        network.check_passes(passes)
        self.network = network
        self.passes = passes
        self._interval = max(_LEAST_INTERVAL, round(rate))
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="measure") if background else None
        self._pending: Future[_Held] | None = None
        self._held: _Held | None = None
        self._before: _Look | None = None
        self._since = 0
        self._first: _Look | None = None
        self._area = 0.0

    @property
    def uses_origin(self) -> bool:
        """Whether pictures depend on the camera's position: noise and cells of the network move with the scene."""
        network = self.network
        return network.sees_parts and (network.stride > 1 or bool(noise_tiles(network.chosen)))

    def style(self, frame: Planes, mask: Mask | None = None) -> Network:
        """Return the style for drawing the next frame.

        Args:
            frame: Red, green and blue, each (H, W) uint8.
            mask: (H, W), the weight of each pixel in measuring, not all zero. None weights all equally.
        """
        if not self.network.sees_parts:
            passes, style = self._count_passes(frame), self.network
            if passes == 1:
                return style
            return _PhotoPainter(
                contract=style.contract, session=style.session, device=style.device, style=style, passes=passes
            )
        look, before = _Look(frame), self._before
        self._before = look
        self._since += 1
        area = 0.0 if mask is None else float(mask.sum())
        begins = before is None or look.is_cut_from(before)
        begins = begins or (self._first is not None and look.fades_in_from(self._first))
        if look.contrast < _LEAST_CONTRAST:
            self._first = look  # a fade through black
        if self._held is None or begins or area > _GROWN * self._area:
            statistics = self._measure(frame, mask)
            self._held = _Held((statistics,), statistics, statistics, self.network.fixed(statistics), look)
            self._pending, self._since, self._area, self._first = None, 0, area, look
        elif self._pending is not None:
            if self._pending.done():
                self._held, self._pending, self._since = self._pending.result(), None, 0
        elif self._since >= self._interval:
            if self._pool is not None:
                self._pending = self._pool.submit(self._followed, self._held, np.stack([*frame]), mask, look)
            else:
                self._held, self._since = self._followed(self._held, frame, mask, look), 0
        return self._held.painter

    def close(self) -> None:
        """End the measuring thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _measure(self, frame: Planes, mask: Mask | None) -> Statistics:
        photo = np.stack([*frame], axis=-1)
        return measure_passes(self.network, photo, passes=self._count_passes(frame), mask=mask)

    def _count_passes(self, frame: Planes) -> int:
        height, width = frame[0].shape
        return self.network.count_passes(width, height, self.passes)

    def _followed(self, held: _Held, frame: Planes, mask: Mask | None, look: _Look) -> _Held:
        """Go a step toward the median, with a new measurement unless the frame looks as the last one measured did."""
        measured = mask is not None or held.unmeasured == _MOST_UNMEASURED or look.is_unlike(held.look)
        recent = (*held.recent, self._measure(frame, mask) if measured else held.recent[-1])[-_RECENT:]
        median = np.median(np.stack(recent), axis=0).astype(np.float32)
        statistics = held.statistics + np.float32(_RATE) * (median - held.statistics)
        (mean, variance), (fixed_mean, fixed_variance) = (np.moveaxis(each, 1, 0) for each in (statistics, held.fixed))
        deviation = np.sqrt(fixed_variance + _EPSILON)
        moved = np.abs(mean - fixed_mean) / deviation
        widened = np.abs(np.sqrt(np.maximum(variance, 0) + _EPSILON) / deviation - 1)
        fixed, painter = held.fixed, held.painter
        if np.median(np.maximum(moved, widened)) > _LEAST_CHANGE:
            fixed, painter = statistics, self.network.fixed(statistics)
        look, unmeasured = (look, 0) if measured else (held.look, held.unmeasured + 1)
        return _Held(recent, statistics, fixed, painter, look, unmeasured)


@dataclass(frozen=True, eq=False, kw_only=True)
class _PhotoPainter(Network):
    """A style that cannot be measured in parts: it paints each frame in passes, with statistics of its own."""

    style: StyleNetwork
    passes: int

    def planes(
        self,
        photo: Planes,
        result: Planes,
        *,
        blend: float = 1.0,
        keep_colors: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        """Paint a frame as a photo; its strokes do not follow the camera."""
        frame = ArrayRaster(np.stack([*photo], axis=-1))
        # In a single band, as such a style sees no parts.
        look = Look(blend=blend, keep_colors=keep_colors, passes=self.passes)
        ((_, painted),) = stylize_bands(self.style, frame, look)
        for plane, channel in zip(result, channels(painted), strict=True):
            np.copyto(plane, channel)


@dataclass(frozen=True)
class _Held:
    """What is known of a scene."""

    recent: tuple[Statistics, ...]  # the latest measurements, oldest first
    statistics: Statistics  # what follows their median
    fixed: Statistics  # the statistics of the painter
    painter: Network  # the style for the scene's frames
    look: _Look  # of the frame that was measured last
    unmeasured: int = 0  # how often since then a frame looked alike, and was not measured


class _Look:
    """What finding cuts needs of a frame: brightness on a coarse grid, contrast, levels, and a color histogram."""

    def __init__(self, frame: Planes) -> None:
        step = max(1, max(frame[0].shape) // _LOOK)
        samples = np.stack([plane[::step, ::step] for plane in frame]).astype(np.float32)
        self.light: NDArray[np.float32] = samples.mean(0)
        self.contrast = float(self.light.std())
        counts = [np.bincount((plane.ravel() * (_BINS / 256)).astype(np.intp), minlength=_BINS) for plane in samples]
        self.colors = np.stack(counts) / self.light.size

    def is_cut_from(self, before: _Look) -> bool:
        """Whether a new scene begins here."""
        if self.light.shape != before.light.shape:
            return True
        return self._recolored(before) > _CUT_COLORS and float(np.abs(self.light - before.light).mean()) > _CUT_LEVELS

    def fades_in_from(self, first: _Look) -> bool:
        """Whether it is the same picture with more contrast everywhere: something bright that enters adds some, too."""
        if self.contrast < _BRIGHTER * max(first.contrast, _LEAST_CONTRAST):
            return False
        if first.contrast < _LEAST_CONTRAST:
            return True
        usual, usual_first = (np.median(np.abs(light - np.median(light))) for light in (self.light, first.light))
        is_same = np.corrcoef(self.light.flat, first.light.flat)[0, 1] > _SAME
        return bool(is_same and usual > _BRIGHTER * usual_first)

    def is_unlike(self, other: _Look) -> bool:
        """Whether the frame's statistics may differ: a pan over more of the same hardly changes its colors."""
        return self._recolored(other) > _ALIKE_COLORS

    def _recolored(self, other: _Look) -> float:
        """The share of a channel's values that changed, in the channel where it is the largest."""
        return float(np.abs(self.colors - other.colors).sum(1).max()) / 2
