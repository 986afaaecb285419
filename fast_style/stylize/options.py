"""Options of photos and videos: the style and the device."""

from dataclasses import dataclass
from pathlib import Path

from fast_style.model.ground import Forms
from fast_style.model.session import Device
from fast_style.stylize.contract import Range
from fast_style.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class StyleOptions:
    """The style and where it runs; the fields are arguments of :class:`Stylizer`."""

    style: str | Path
    device: Device = "auto"
    value_range: Range | None = None
    strength: float = 1.0
    ground: Forms | None = None

    def open(self, threads: int | None = 1) -> Stylizer:
        """Open the style with this many CPU threads; None takes every core.

        Raises:
            FastStyleError: As :class:`Stylizer`.
        """
        return Stylizer(**vars(self), threads=threads)
