"""Fast neural style transfer: train a style, prove its ONNX export equal, run it anywhere.

Public is what stands in ``__all__`` of this package and of the packages in it, and the errors of
:mod:`fast_style.errors`. All else may change from one release to the next.
"""

import os
from typing import TYPE_CHECKING, Any

from fast_style.errors import FastStyleError

if TYPE_CHECKING:
    from fast_style.stylize import Stylizer

# From version 1.29 on, ONNX Runtime tells Microsoft which models are opened, and leaves an identifier in the user's
# cache, unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = ["FastStyleError", "Stylizer", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the Stylizer when it is asked for: the command line sets numpy up before it is loaded."""
    if name == "Stylizer":
        from fast_style.stylize import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
