"""Stylizing pictures with ONNX Runtime."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fast_style.errors import ImageError, InputError, ModelError
from fast_style.graph import (
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
    open_graph,
    open_session,
    read_checked,
    style_names,
)
from fast_style.images import (
    Picture,
    Pixels,
    Planes,
    channels,
    fit,
    float_to_planes,
    load_image,
    mix,
    planes_to_float,
    to_float,
    to_uint8,
)
from fast_style.runtime.contract import Range, check_contract
from fast_style.runtime.masks import paint_masked, read_mask, styles_for_masks
from fast_style.runtime.mixture import find_mixture, no_strength_hint
from fast_style.runtime.noise import endless_noise
from fast_style.runtime.rasters import ArrayRaster
from fast_style.runtime.strokes import check_strokes
from fast_style.runtime.tiles import SMALLEST_SIDE, stylize_bands

if TYPE_CHECKING:
    import onnxruntime

# Above a 4K frame, memory is handed back after each picture instead of being kept for the next one.
_KEPT_PIXELS = 3840 * 2160
# A network pads a picture, or its features, by no more than this in all, along an axis, px.
_PADDED = 96


class Stylizer:
    """A finished style, ready for pictures of any size; may be called from several threads at once.

    Args:
        style: A shipped name such as ``starry-night``, the path of an ONNX file, a mixture such as
            ``starry-night:0.7,udnie:0.3``, or a style and an adapter, ``fast+mine.safetensors``; see
            :func:`~fast_style.runtime.mixture.find_mixture`.
        device: ``auto`` takes the best provider that starts; any other must be the one that runs.
        threads: CPU threads for one picture; None takes every core. If several pictures are stylized at once,
            one thread each is faster than all for each in turn.
        value_range: For a float graph that fast-style did not export, and only for one: the values that it takes
            and gives, ``0-1`` or ``0-255``. What it gives beyond them is clamped. A graph of one fixed size gets
            the picture resized to it, and its result is resized back.
        strength: How strong the style is painted, 0.25 to 4.0, for styles that have learned it. Unlike ``blend``,
            less of it is a picture with smaller forms, not a faded one.

    Raises:
        StyleNotFoundError: There is no such style.
        InputError: The styles cannot be mixed, or have learned no strength.
        ModelError: The file is damaged, not ONNX, not from one picture to one picture, or ``value_range`` is
            missing or contradicts it.
        DeviceError: The device asked for is not the one that would run.

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
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; expected at least 1")
        self._given: Callable[[], Stylizer] = partial(
            Stylizer, style, device=device, threads=threads, value_range=value_range, strength=strength
        )
        chosen = find_mixture(style, strength=strength)
        self.style = chosen.style
        self._joined = chosen.content
        graph = open_graph(self.style.path, device=device, threads=threads, content=chosen.content)
        self._session = graph.session
        self.device: Device = graph.device
        self.metadata = graph.metadata
        self.contract = check_contract(graph, value_range)
        self._threads = threads
        self.styles = style_names(graph.metadata)
        self.has_strength = any(value.name == STRENGTH for value in graph.signature.optional)
        self._noise: list[tuple[NDArray[np.float32], int]] = []
        self._is_fixed = False
        self._buffers = threading.local()
        self._tell(chosen.weights, strength)

    def __reduce__(self) -> tuple[Callable[[], Stylizer], tuple[()]]:
        """Pickle what the style was opened with: it is opened again where it is unpickled."""
        return self._given, ()

    def __call__(
        self,
        image: str | Path | Image.Image | Pixels,
        *,
        size: int | None = None,
        blend: float = 1.0,
        keep_colors: bool = False,
        strokes: float | None = None,
        styles: Mapping[str, float] | None = None,
        strength: float | None = None,
        masks: Mapping[str, str | Path] | None = None,
    ) -> Image.Image:
        """Stylize one picture.

        Args:
            image: A path, a PIL image, or an (H, W, 3) uint8 RGB array.
            size: Shrink the long side to this many px first, or None.
            blend: 0.0 is the photo, 1.0 the full style.
            keep_colors: Take only brightness from the style.
            strokes: How much larger than trained the strokes are, 1.0 to 16.0; None lets them grow with photos of
                2048 px and more. See :mod:`fast_style.runtime.strokes`.
            styles: Weights of the styles in the file by name, as for :meth:`mixed`.
            strength: How strong the style is painted, likewise.
            masks: A picture for each style by name: it is painted where that is white, the photo stays where none is.
                Statistics are taken inside each mask. The style's own name stands for all of the mixture.

        Returns:
            A new RGB image (RGBA if the picture had alpha), of the picture's size after shrinking.

        Raises:
            ImageError: The picture cannot be read, is smaller than 16 px, or too large for the memory.
            InputError: ``blend`` is outside [0, 1], or ``strokes`` outside [1, 16]; or as :meth:`mixed`.
        """
        if styles is not None or strength is not None:
            mixed = self.mixed(styles, strength)
            return mixed(image, size=size, blend=blend, keep_colors=keep_colors, strokes=strokes, masks=masks)
        given = _as_picture(image)
        picture = self.picture(given, size=size, amount=blend, colors=keep_colors, strokes=strokes, masks=masks)
        out = Image.fromarray(picture.pixels)
        if picture.alpha is not None:
            out.putalpha(Image.fromarray(picture.alpha))
        return out

    def picture(
        self,
        picture: Picture,
        *,
        size: int | None = None,
        amount: float = 1.0,
        colors: bool = False,
        strokes: float | None = None,
        masks: Mapping[str, str | Path] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Picture:
        """Stylize a decoded picture, keeping its alpha, profile and EXIF.

        Arguments and errors are those of a call. ``progress`` is called with the share that is done of a large one.
        """
        check_blend(amount)
        check_strokes(strokes)
        check_size(size)
        if size is not None:
            picture = fit(picture, size)
        if masks:
            return replace(picture, pixels=self._masked(picture.pixels, masks, amount, colors))
        photo = ArrayRaster(picture.pixels)
        bands = stylize_bands(self, photo, blend=amount, keep_colors=colors, strokes=strokes, progress=progress)
        painted = np.empty_like(picture.pixels)
        for top, band in bands:
            painted[top : top + len(band)] = band
        return replace(picture, pixels=painted)

    def _masked(self, pixels: Pixels, masks: Mapping[str, str | Path], blend: float, keep_colors: bool) -> Pixels:
        size = pixels.shape[1], pixels.shape[0]
        read = [read_mask(path, size) for path in masks.values()]
        styles, photo, result = styles_for_masks(self, masks, size), to_float(pixels), np.empty_like(pixels)
        # Made one by one, as each session keeps the memory that a picture takes.
        fixed = (
            style.fixed(style.measure(photo, mask=mask[None, None])) for style, mask in zip(styles, read, strict=True)
        )
        paint_masked(fixed, read, channels(pixels), channels(result), blend=blend, keep_colors=keep_colors)
        return result

    def mixed(self, styles: Mapping[str, float] | None = None, strength: float | None = None) -> Stylizer:
        """Return this file's styles in another mixture, or at another strength, without opening it again.

        Args:
            styles: Weights by name; those that are not named do not count, and the sum does not matter. None keeps
                the mixture.
            strength: 0.25 to 4.0; None keeps it.

        Raises:
            InputError: The file holds no such style, its styles learned no strength, or the statistics are fixed.
        """
        if self._is_fixed:
            raise InputError(
                f"{self.style.name} has fixed statistics, so its mixture and strength are decided",
                hint="Mix first, then fix: style.mixed(...).fixed(...).",
            )
        other = copy.copy(self)
        for cached in ("chosen", "_measuring", "_measuring_masked"):
            other.__dict__.pop(cached, None)
        other._given = partial(_mixed_again, self._given, styles, strength)
        other._buffers = threading.local()
        if styles is not None:
            other.style = replace(self.style, name="+".join(name for name, weight in styles.items() if weight))
        other._tell(self.weights if styles is None else styles, self.strength if strength is None else strength)
        return other

    def each(self) -> list[Stylizer]:
        """Return the styles in this file one by one, opened once; only this one if it holds one or mixes some."""
        return [self.mixed({name: 1.0}) for name in self.styles] if self.styles and not self.weights else [self]

    def _tell(self, weights: Mapping[str, float], strength: float) -> None:
        """Set what the graph is told beside the picture."""
        if not WEAKEST <= strength <= STRONGEST:
            raise InputError(f"strength is {strength}; expected {WEAKEST:g} to {STRONGEST:g}")
        if strength != 1.0 and not self.has_strength:
            raise InputError(f"{self.style.name} learned no strength", hint=no_strength_hint())
        if weights and not self.styles:
            raise InputError(f"{self.style.name} is one style, not several", hint="Give a file of several styles.")
        self.weights, self.strength = weights, strength
        self._told: dict[str, NDArray[np.float32]] = {}
        if weights:
            self._told[STYLES] = as_row(self.styles, weights)
        if self.has_strength:
            self._told[STRENGTH] = np.array([[strength]], np.float32)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the graph that runs."""
        import hashlib  # 3 ms that a single photo does not need

        return hashlib.sha256(self._joined or self.style.path.read_bytes()).hexdigest()

    @cached_property
    def sees_parts(self) -> bool:
        """Whether the statistics of the whole can be given to it: it is a style of ours with float normalizations."""
        try:
            return self.contract.is_plain and bool(self.reach) and bool(self._measuring)
        except ModelError:
            return False

    @cached_property
    def reach(self) -> int:
        """How far a pixel's result looks around it, px, with the statistics given.

        Raises:
            ModelError: That cannot be told.
        """
        found = find_reach(self.chosen)
        return max(found.before, found.after)

    @cached_property
    def features_per_pixel(self) -> float:
        """How many values its largest features have for each pixel: what it needs of memory goes with that.

        Raises:
            ModelError: That cannot be told.
        """
        return features_per_pixel(self.chosen)

    @property
    def stride(self) -> int:
        """Side of the cells in which its network works, px."""
        return int(self.metadata.get("stride", 1))

    def measure(
        self, pictures: NDArray[np.float32], *, rim: int = 0, mask: NDArray[np.float32] | None = None
    ) -> Statistics:
        """Find what the normalizations find in (N, 3, H, W) float32 in [0, 1], as if all were one picture.

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
            session = self._measuring if not rim else self._open(measure_form(self.chosen, rim=rim), None)
        with self._explaining(*pictures.shape[2:]):
            (statistics,) = session.run([STATISTICS], feeds, self._run_options(_KEPT_PIXELS + 1))
        return statistics  # type: ignore[no-any-return]  # sessions return what the graph says

    def fixed(self, statistics: Statistics, *, threads: int | None = None, endless: bool = False) -> Stylizer:
        """Return this style with its statistics fixed: parts of a picture and frames of a film are drawn alike.

        It is faster, too, since its normalizations vanish into its convolutions.

        Args:
            statistics: As of :meth:`measure`.
            threads: CPU threads for one picture; None takes as many as this one has.
            endless: Let the noise of the strokes never repeat: for parts of a large picture, for :meth:`floats`.

        Raises:
            ModelError: It does not see parts.
        """
        other = copy.copy(self)
        # The first map of noise lies at the network's stride, the second at half of it.
        tiles = noise_tiles(self.chosen) if endless else []
        other._told, other._is_fixed = {}, True
        other._noise = [(tile, self.stride >> number) for number, tile in enumerate(tiles)]
        form = fixed_form(self.chosen, statistics, stride=self.stride, noise_given=bool(tiles))
        other._given = partial(_fixed_again, self._given, statistics, threads, endless)
        other._session = self._open(form, threads)
        other._buffers = threading.local()
        return other

    def floats(
        self, image: NDArray[np.float32], *, origin: tuple[int, int] = (0, 0), keep_memory: bool = True
    ) -> NDArray[np.float32]:
        """Stylize (1, 3, H, W) float32 in [0, 1]; the result is as it comes from the network, not rounded.

        Args:
            image: The picture, or with fixed statistics a part of one.
            origin: Row and column of the part in the whole, px: the noise of the strokes lies still. Whatever it is,
                the cells in which a network works lie as in the whole.
            keep_memory: What the network takes is kept for the next picture, unless this one is very large.

        Raises:
            ImageError: A side is under 16 px, or the picture is too large for the memory.
            ModelError: The network gave values that are not numbers.
        """
        height, width = image.shape[2:]
        up, left = (place % self.stride for place in origin)
        if up or left:
            sides = ((0, 0), (0, 0), (up, self.stride - up), (left, self.stride - left))
            origin = origin[0] - up, origin[1] - left
            padded = self.floats(np.pad(image, sides, mode="reflect"), origin=origin, keep_memory=keep_memory)
            return padded[..., up : up + height, left : left + width]
        feeds: Feed = {self.contract.input: image, **self._told}
        with self._explaining(height, width):
            if not self.contract.is_plain:
                frame = to_uint8(image)
                return to_float(self._adapted(frame))
            for number, (tile, cell) in enumerate(self._noise):
                shape = (height + _PADDED) // cell, (width + _PADDED) // cell
                feeds[noise_input(number)] = endless_noise(tile, (origin[0] // cell, origin[1] // cell), shape)
            if any(origin) and not self._noise:
                feeds[ORIGIN] = np.array(origin)
            options = self._run_options(height * width if keep_memory else _KEPT_PIXELS + 1)
            (stylized,) = self._session.run([self.contract.output], feeds, options)
            self._check(stylized)
        return stylized  # type: ignore[no-any-return]  # sessions return what the graph says

    @property
    def content(self) -> bytes:
        """The serialized graph, with all of its styles."""
        return self._joined or read_checked(self.style.path)

    @cached_property
    def chosen(self) -> bytes:
        """The serialized graph of this mixture alone, at this strength, which takes only the picture."""
        if not self.styles:
            return self.content
        return choose_styles(self.content, self.weights or {self.styles[0]: 1.0}, self.strength)

    @cached_property
    def _measuring(self) -> onnxruntime.InferenceSession:
        return self._open(measure_form(self.chosen), None)

    @cached_property
    def _measuring_masked(self) -> onnxruntime.InferenceSession:
        return self._open(measure_form(self.chosen, masked=True), None)

    def _open(self, form: bytes, threads: int | None) -> onnxruntime.InferenceSession:
        return open_session(form, device=self.device, threads=threads or self._threads)

    def frame(self, pixels: Pixels, *, blend: float = 1.0, keep_colors: bool = False) -> Pixels:
        """Stylize an (H, W, 3) uint8 RGB array and return a new one of the same shape.

        Raises:
            ImageError: The array has another shape or type, a side under 16 px, or is too large for the memory.
            InputError: ``blend`` is outside [0, 1].
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
        """Stylize three planes into three others: the fast path, on which nothing is copied that need not be.

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
            InputError: ``blend`` is outside [0, 1].
            ModelError: The network gave values that are not numbers.
        """
        check_blend(blend)
        height, width = photo[0].shape
        with self._explaining(height, width):
            if not self.contract.is_plain:
                frame = np.stack([*photo], axis=-1)
                stylized = self._adapted(frame)
                if blend < 1.0 or keep_colors:
                    mixed = to_float(stylized)
                    mix(to_float(frame), mixed, blend=blend, keep_colors=keep_colors)
                    stylized = to_uint8(mixed)
                for plane, channel in zip(result, channels(stylized), strict=True):
                    np.copyto(plane, channel)
                return
            image, drawn, binding = self._bound(height, width)
            planes_to_float(photo, image)
            options = self._run_options(height * width)
            if self._is_fixed and any(origin):
                drawn = self.floats(image, origin=origin)
            elif self._told:  # inputs with a default cannot be bound
                feeds = {self.contract.input: image, **self._told}
                (drawn,) = self._session.run([self.contract.output], feeds, options)
            else:
                self._session.run_with_iobinding(binding, options)
            self._check(drawn)
            mix(image, drawn, blend=blend, keep_colors=keep_colors)
            float_to_planes(drawn, result)

    @contextmanager
    def _explaining(self, height: int, width: int) -> Iterator[None]:
        """Check the sides, px, and say in our words what goes wrong in the block."""
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"a picture of {width}×{height} px is too small", hint=f"Each side needs at least {SMALLEST_SIDE} px."
            )
        refused: tuple[type[Exception], ...] = (MemoryError, *engine_errors())
        try:
            yield
        except refused as error:  # of ONNX Runtime's errors, nearly all are for want of memory
            raise ImageError(
                f"a picture of {width}×{height} px could not be stylized: {first_line(error)}",
                hint="If memory ran out, give a smaller --size."
                + ("" if self.contract.ours else " A model from elsewhere may not take every size."),
            ) from error

    def _check(self, stylized: NDArray[np.float32]) -> None:
        # Normalization over the whole picture spreads a NaN to all of it: a sample finds it.
        if not np.isfinite(stylized[..., ::16, ::16]).all():
            raise ModelError(f"{self.style.path} gave values that are not numbers", hint="Train the style again.")

    def _adapted(self, frame: Pixels) -> Pixels:
        """Stylize with a graph of other values, of pixels, or of one size."""
        feeds = {self.contract.input: self.contract.feed(frame), **self._told}
        (given,) = self._session.run([self.contract.output], feeds, self._run_options(frame.shape[0] * frame.shape[1]))
        return self.contract.read(given, frame)

    def _bound(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
        """This thread's input and output buffers, (1, 3, H, W) float32, bound to the session; kept for the next."""
        kept = getattr(self._buffers, "bound", None)
        if kept is not None and kept[0].shape[2:] == (height, width):
            return kept  # type: ignore[no-any-return]  # thread-local attributes have no types
        self._buffers.bound = None
        image = np.empty((1, 3, height, width), np.float32)
        stylized = np.empty_like(image)
        binding = self._session.io_binding()
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


def _mixed_again(
    open_style: Callable[[], Stylizer], styles: Mapping[str, float] | None, strength: float | None
) -> Stylizer:
    return open_style().mixed(styles, strength)


def _fixed_again(
    open_style: Callable[[], Stylizer], statistics: Statistics, threads: int | None, endless: bool
) -> Stylizer:
    return open_style().fixed(statistics, threads=threads, endless=endless)


def check_blend(blend: float) -> None:
    """Raise InputError unless ``blend`` is in [0, 1]."""
    if not 0.0 <= blend <= 1.0:
        raise InputError(f"blend is {blend}; expected a number from 0 (the photo) to 1 (the style)")


def check_size(size: int | None) -> None:
    """Raise InputError if ``size``, px, is less than any network takes; None is no size."""
    if size is not None and size < SMALLEST_SIDE:
        raise InputError(f"size is {size} px; expected at least {SMALLEST_SIDE}")


def check_quality(quality: int) -> None:
    """Raise InputError unless ``quality`` is from 1 to 100."""
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; expected 1 to 100")


def _as_picture(image: str | Path | Image.Image | Pixels) -> Picture:
    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Image.Image):
        alpha = np.array(image.getchannel("A")) if image.mode in {"RGBA", "LA"} else None
        return Picture(np.array(image.convert("RGB")), alpha)
    return Picture(image)
