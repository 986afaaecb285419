"""Running finished styles: numpy, Pillow and ONNX Runtime, never torch."""

from fast_style.stylize.scene import Scene
from fast_style.stylize.stylizer import Stylizer

__all__ = ["Scene", "Stylizer"]
