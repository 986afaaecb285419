"""Fast neural style transfer: train a style, prove its ONNX export equal, run it anywhere."""

from fast_style.errors import FastStyleError
from fast_style.runtime import Stylizer

__version__ = "0.1.0"

__all__ = ["FastStyleError", "Stylizer", "__version__"]
