"""Every error fast-style raises on purpose.

Of a :class:`FastStyleError` the command line prints ``error: <message>`` and ``hint: <hint>``; a traceback only of
others, which are our own mistakes.
"""

from collections.abc import Iterable


class FastStyleError(Exception):
    """Base of every deliberate error.

    Args:
        message: What was given and what was expected.
        hint: What to do about it, one sentence, or None if the message says it all.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(FastStyleError):
    """What was given cannot be used."""


class FileError(InputError):
    """A file that cannot be written."""


class ImageError(InputError):
    """A picture that cannot be read, is damaged, too small or too large."""


class VideoError(InputError):
    """A video that cannot be read, or cannot be written in the way that was asked for."""


class LayerError(InputError):
    """A layer name that the perceptual network does not have."""


class StyleNotFoundError(InputError):
    """No shipped style and no file of that name."""


class DatasetError(InputError):
    """A folder of photos with nothing usable in it."""


class WeightsError(FastStyleError):
    """Perceptual weights that are missing, damaged, or from an unknown source."""


class CheckpointError(FastStyleError):
    """A checkpoint that is not one of ours, is damaged, or holds more than tensors and plain values."""


class ModelError(FastStyleError):
    """An ONNX file that cannot serve as a style."""


def damaged_model(message: str) -> ModelError:
    """Make the error of a style's file that was changed on its way."""
    return ModelError(message, hint="Copy or download the file again, or export the style again.")


class CameraError(FastStyleError):
    """A camera that is absent, busy or gone, or a display that cannot be opened."""


class DeviceError(FastStyleError):
    """The device that was asked for is not the one that would run."""


class MissingExtraError(FastStyleError):
    """A library that one of fast-style's extras installs is missing or cannot be loaded."""


class WebError(FastStyleError):
    """The page in the browser: its runtime or its address cannot be had."""


class HubError(FastStyleError):
    """The Hugging Face hub cannot be reached, or refuses what it is asked for."""


class StudioError(FastStyleError):
    """What the studio is asked for cannot be done now, such as a second training at a time."""


class TrainingDivergedError(FastStyleError):
    """The loss or the pictures show that training has failed."""


class ExportError(FastStyleError):
    """A network that cannot be exported."""


class VerificationError(ExportError):
    """An exported graph differs from its network by more than the tolerance."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; torch's has a class of its own for GPUs only."""
    texts = ("DefaultCPUAllocator", "CUDA out of memory", "MPS backend out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def check_least(least: int, **values: int | None) -> None:
    """Raise InputError for a value below ``least``, named as its argument; None is a default."""
    for name, value in values.items():
        if value is not None and value < least:
            raise InputError(f"{name} is {value}; expected at least {least}")


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.0) -> str:
    """End a message about an unknown name: "; did you mean 'starry-night'?".

    If none of the known names is as near as ``cutoff``, 0 to 1, the ending is empty.
    """
    import difflib  # only errors need it, and it takes 5 ms

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]!r}?" if near else ""
