"""Choosing the device that computes, and bringing pictures to it."""

import torch
from torch import Tensor

from fast_style.errors import DeviceError
from fast_style.images import Pixels, to_float


def find_device(name: str, *, apple: bool = False) -> torch.device:
    """Resolve the name of a device.

    Args:
        name: ``cpu``, ``cuda``, ``mps`` and whatever else torch knows; ``gpu`` for CUDA or Apple's GPU; ``auto`` for
            CUDA if there is such a device, else the CPU.
        apple: Let ``auto`` take Apple's GPU as well, before the CPU.

    Raises:
        DeviceError: There is no such device.
    """
    if name in {"auto", "gpu"}:
        if torch.cuda.is_available():
            return torch.device("cuda")
        if (apple or name == "gpu") and torch.backends.mps.is_available():
            return torch.device("mps")
        if name == "gpu":
            raise DeviceError("torch sees no GPU", hint="Use the CPU, or auto.")
        return torch.device("cpu")
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise DeviceError(
            f"torch cannot use the device {name!r}: {str(error).splitlines()[0]}", hint="Use the CPU, or auto."
        ) from error


def to_tensor(pixels: Pixels, device: torch.device | str = "cpu") -> Tensor:
    """Turn (H, W, 3) uint8 into (1, 3, H, W) float32, RGB in [0, 1], channels last in memory."""
    return torch.from_numpy(to_float(pixels)).to(device).contiguous(memory_format=torch.channels_last)
