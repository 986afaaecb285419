"""One style as a network that draws pictures: opened once, never changed."""

from __future__ import annotations

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
from fast_style.model import (
    INPUT,
    MASK,
    ORIGIN,
    STATISTICS,
    STRENGTH,
    STRONGEST,
    STYLES,
    WEAKEST,
    Device,
    Feed,
    Graph,
    Statistics,
    as_row,
    choose_styles,
    engine_errors,
    features_per_pixel,
    find_reach,
    first_line,
    fixed_form,
    measure_form,
    noise_input,
    noise_tiles,
    open_session,
    read_checked,
    style_names,
)
from fast_style.styles.mixture import no_strength_hint
from fast_style.stylize.contract import SMALLEST_SIDE, Contract
from fast_style.stylize.noise import endless_noise

if TYPE_CHECKING:
    import onnxruntime

# Above a 4K frame, memory is handed back after each picture instead of being kept for the next one.
_KEPT_PIXELS = 3840 * 2160
# The most padding of a picture or its features along an axis, px.
_PADDED = 96


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """What draws pictures: a session, and what it is told beside the picture. Several threads may call it at once.

    Attributes:
        contract: What the session takes and returns.
        session: ONNX Runtime's.
        device: Where it runs.
        inputs: What it is given beside the picture, by name.
    """

    contract: Contract
    session: onnxruntime.InferenceSession
    device: Device
    inputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    _buffers: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def floats(
        self, image: NDArray[np.float32], *, origin: tuple[int, int] = (0, 0), keep_memory: bool = True
    ) -> NDArray[np.float32]:
        """Stylize (1, 3, H, W) float32 in [0, 1]. Our own networks' results are not rounded.

        Args:
            image: The picture, or with fixed statistics a part of one.
            origin: With fixed statistics, row and column of the part in the whole, px.
            keep_memory: Keep the memory that ONNX Runtime takes for the next picture, unless this one is very large.

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
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ImageError(f"expected an (H, W, 3) uint8 array, got {pixels.shape} {pixels.dtype}")
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
        """Stylize three planes into three others: the fast path, which copies nothing without need.

        The planes may be views with any strides: of interleaved RGB or BGR, or of a decoder's own memory.

        Args:
            photo: Red, green and blue, each (H, W) uint8.
            result: Where to write red, green and blue; each (H, W) uint8.
            blend: 0.0 is the photo, 1.0 the full style.
            keep_colors: Take only brightness from the style.
            origin: With fixed statistics, row and column of the frame in a scene that a camera moves over, px: strokes
                lie still in the scene.

        Raises:
            ImageError: A side is under 16 px, or the picture is too large for the memory.
            ModelError: The network produced NaN or infinity.
        """
        height, width = photo[0].shape
        with self._explaining(height, width):
            if not self.contract.is_plain:
                self._adapt_planes(photo, result, blend, keep_colors)
                return
            image, drawn, binding = self._bound(height, width)
            planes_to_float(photo, image)
            if any(origin):
                drawn = self.floats(image, origin=origin)
            elif self.inputs:  # inputs with a default cannot be bound
                options = self._run_options(height * width)
                feeds = {self.contract.input: image, **self.inputs}
                (drawn,) = self.session.run([self.contract.output], feeds, options)
            else:
                self.session.run_with_iobinding(binding, self._run_options(height * width))
            self._check(drawn)
            mix(image, drawn, blend=blend, keep_colors=keep_colors)
            float_to_planes(drawn, result)

    def _place(self, height: int, width: int, origin: tuple[int, int]) -> Feed:
        """What tells the graph where a part lies in the whole: nothing, where statistics are not fixed."""
        return {}

    @contextmanager
    def _explaining(self, height: int, width: int) -> Iterator[None]:
        """Check the sides, px, and explain what ONNX Runtime refuses in the block."""
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"a picture of {width}×{height} px is too small", hint=f"Each side needs at least {SMALLEST_SIDE} px."
            )
        refused: tuple[type[Exception], ...] = (MemoryError, *engine_errors())
        try:
            yield
        except refused as error:  # nearly all of ONNX Runtime's errors are for want of memory
            raise ImageError(
                f"a picture of {width}×{height} px could not be stylized: {first_line(error)}",
                hint="If memory ran out, give a smaller --size."
                + ("" if self.contract.ours else " A model from elsewhere may not take every size."),
            ) from error

    def _check(self, stylized: NDArray[np.float32]) -> None:
        # Normalization over the whole picture spreads a NaN to all of it: a sample finds it.
        if not np.isfinite(stylized[..., ::16, ::16]).all():
            raise ModelError(f"{self.contract.path} produced NaN or infinity", hint="Train the style again.")

    def _adapted(self, frame: Pixels) -> Pixels:
        """Stylize with a graph of other values, of pixels, or of one size."""
        feeds = {self.contract.input: self.contract.feed(frame), **self.inputs}
        options = self._run_options(frame.shape[0] * frame.shape[1])
        (result,) = self.session.run([self.contract.output], feeds, options)
        return self.contract.read(result, frame)

    def _adapt_planes(self, photo: Planes, result: Planes, blend: float, keep_colors: bool) -> None:
        frame = np.stack([*photo], axis=-1)
        stylized = self._adapted(frame)
        if blend < 1.0 or keep_colors:
            mixed = to_float(stylized)
            mix(to_float(frame), mixed, blend=blend, keep_colors=keep_colors)
            stylized = to_uint8(mixed)
        for plane, channel in zip(result, channels(stylized), strict=True):
            np.copyto(plane, channel)

    def _bound(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
        """This thread's input and output buffers, (1, 3, H, W) float32, bound to the session; kept for the next."""
        kept = getattr(self._buffers, "bound", None)
        if kept is not None and kept[0].shape[2:] == (height, width):
            return kept  # type: ignore[no-any-return]  # thread-local attributes have no types
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
        """None, or for a large picture the order to shrink ONNX Runtime's memory again after it."""
        if pixels <= _KEPT_PIXELS or self.device != "cpu":
            return None
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return options


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedNetwork(Network):
    """A network whose normalizations have fixed statistics: it draws parts of a picture, and frames of a film, alike.

    Attributes:
        stride: Side of the network's cells, px.
        noise: Tiles of noise with the side of their cells, px, if the noise is to be given and never repeats.
    """

    stride: int
    noise: tuple[tuple[NDArray[np.float32], int], ...] = ()

    def floats(
        self, image: NDArray[np.float32], *, origin: tuple[int, int] = (0, 0), keep_memory: bool = True
    ) -> NDArray[np.float32]:
        """Stylize a part of a picture: its noise, and the network's cells, lie as in the whole."""
        height, width = image.shape[2:]
        up, left = (place % self.stride for place in origin)
        if up or left:
            sides = ((0, 0), (0, 0), (up, self.stride - up), (left, self.stride - left))
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
    """A style's network: one mixture of the styles in a file, at one strength.

    Attributes:
        name: Of the style or mixture.
        metadata: What its exporter stored.
        joined: The serialized graph, if it was put together of several files.
        styles: Names of the styles in the file; empty for another program's.
        takes_styles: Whether the graph mixes its styles by weights.
        has_strength: Whether they have learned a strength.
        weights: Of the styles by name; empty leaves the mixture to the file.
        strength: How strongly the style is painted, 0.25 to 4.0.
        threads: CPU threads for one picture; None takes every core.
    """

    name: str
    metadata: Mapping[str, str]
    joined: bytes | None = None
    styles: tuple[str, ...] = ()
    takes_styles: bool = False
    has_strength: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    strength: float = 1.0
    threads: int | None = None

    @classmethod
    def of(
        cls, graph: Graph, contract: Contract, *, name: str, joined: bytes | None = None, threads: int | None = None
    ) -> StyleNetwork:
        """Take an opened graph."""
        return cls(
            contract=contract,
            session=graph.session,
            device=graph.device,
            name=name,
            metadata=graph.metadata,
            joined=joined,
            styles=tuple(style_names(graph.metadata)),
            takes_styles=any(value.name == STYLES for value in graph.signature.optional),
            has_strength=any(value.name == STRENGTH for value in graph.signature.optional),
            threads=threads,
        )

    def mixed(self, weights: Mapping[str, float] | None = None, strength: float | None = None) -> StyleNetwork:
        """Return this file's styles in another mixture, or at another strength, in the same session.

        Args:
            weights: By name; styles that are not named do not count, and the sum does not matter. None keeps the
                mixture.
            strength: 0.25 to 4.0; None keeps it.

        Raises:
            InputError: The file holds no such style, or its styles learned no strength.
        """
        strength = self.strength if strength is None else strength
        if not WEAKEST <= strength <= STRONGEST:
            raise InputError(f"strength is {strength}; expected {WEAKEST:g} to {STRONGEST:g}")
        if strength != 1.0 and not self.has_strength:
            raise InputError(f"{self.name} learned no strength", hint=no_strength_hint())
        name = self.name if weights is None else "+".join(name for name, weight in weights.items() if weight)
        chosen = self.weights if weights is None else weights
        row = as_row(self.styles, chosen) if chosen else None
        inputs = {STYLES: row} if row is not None and self.takes_styles else {}
        if self.has_strength:
            inputs[STRENGTH] = np.array([[strength]], np.float32)
        return replace(self, name=name, weights=chosen, strength=strength, inputs=inputs)

    @property
    def stride(self) -> int:
        """Side of the cells in which the network works, px."""
        return int(self.metadata.get("stride", 1))

    @property
    def content(self) -> bytes:
        """The serialized graph, with all of its styles."""
        return self.joined or read_checked(self.contract.path)

    @cached_property
    def chosen(self) -> bytes:
        """The serialized graph of this mixture alone, at this strength, which takes only the picture."""
        if not self.takes_styles:
            return self.content
        return choose_styles(self.content, self.weights or {self.styles[0]: 1.0}, self.strength)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the graph that runs."""
        import hashlib  # 3 ms that a single photo does not need

        return hashlib.sha256(self.joined or self.contract.path.read_bytes()).hexdigest()

    @cached_property
    def sees_parts(self) -> bool:
        """Whether it can be given the statistics of the whole: it is a style of ours with float normalizations."""
        try:
            return self.contract.is_plain and bool(self.reach) and bool(self._measuring)
        except ModelError:
            return False

    @cached_property
    def reach(self) -> int:
        """How far a pixel's result looks around it, px, with fixed statistics.

        Raises:
            ModelError: That cannot be told.
        """
        reach = find_reach(self.chosen)
        return max(reach.before, reach.after)

    @cached_property
    def features_per_pixel(self) -> float:
        """How many values its largest features have for each pixel, which decides the memory that it needs.

        Raises:
            ModelError: That cannot be told.
        """
        return features_per_pixel(self.chosen)

    def measure(
        self, pictures: NDArray[np.float32], *, rim: int = 0, mask: NDArray[np.float32] | None = None
    ) -> Statistics:
        """Measure the normalizations' statistics of (N, 3, H, W) float32 in [0, 1], as if all were one picture.

        Args:
            pictures: What is measured.
            rim: So many px along the border of each do not count: for parts of a picture.
            mask: (N, 1, H, W), how much each pixel counts; not all zero. Not together with a rim.

        Returns:
            (2, C): means and variances, for :meth:`fixed`.

        Raises:
            ImageError: A side is under 16 px, or the pictures are too large for the memory.
            ModelError: It does not see parts.
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
        """Return this network with its statistics fixed. It is faster: normalizations vanish into convolutions.

        Args:
            statistics: As :meth:`measure` returns them.
            threads: CPU threads for one picture; None takes as many as this one has.
            endless: Let the noise of the strokes never repeat: for parts of a large picture.

        Raises:
            ModelError: It does not see parts.
        """
        # The first map of noise lies at the network's stride, the second at half of it.
        tiles = noise_tiles(self.chosen) if endless else []
        graph = fixed_form(self.chosen, statistics, stride=self.stride, noise_given=bool(tiles))
        return FixedNetwork(
            contract=self.contract,
            session=self._open(graph, threads),
            device=self.device,
            stride=self.stride,
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
