"""Opening an ONNX file: which provider runs it, with which options and how many threads."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fast_style.errors import DeviceError, ModelError
from fast_style.model.checksum import read_checked

if TYPE_CHECKING:
    import onnxruntime

Device = Literal["auto", "cpu", "cuda", "tensorrt", "coreml", "directml", "openvino", "rocm"]

PROVIDERS: dict[Device, str] = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Tried in this order by "auto". The others are faster for some fixed sizes but slow to start, so must be asked for.
_AUTO: tuple[Device, ...] = ("cuda", "directml", "cpu")


def core_count() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(
    model: Path | bytes,
    *,
    device: Device = "cpu",
    threads: int | None = None,
    options: onnxruntime.SessionOptions | None = None,
) -> onnxruntime.InferenceSession:
    """Open an ONNX file, whose checksum is checked if it has one, or a serialized model.

    Args:
        model: The file or the bytes.
        device: ``auto`` takes the best provider that starts; any other must be the one that runs.
        threads: CPU threads for one picture; None takes every core.
        options: In place of ``session_options(threads)``.

    Raises:
        ModelError: The file is damaged, or not an ONNX model.
        DeviceError: The device asked for is not the one that would run.
    """
    import onnxruntime  # 0.15 s, so only when a style is opened

    available = onnxruntime.get_available_providers()
    if device != "auto" and PROVIDERS.get(device) not in available:
        here = [name for name, provider in PROVIDERS.items() if provider in available]
        raise DeviceError(
            f"device {device!r} is not in this ONNX Runtime; it has {', '.join(here)}",
            hint="pip install onnxruntime-gpu (CUDA), onnxruntime-directml, …, or use --device cpu.",
        )
    source: Path | bytes = model
    if isinstance(model, Path):
        content = read_checked(model)
        try:
            str(model).encode()
        except UnicodeEncodeError:  # ONNX Runtime takes names that are text
            source = content
    names = _AUTO if device == "auto" else (device, _AUTO[-1])
    providers = [PROVIDERS[name] for name in dict.fromkeys(names) if PROVIDERS[name] in available]
    options = session_options(threads) if options is None else options
    # A provider that cannot start raises a plain RuntimeError; a message about a damaged name may not be text.
    failures: tuple[type[Exception], ...] = (RuntimeError, UnicodeDecodeError, *engine_errors())
    while True:
        try:
            # By path, so that a model from elsewhere finds the weights that lie beside it. ONNX Runtime's own
            # fallback to the next provider prints, so it is off.
            session = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)
            break
        except failures as error:
            providers = providers[1:]
            if not providers:
                name = model if isinstance(model, Path) else "the graph"
                raise ModelError(
                    f"{name} cannot be opened as an ONNX model: {first_line(error)}",
                    hint="Give a file that 'fast-style export' or 'fast-style train' wrote.",
                ) from error
    if device not in {"auto", running_device(session)}:
        raise DeviceError(
            f"device {device!r} was asked for, but ONNX Runtime would run on {running_device(session)!r}",
            hint="Check the driver and the CUDA libraries, or use --device cpu.",
        )
    return session


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """The options every session here has."""
    import onnxruntime

    # Its own messages would stand between ours; failures come as exceptions.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # More threads than cores are of no use, and ONNX Runtime waits forever for one that the system refuses.
    options.intra_op_num_threads = min(threads or core_count(), core_count())
    # Planning all the memory of a run as one block takes a quarter more of it, and no less time.
    options.enable_mem_pattern = False
    # Threads that spin while they wait take the core on which decoding and encoding would run.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


@cache
def engine_errors() -> tuple[type[Exception], ...]:
    """The errors that ONNX Runtime raises; they share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state

    kinds = vars(onnxruntime_pybind11_state).values()
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))


def first_line(error: Exception) -> str:
    """What ONNX Runtime says went wrong, without the trace that may follow."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def running_device(session: onnxruntime.InferenceSession) -> Device:
    """Our name of the provider that a session runs on; it was opened by :func:`open_session`."""
    first = session.get_providers()[0]
    return next(name for name, provider in PROVIDERS.items() if provider == first)
