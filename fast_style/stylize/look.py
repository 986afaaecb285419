"""How a style is applied."""

from dataclasses import dataclass
from pathlib import Path

from fast_style.errors import InputError
from fast_style.stylize.checks import check_blend, check_passes, check_size


@dataclass(frozen=True)
class Look:
    """How a style is applied.

    Attributes:
        size: Shrink the long side to this many px, or None.
        blend: 0.0 is the original, 1.0 the full style.
        keep_colors: Take only brightness from the style.
        passes: Number of passes, from coarse to fine; None takes the style's for the size.
        masks: Masks of the styles, see :func:`fast_style.stylize.masks.pair_masks`. Masks of a video may be videos;
            after the end of one, its last frame is used.
        quality: Quality of JPEG, WebP or a video, 1 to 100.
    """

    size: int | None = None
    blend: float = 1.0
    keep_colors: bool = False
    passes: int | None = None
    masks: tuple[Path, ...] = ()
    quality: int = 92

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        check_size(self.size)
        check_blend(self.blend)
        check_passes(self.passes)
        if not 1 <= self.quality <= 100:
            raise InputError(f"quality is {self.quality}; expected 1 to 100")
