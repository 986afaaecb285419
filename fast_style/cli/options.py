"""Groups of options that several verbs take, and what the library makes of them.

Annotations are not postponed here: cyclopts would look for those of inherited fields in the module of the subclass.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from fast_style.cli.app import Flag
from fast_style.errors import InputError, check_least
from fast_style.images import MAX_PIXELS
from fast_style.model.ground import Forms
from fast_style.model.session import Device
from fast_style.photos.jobs import Format
from fast_style.photos.run import PhotoOptions
from fast_style.styles.catalog import shipped_paths
from fast_style.stylize.contract import Range
from fast_style.stylize.options import StyleOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token
    from cyclopts.completion import CompletionContext

    from fast_style.films.video import VideoOptions

# --help explains the options that are in no group, and names those of the groups, in this order.
FILES = Group("Files", sort_key=1)
VIDEOS = Group("Videos", sort_key=2)
MACHINE = Group("Machine", sort_key=8)
AUTOMATION = Group("Automation", sort_key=9)
_IN_FILES = Parameter(group=FILES)

JsonFlag = Annotated[Flag, Parameter(group=AUTOMATION)]


def complete_style(context: "CompletionContext") -> list[str]:
    """The shipped styles, and the ONNX files in the folder that has been typed and one below, for the shell."""
    folder = Path(f"{context.incomplete}…").parent
    return [*shipped_paths(), *(str(path) for pattern in ("*.onnx", "*/*.onnx") for path in folder.glob(pattern))]


_STYLE = Parameter(name=["--style", "-s"], completer=complete_style)
StyleName = Annotated[str, _STYLE]
StyleNames = Annotated[list[str], _STYLE, Parameter(consume_multiple=True)]


@Parameter(name="*")
@dataclass(frozen=True)
class Look:
    """How the style is applied.

    Args:
        size: Shrink the long side to this many px first.
        blend: 0 is the original, 1 the full style.
        keep_colors: Take only brightness from the style.
        strength: How strongly to paint, from 0.25, a hint, to 4, painted over: large forms cover more of the photo's
            detail. It does nothing in a single pass.
        passes: Number of passes, from coarse to fine, 1 to 8: more give larger forms. By default the first one is
            painted at about 160 px, and each of the others at twice the size of the one before.
        ground: Forms that are laid under flat places such as skies: flow, for strokes that turn; panes, for
            cells between dark lines; rings; or none. By default the style's own. It does nothing in a single pass.
    """

    size: int | None = None
    blend: float = 1.0
    keep_colors: Flag = False
    strength: float = 1.0
    passes: int | None = None
    ground: Forms | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class ResultLook(Look):
    """What results look like.

    Args:
        quality: Quality of jpg, webp and videos, 1 to 100; by default 92 for photos and 64 for videos.
        mask: A picture: the style is painted where it is white. Several, for as many styles: --style udnie,the-scream
            --mask sky.png ground.png. For a video it may be a video, too. For up to 12 megapixels.
        max_megapixels: Refuse photos of more megapixels; 89 by default, as a tiny file can claim to be huge.
    """

    quality: Annotated[int | None, _IN_FILES] = None
    mask: Annotated[list[Path] | None, Parameter(consume_multiple=True, group=FILES)] = None
    max_megapixels: Annotated[int | None, _IN_FILES] = None

    def shared(self, quality: int) -> dict[str, Any]:
        """Return what photos and videos have in common, with a default quality."""
        return {
            "size": self.size,
            "blend": self.blend,
            "keep_colors": self.keep_colors,
            "passes": self.passes,
            "masks": tuple(self.mask or ()),
            "quality": quality if self.quality is None else self.quality,
        }

    def photo_options(self) -> PhotoOptions:
        """Return the options of photos."""
        max_pixels = MAX_PIXELS if self.max_megapixels is None else self.max_megapixels * 1_000_000
        return PhotoOptions(**self.shared(quality=92), max_pixels=max_pixels)


@Parameter(name="*")
@dataclass(frozen=True)
class FileLook(ResultLook):
    """What results look like, and in which format they are.

    Args:
        format: Format of photos: png, jpg, webp or tif; by default that of OUT's name, or the input's, and png on
            standard output. With the extra 'large', png and tif keep 16 bits a channel.
    """

    format: Annotated[Format | None, _IN_FILES] = None

    def photo_options(self) -> PhotoOptions:
        """Return the options of photos, with the format of what goes to standard output."""
        return replace(super().photo_options(), format={"jpg": "JPEG", "webp": "WEBP"}.get(self.format or "png", "PNG"))


def _seconds(kind: object, tokens: "Sequence[Token]") -> float:
    """Parse 83.5, 1:23.5 or 0:01:23.5."""
    (text,) = (token.value for token in tokens)
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(not 0 <= part < 1e7 for part in parts):
            raise ValueError
    except ValueError:
        raise InputError(f"{text!r} is not a time; expected seconds or h:mm:ss") from None
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


def _rate(kind: object, tokens: "Sequence[Token]") -> Fraction:
    """Parse 30, 29.97 or 30000/1001."""
    (text,) = (token.value for token in tokens)
    try:
        return Fraction(text).limit_denominator(100_000)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is not a rate; expected frames a second, such as 30 or 30000/1001") from None


_TIME = Parameter(converter=_seconds, show_default=False)


@Parameter(name="*", group=VIDEOS)
@dataclass(frozen=True)
class Film:
    """Options of videos only.

    Args:
        fps: Frames per second, such as 30 or 30000/1001; by default the original times are kept exactly.
        start: Where to start in the video: seconds, or h:mm:ss.
        end: Where to stop.
        codec: h264, h265, vp9, av1, or the name of an FFmpeg encoder.
        side_by_side: Show the original to the left of the result.
        steady: Hold still what does not move, and carry along what does, against flicker.
        audio: Copy the sound.
        subtitle: Copy the subtitles.
    """

    fps: Annotated[Fraction | None, Parameter(converter=_rate, accepts_keys=False, n_tokens=1)] = None
    start: Annotated[float, _TIME] = 0.0
    end: Annotated[float | None, _TIME] = None
    codec: str | None = None
    side_by_side: Flag = False
    steady: bool = True
    audio: bool = True
    subtitle: bool = True

    def video_options(self, look: FileLook) -> "VideoOptions":
        """Return the options of videos."""
        from fast_style.films.video import VideoOptions

        return VideoOptions(**look.shared(quality=64), **vars(self))


@Parameter(name="*", group=MACHINE)
@dataclass(frozen=True)
class Engine:
    """What the network runs on.

    Args:
        value_range: Range of the pixel values of a model from elsewhere, 0-1 or 0-255.
        device: auto, cpu, cuda, …; it is an error if ONNX Runtime would run on another.
        threads: CPU threads for one photo or frame; by default the cores are shared out.
    """

    value_range: Annotated[Range | None, Parameter(name="--range", group=FILES)] = None
    device: Device = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        check_least(1, threads=self.threads)

    def style(self, name: str, look: Look) -> StyleOptions:
        """Return how a style is opened."""
        return StyleOptions(name, self.device, self.value_range, look.strength, look.ground)


@Parameter(name="*", group=MACHINE)
@dataclass(frozen=True)
class ParallelEngine(Engine):
    """What the network runs on.

    Args:
        jobs: Photos or frames at once; by default one for each core.
    """

    jobs: Annotated[int | None, Parameter(name=["--jobs", "-j"])] = None

    def __post_init__(self) -> None:
        """Raise InputError for a value out of range."""
        super().__post_init__()
        check_least(1, jobs=self.jobs)
