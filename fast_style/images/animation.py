"""Writing animations: GIF, WebP and PNG of several frames, with their times."""

import itertools
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from PIL import GifImagePlugin

from fast_style.errors import ImageError
from fast_style.files import replacing
from fast_style.images.arrays import Picture, with_alpha
from fast_style.images.save import check_size, format_of, reduce_colors, save_options

# Formats that can hold an animation, by Pillow's names.
ANIMATED = frozenset({"GIF", "PNG", "WEBP"})

_CLEAR = 2  # how a frame of a GIF is removed before the next
# Bounds of a pause: of PNG, where it is a fraction of two 16-bit numbers, s; of GIF and WebP, ms.
_MOST_PARTS, _MOST_GIF, _MOST_WEBP = 65_535, 655_350, (1 << 24) - 1
# More often is without end.
_MOST_PLAYS = {"GIF": 65_536, "WEBP": 65_535}


def save_frames(
    frames: Iterable[tuple[Picture, float]],
    target: Path | IO[bytes],
    *,
    plays: int = 0,
    poster: bool = False,
    quality: int = 92,
    format: str = "PNG",
) -> None:
    """Encode an animation; a file appears completely or not at all.

    A GIF has 256 colors in each frame, with dithering, and pauses in hundredths of a second.

    Args:
        frames: Pictures of one size, and for how many milliseconds each is shown. A GIF takes them one by one, other
            formats hold all in memory.
        target: A path ending in .gif, .png or .webp, or a binary stream.
        plays: How often it is shown, 0 without end.
        poster: The first picture is only for programs that know no animations: others leave it out. Only PNG has it.
        quality: Quality of WebP, 1 to 100.
        format: Used for a stream only.

    Raises:
        ImageError: The suffix is not that of an animation, or the pictures are too large for the format.
        FileError: The file cannot be written.
    """
    if isinstance(target, Path):
        format = format_of(target)
        if format not in ANIMATED:
            raise ImageError(f"cannot write {target}: not a format of animations", hint="Use .gif, .webp or .png.")
        with replacing(target) as partial, partial.open("wb") as file:
            save_frames(frames, file, plays=plays, poster=poster, quality=quality, format=format)
        return
    frames = iter(frames)
    if poster and format != "PNG":
        next(frames)
    if plays > _MOST_PLAYS.get(format, plays):
        plays = 0
    if format == "GIF":
        _write_gif(frames, target, plays)
        return
    if format == "WEBP":
        frames = _rounded(frames, 1, _MOST_WEBP)
    pictures, pauses = zip(*frames, strict=True)
    width, height = pictures[0].size
    check_size(width, height, format)
    alpha = any(picture.alpha is not None for picture in pictures)
    images = [with_alpha(picture).convert("RGBA" if alpha else "RGB") for picture in pictures]
    options: dict[str, Any] = save_options(pictures[0], format, quality) | {"loop": plays}
    if format == "PNG":
        options |= {"duration": [_fraction(pause) for pause in pauses[poster:]], "default_image": poster}
    else:
        options |= {"duration": list(pauses), "exif": options.get("exif", b"").removeprefix(b"Exif\0\0")}
    images[0].save(target, format, save_all=True, append_images=images[1:], **options)


def _rounded(frames: Iterable[tuple[Picture, float]], unit: int, most: int) -> Iterator[tuple[Picture, int]]:
    """Round pauses, ms, to multiples of a unit, without a drift."""
    end = done = 0.0
    for picture, pause in frames:
        end += pause
        rounded = max(0, round((end - done) / unit)) * unit
        done += rounded
        yield picture, min(rounded, most)


def _fraction(pause: float) -> float:
    """The nearest pause, ms, that a PNG can hold."""
    return pause if pause <= _MOST_PARTS else min(round(pause / 1000), _MOST_PARTS) * 1000.0


def _write_gif(frames: Iterator[tuple[Picture, float]], file: IO[bytes], plays: int) -> None:
    """Write frames as they come. Pillow itself would hold all, and writes a broken file if one is transparent."""
    first = next(frames)
    width, height = first[0].size
    check_size(width, height, "GIF")
    file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
    if plays != 1:  # it counts how often the animation is repeated
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", max(0, plays - 1), 0))
    for picture, pause in _rounded(itertools.chain([first], frames), 10, _MOST_GIF):
        image, transparency = reduce_colors(picture)
        options: dict[str, Any] = {"duration": pause, "disposal": _CLEAR, "include_color_table": True, **transparency}
        file.writelines(GifImagePlugin.getdata(image, **options))
    file.write(b";")
