"""Networks that stylize pictures. Each is immutable and wraps a session of ONNX Runtime.

:class:`StyleNetwork` is a style, or a mixture of the styles in a file. It normalizes by the statistics of the picture
that it is given. Its ``measure`` returns the statistics of a picture, and its ``fixed`` a :class:`FixedNetwork`, which
uses those for any other: for tiles of a large picture, and for frames of a film.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ImageError, InputError, ModelError
from fast_style.images import Pixels, Planes, channels, float_to_planes, mix, planes_to_float, to_float, to_uint8
from fast_style.model.ground import GROUND_KEY, Forms, Ground, check_forms, ground_in
from fast_style.model.opening import INPUT, Feed
from fast_style.model.passes import COARSEST_KEY, COARSEST_UNTRAINED, check_strength, count_passes, strength_in
from fast_style.model.passes_graph import join_passes
from fast_style.model.reach import find_reach
from fast_style.model.session import Device, engine_errors, first_line, open_session
from fast_style.model.statistics import (
    MASK,
    ORIGIN,
    STATISTICS,
    Statistics,
    features_per_pixel,
    fixed_form,
    measure_form,
    noise_input,
    noise_tiles,
)
from fast_style.model.table import STYLES, as_row, choose_styles, number_in
from fast_style.stylize.checks import check_pixels
from fast_style.stylize.contract import Contract
from fast_style.stylize.noise import endless_noise

if TYPE_CHECKING:
    import onnxruntime

# Largest picture after which memory is kept for the next one, px: a 4K frame.
_KEPT_PIXELS = 3840 * 2160
# Largest padding of a picture and its features along an axis, px.
_PADDED = 96


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """A session that stylizes pictures, with its other inputs. Several threads may call it at once."""

    contract: Contract  # what the session takes and returns
    session: onnxruntime.InferenceSession
    device: Device  # where it runs
    inputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # besides the picture, by name
    _buffers: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def floats(
        self, image: NDArray[np.float32], *, origin: tuple[int, int] = (0, 0), keep_memory: bool = True
    ) -> NDArray[np.float32]:
        """Stylize (1, 3, H, W) float32 in [0, 1], into the same shape.

        Results of fast-style's float models are neither rounded nor clamped; those of others are both.

        Args:
            image: The picture, or with fixed statistics a part of one.
            origin: With fixed statistics, row and column of the part in the whole, px.
            keep_memory: Let ONNX Runtime keep its memory for the next picture, unless this one is very large.

        Raises:
            ImageError: A side is under 16 px, or the picture is too large for the memory.
            ModelError: The network produced NaN or infinity.
        """
        height, width = image.shape[2:]
        with self._explaining(height, width):
            if not self.contract.is_plain:
                return to_float(self._adapted(to_uint8(image)))
            options = self._run_options(height * width if keep_memory else _KEPT_PIXELS + 1)
            feeds = {self.contract.input: image, **self.inputs, **self._place(height, width, origin)}
            (stylized,) = self.session.run([self.contract.output], feeds, options)
            self._check(stylized)
        return stylized  # type: ignore[no-any-return]  # sessions return what the graph says

    def frame(self, pixels: Pixels, *, blend: float = 1.0, keep_colors: bool = False) -> Pixels:
        """Stylize an (H, W, 3) uint8 RGB array and return a new one of the same shape.

        Raises:
            ImageError: The array has another shape or type, a side under 16 px, or is too large for the memory.
        """
        check_pixels(pixels)
        result = np.empty_like(pixels)
        self.planes(channels(pixels), channels(result), blend=blend, keep_colors=keep_colors)
        return result

    def planes(
        self,
        photo: Planes,
        result: Planes,
        *,
        blend: float = 1.0,
        keep_colors: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        """Stylize three planes into three others with as few copies as possible.

        The planes may be views with any strides: of interleaved RGB or BGR, or of a decoder's memory.

        Args:
            photo: Red, green and blue, each (H, W) uint8.
            result: Red, green and blue of the result, each (H, W) uint8, overwritten.
            blend: 0.0 is the photo, 1.0 the full style.
            keep_colors: Take only brightness from the style.
            origin: With fixed statistics, row and column of the frame in the scene over which a camera moves, px:
                strokes stay in their places in the scene.

        Raises:
            ImageError: A side is under 16 px, or the picture is too large for the memory.
            ModelError: The network produced NaN or infinity.
        """
        height, width = photo[0].shape
        with self._explaining(height, width):
            if not self.contract.is_plain:
                frame = np.stack([*photo], axis=-1)
                stylized = self._adapted(frame)
                if blend == 1.0 and not keep_colors:
                    for plane, channel in zip(result, channels(stylized), strict=True):
                        np.copyto(plane, channel)
                    return
                image, drawn = to_float(frame), to_float(stylized)
            else:
                image, drawn, binding = self._bound(height, width)
                planes_to_float(photo, image)
                if any(origin) or self.inputs:  # inputs with a default cannot be bound
                    drawn = self.floats(image, origin=origin)
                else:
                    # It raises RuntimeError for everything, where run raises errors of its own.
                    with self._explaining(height, width, RuntimeError):
                        self.session.run_with_iobinding(binding, self._run_options(height * width))
                    self._check(drawn)
            mix(image, drawn, blend=blend, keep_colors=keep_colors)
            float_to_planes(drawn, result)

    def _place(self, height: int, width: int, origin: tuple[int, int]) -> Feed:
        """Return the inputs that tell where a part lies in the whole; only fixed networks have any."""
        return {}

    @contextmanager
    def _explaining(self, height: int, width: int, *more: type[Exception]) -> Iterator[None]:
        """Check the sides, px, and turn ONNX Runtime's errors in the block, and ``more``, into ImageError."""
        smallest = self.contract.smallest
        if min(height, width) < smallest:
            raise ImageError(
                f"a picture of {width}×{height} px is too small", hint=f"Each side needs at least {smallest} px."
            )
        refused: tuple[type[Exception], ...] = (MemoryError, *engine_errors(), *more)  # nearly all are about memory
        try:
            yield
        except refused as error:
            elsewhere = "" if self.contract.ours else " A model from elsewhere may not take every size."
            raise ImageError(
                f"a picture of {width}×{height} px could not be stylized: {first_line(error)}",
                hint=f"If memory ran out, give a smaller --size.{elsewhere}",
            ) from error

    def _check(self, stylized: NDArray[np.float32]) -> None:
        # Normalization spreads a NaN over the whole picture, so samples are enough.
        if not np.isfinite(stylized[..., ::16, ::16]).all():
            raise ModelError(f"{self.contract.path} produced NaN or infinity", hint="Train the style again.")

    def _adapted(self, frame: Pixels) -> Pixels:
        """Stylize with a graph of pixels, of one size, or from elsewhere."""
        feeds = {self.contract.input: self.contract.feed(frame), **self.inputs}
        options = self._run_options(frame.shape[0] * frame.shape[1])
        (result,) = self.session.run([self.contract.output], feeds, options)
        return self.contract.read(result, frame)

    def _bound(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
        """Return this thread's input and output, (1, 3, H, W) float32, bound to the session; frames reuse them."""
        bound = getattr(self._buffers, "bound", None)
        if bound is not None and bound[0].shape[2:] == (height, width):
            return bound  # type: ignore[no-any-return]  # thread-local attributes have no types
        self._buffers.bound = None
        image = np.empty((1, 3, height, width), np.float32)
        stylized = np.empty_like(image)
        binding = self.session.io_binding()
        binding.bind_input(self.contract.input, "cpu", 0, np.float32, image.shape, image.ctypes.data)
        binding.bind_output(self.contract.output, "cpu", 0, np.float32, stylized.shape, stylized.ctypes.data)
        bound = (image, stylized, binding)
        if height * width <= _KEPT_PIXELS:
            self._buffers.bound = bound
        return bound

    def _run_options(self, pixels: int) -> Any:
        """Return options that release ONNX Runtime's memory after a large picture, and None otherwise."""
        if pixels <= _KEPT_PIXELS or self.device != "cpu":
            return None
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedNetwork(Network):
    """A network with fixed statistics: it draws a part of a picture as it would in the whole."""

    stride: int  # origins are multiples of it, px; others are reached by padding
    # Tiles of noise with the side of their cells, px, if noise is an input, so that it never repeats.
    noise: tuple[tuple[NDArray[np.float32], int], ...] = ()

    def floats(
        self, image: NDArray[np.float32], *, origin: tuple[int, int] = (0, 0), keep_memory: bool = True
    ) -> NDArray[np.float32]:
        """Stylize a part of a picture, with noise and cells in the same places as in the whole."""
        height, width = image.shape[2:]
        up, left = (place % self.stride for place in origin)
        if up or left:
            sides = ((0, 0), (0, 0), (up, 0), (left, 0))
            image, origin = np.pad(image, sides, mode="reflect"), (origin[0] - up, origin[1] - left)
        drawn = super().floats(image, origin=origin, keep_memory=keep_memory)
        return drawn[..., up : up + height, left : left + width]

    def _place(self, height: int, width: int, origin: tuple[int, int]) -> Feed:
        feeds: Feed = {}
        for number, (tile, cell) in enumerate(self.noise):
            shape = (height + _PADDED) // cell, (width + _PADDED) // cell
            feeds[noise_input(number)] = endless_noise(tile, (origin[0] // cell, origin[1] // cell), shape)
        if any(origin) and not self.noise:
            feeds[ORIGIN] = np.array(origin)
        return feeds


@dataclass(frozen=True, eq=False, kw_only=True)
class StyleNetwork(Network):
    """A style, or a mixture of the styles in a file, at one strength, over one ground."""

    name: str  # of the style or mixture
    metadata: Mapping[str, str]  # of the file
    content: bytes = field(repr=False)  # the serialized graph, with all of its styles, as it was when it was opened
    styles: tuple[str, ...] = ()  # names of the styles in the file; empty for a file from another program
    takes_styles: bool = False  # whether the graph mixes its styles by weights
    weights: Mapping[str, float] = field(default_factory=dict)  # of the styles by name; empty is the file's default
    strength: float = 1.0  # how strongly it paints, 0.25 to 4; 1 is the file's own
    other_ground: Forms | None = None  # what it lays under flat places in place of the file's own ground, or None
    threads: int | None = None  # CPU threads for one picture; None takes every core

    def mixed(
        self,
        weights: Mapping[str, float] | None = None,
        strength: float | None = None,
        ground: Forms | None = None,
    ) -> StyleNetwork:
        """Return this file's styles in another mixture, at another strength, or over another ground.

        It runs in the same session. Arguments and errors are those of ``Stylizer.mixed``.
        """
        if weights is not None and not weights:
            raise InputError("the mixture is empty", hint="Name a style, or give None to keep the mixture.")
        strength = self.strength if strength is None else strength
        check_strength(strength)
        check_forms(ground)
        own = self.metadata.get(GROUND_KEY, "none")
        if self.contract.passes > 1 and (strength != 1.0 or ground not in {None, own}):
            raise InputError(
                f"{self.contract.path} paints in passes by itself, at a fixed strength over a fixed ground",
                hint="Export it with --strength or --ground, or give the file that it was made from.",
            )
        name = self.name if weights is None else "+".join(name for name, weight in weights.items() if weight)
        chosen = self.weights if weights is None else weights
        row = as_row(self.styles, chosen) if chosen else None
        inputs = {STYLES: row} if row is not None and self.takes_styles else {}
        other = self.other_ground if ground is None else None if ground == own else ground
        return replace(self, name=name, weights=chosen, strength=strength, other_ground=other, inputs=inputs)

    @property
    def draft_strength(self) -> float:
        """The strength as in training, for :func:`~fast_style.model.passes.draft_shares`."""
        return self.strength * strength_in(self.metadata)

    @cached_property
    def ground(self) -> Ground:
        """What it lays under flat places, in the colors of its painting, see :mod:`fast_style.model.ground`.

        Raises:
            ModelError: The file names one that does not exist, or has damaged metadata.
        """
        painted = [name for name, weight in self.weights.items() if weight] or self.styles[:1]
        return ground_in(self.metadata, forms=self.other_ground, styles=painted)

    @property
    def stride(self) -> int:
        """Side of the cells in which the network works, px."""
        return number_in(self.metadata, "stride") or 1

    def check_passes(self, passes: int | None) -> None:
        """Raise InputError if ``passes`` is another number than that in which the file paints by itself."""
        inside = self.contract.passes
        if inside > 1 and passes not in {None, inside}:
            raise InputError(
                f"passes is {passes}, but {self.contract.path} paints in {inside} by itself",
                hint="Leave --passes out, or give the file that it was made from.",
            )

    def count_passes(self, width: int, height: int, asked: int | None = None) -> int:
        """Return in how many passes to paint a photo of this size, px, see :mod:`fast_style.model.passes`.

        So many are taken as are asked for, but only one in a file that paints in passes by itself.
        """
        if asked is not None and self.contract.passes == 1:
            return asked
        return 1 if self.coarsest is None else count_passes(max(width, height), self.coarsest)

    @property
    def coarsest(self) -> int | None:
        """Long side of the first pass, px; None for one pass: of a fixed size, or by a file with its own passes."""
        contract = self.contract
        if contract.passes > 1 or contract.height or contract.width:
            return None
        return number_in(self.metadata, COARSEST_KEY) or COARSEST_UNTRAINED

    @cached_property
    def chosen(self) -> bytes:
        """The serialized graph of this mixture, whose only input is the picture.

        Raises:
            ModelError: It paints in passes by itself, and sees whole pictures only.
        """
        if self.contract.passes > 1:
            raise ModelError(
                f"{self.contract.path} paints in passes by itself, so its statistics cannot be fixed",
                hint="Give the file that it was made from.",
            )
        if not self.takes_styles:
            return self.content
        return choose_styles(self.content, self.weights or {self.styles[0]: 1.0})

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the graph that runs."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def sees_parts(self) -> bool:
        """Whether statistics can be fixed: it is a float style of fast-style for pictures of any size."""
        try:
            return self.contract.is_plain and bool(self.reach) and bool(self._measuring)
        except ModelError:
            return False

    @cached_property
    def reach(self) -> int:
        """Distance over which pixels influence the result, px, with fixed statistics; ModelError if it is unknown."""
        return find_reach(self.chosen)

    @cached_property
    def features_per_pixel(self) -> float:
        """Values of its largest features for each pixel, which decide its memory; ModelError if they are unknown."""
        return features_per_pixel(self.chosen)

    def measure(
        self, pictures: NDArray[np.float32], *, rim: int = 0, mask: NDArray[np.float32] | None = None
    ) -> Statistics:
        """Measure the normalizations' statistics over all pictures together.

        Args:
            pictures: (N, 3, H, W) float32 in [0, 1].
            rim: Width of the border of each that does not count, px, for parts of a picture.
            mask: (N, 1, H, W) float32, the weight of each pixel, not all zero; not together with a rim.

        Returns:
            (2, C): means and variances of all channels, for :meth:`fixed`.

        Raises:
            ImageError: A side is under 16 px, or the pictures are too large for the memory.
            ModelError: Statistics cannot be fixed.
        """
        feeds: Feed = {INPUT: pictures}
        if mask is not None:
            session, feeds[MASK] = self._measuring_masked, mask
        else:
            session = self._measuring if not rim else self._open(measure_form(self.chosen, rim=rim))
        with self._explaining(*pictures.shape[2:]):
            (statistics,) = session.run([STATISTICS], feeds, self._run_options(_KEPT_PIXELS + 1))
        return statistics  # type: ignore[no-any-return]  # sessions return what the graph says

    def fixed(self, statistics: Statistics, *, threads: int | None = None, endless: bool = False) -> FixedNetwork:
        """Return this network with fixed statistics. It is faster: normalizations are folded into convolutions.

        Args:
            statistics: (2, C), see :meth:`measure`; or (N, 2, C), for a network that paints in N passes by itself.
            threads: CPU threads for one picture; None takes this network's number.
            endless: Let the noise never repeat, for parts of a large picture; for one pass only.

        Raises:
            ModelError: Statistics cannot be fixed.
        """
        # The first map of noise lies at the network's stride, the second at half of it.
        tiles = noise_tiles(self.chosen) if endless else []
        of_passes = statistics.reshape(-1, *statistics.shape[-2:])
        graphs = [fixed_form(self.chosen, each, stride=self.stride, noise_given=bool(tiles)) for each in of_passes]
        joined = graphs[0]
        if len(graphs) > 1:
            joined = join_passes(graphs, strength=self.strength, ground=self.ground)
        return FixedNetwork(
            contract=self.contract,
            session=self._open(joined, threads),
            device=self.device,
            stride=max(self.stride, 1 << (len(graphs) - 1)),
            noise=tuple((tile, self.stride >> number) for number, tile in enumerate(tiles)),
        )

    @cached_property
    def _measuring(self) -> onnxruntime.InferenceSession:
        return self._open(measure_form(self.chosen))

    @cached_property
    def _measuring_masked(self) -> onnxruntime.InferenceSession:
        return self._open(measure_form(self.chosen, masked=True))

    def _open(self, graph: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
        return open_session(graph, device=self.device, threads=threads or self.threads)
