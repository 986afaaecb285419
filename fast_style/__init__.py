"""Fast neural style transfer: train a style, prove its ONNX export equal, run it anywhere."""

from typing import TYPE_CHECKING, Any

from fast_style.errors import FastStyleError

if TYPE_CHECKING:
    from fast_style.stylize import Stylizer

__version__ = "0.1.0"

__all__ = ["FastStyleError", "Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the Stylizer when it is asked for: the command line sets numpy up before it is loaded."""
    if name == "Stylizer":
        from fast_style.stylize import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
