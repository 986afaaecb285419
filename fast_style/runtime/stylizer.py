"""Stylizing pictures with ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from fast_style.errors import DeviceError, ImageError, InputError, ModelError
from fast_style.images import Picture, Pixels, blend, fit, keep_colors, load_image, to_float, to_uint8
from fast_style.styles import find_style

if TYPE_CHECKING:
    import onnxruntime

Device = Literal["auto", "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino", "rocm"]

PROVIDERS: dict[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Tried in this order by "auto". The others are faster for some fixed sizes but slow to start, so must be asked for.
_AUTO = ("cuda", "directml", "cpu")

SMALLEST_SIDE = 16
# A style is about 2 MB; Johnson's network 7 MB. Anything this large is something else.
_MAX_MODEL_BYTES = 256 * 2**20


class Stylizer:
    """A finished style, ready for pictures of any size.

    Args:
        style: A shipped name such as ``starry-night``, or the path of an ONNX file that fast-style exported.
        device: ``auto`` takes the best provider that starts; any other must be the one that runs.
        threads: For the CPU; None takes every core.

    Raises:
        StyleNotFoundError: There is no such style.
        ModelError: The file is damaged, no ONNX, or not a style exported by fast-style.
        DeviceError: The device asked for is not the one that would run.

    Example:
        >>> Stylizer("starry-night")("photo.jpg").save("out.png")  # doctest: +SKIP
    """

    def __init__(self, style: str | Path, *, device: Device = "auto", threads: int | None = None) -> None:
        self.style = find_style(style)
        self._session = _open_session(self.style.path, device, threads)
        self.device = _running_device(self._session)
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input, self._output = _check_contract(self._session, self.style.path, self.metadata)

    def __call__(
        self,
        image: str | Path | Image.Image | Pixels,
        *,
        size: int | None = None,
        blend: float = 1.0,
        keep_colors: bool = False,
    ) -> Image.Image:
        """Stylize one picture.

        Args:
            image: A path, a PIL image, or an (H, W, 3) uint8 RGB array.
            size: Shrink the long side to this many px first, or None.
            blend: 0.0 is the photo, 1.0 the full style.
            keep_colors: Take only brightness from the style.

        Returns:
            A new RGB image (RGBA where the picture had alpha), of the picture's size after shrinking.

        Raises:
            ImageError: The picture cannot be read, is smaller than 16 px, or too large for the memory.
            InputError: ``blend`` is outside [0, 1].
        """
        picture = self.picture(_as_picture(image), size=size, amount=blend, colors=keep_colors)
        out = Image.fromarray(picture.pixels)
        if picture.alpha is not None:
            out.putalpha(Image.fromarray(picture.alpha))
        return out

    def picture(
        self, picture: Picture, *, size: int | None = None, amount: float = 1.0, colors: bool = False
    ) -> Picture:
        """Stylize a decoded picture, keeping its alpha, profile and EXIF. Arguments and errors as for a call."""
        if not 0.0 <= amount <= 1.0:
            raise InputError(f"blend is {amount}; expected a number from 0 (the photo) to 1 (the style)")
        if size is not None:
            if size < SMALLEST_SIDE:
                raise InputError(f"size is {size} px; expected at least {SMALLEST_SIDE}")
            picture = fit(picture, size)
        pixels = self.frame(picture.pixels)
        if colors:
            pixels = keep_colors(picture.pixels, pixels)
        return replace(picture, pixels=blend(picture.pixels, pixels, amount))

    def frame(self, pixels: Pixels) -> Pixels:
        """Stylize an (H, W, 3) uint8 RGB array and return a new one of the same shape.

        Raises:
            ImageError: The array has another shape or type, a side under 16 px, or is too large for the memory.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ImageError(f"expected an (H, W, 3) uint8 array, got {pixels.shape} {pixels.dtype}")
        height, width = pixels.shape[:2]
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"a picture of {width}×{height} px is too small",
                hint=f"Each side needs at least {SMALLEST_SIDE} px.",
            )
        try:
            (stylized,) = self._session.run([self._output], {self._input: to_float(pixels)})
        except Exception as error:
            # ONNX Runtime raises its own kinds, which share no base but this one; nearly always it is memory.
            raise ImageError(
                f"a picture of {width}×{height} px could not be stylized: {str(error).splitlines()[0]}",
                hint="If memory ran out, give a smaller --size.",
            ) from error
        if not np.isfinite(stylized).all():
            raise ModelError(f"{self.style.path} gave values that are not numbers", hint="Train the style again.")
        return to_uint8(stylized)


def _as_picture(image: str | Path | Image.Image | Pixels) -> Picture:
    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Image.Image):
        alpha = np.array(image.getchannel("A")) if image.mode in {"RGBA", "LA"} else None
        return Picture(np.array(image.convert("RGB")), alpha)
    return Picture(image)


def _open_session(path: Path, device: Device, threads: int | None) -> onnxruntime.InferenceSession:
    import onnxruntime  # 0.15 s, so only when a style is opened

    available = onnxruntime.get_available_providers()
    if device != "auto" and PROVIDERS.get(device) not in available:
        here = [name for name, provider in PROVIDERS.items() if provider in available]
        raise DeviceError(
            f"device {device!r} is not in this ONNX Runtime; it has {', '.join(here)}",
            hint="pip install onnxruntime-gpu (CUDA), onnxruntime-directml, …, or use --device cpu.",
        )
    if path.stat().st_size > _MAX_MODEL_BYTES:
        raise ModelError(f"{path} has {path.stat().st_size >> 20} MiB; a style has a few")
    wanted = [name for name in (_AUTO if device == "auto" else (device,)) if PROVIDERS[name] in available]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its own messages would stand between ours; failures come as exceptions
    if threads:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=[PROVIDERS[name] for name in wanted])
    except Exception as error:  # its exceptions share no base but this one
        raise ModelError(
            f"{path} cannot be opened as an ONNX model: {str(error).splitlines()[0]}",
            hint="Give a file that 'fast-style export' or 'fast-style train' wrote.",
        ) from error
    if device not in {"auto", _running_device(session)}:
        raise DeviceError(
            f"device {device!r} was asked for, but ONNX Runtime would run on {_running_device(session)!r}",
            hint="Check the driver and the CUDA libraries, or use --device cpu.",
        )
    return session


def _running_device(session: onnxruntime.InferenceSession) -> str:
    first = session.get_providers()[0]
    return next((name for name, provider in PROVIDERS.items() if provider == first), first)


def _check_contract(session: onnxruntime.InferenceSession, path: Path, metadata: dict[str, str]) -> tuple[str, str]:
    """Return the names of the input and the output of a graph from float RGB in [0, 1] to the same."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if metadata.get("producer") != "fast-style":
        raise ModelError(
            f"{path} was not exported by fast-style, so its value range is unknown",
            hint="Give a file that 'fast-style export' or 'fast-style train' wrote.",
        )
    ours = len(inputs) == len(outputs) == 1 and inputs[0].type == outputs[0].type == "tensor(float)"
    if not ours or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
        raise ModelError(f"{path} does not take one batch of RGB pictures (N, 3, H, W) and return one")
    return inputs[0].name, outputs[0].name
