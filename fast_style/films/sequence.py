"""Numbered pictures, such as ``frames/%05d.png``, read and written as a video."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import VideoFrame

from fast_style.errors import FastStyleError, VideoError
from fast_style.films.colors import Colors, usual_matrix
from fast_style.films.frames import DEFAULT_RATE, Frame, Losses, OtherPacket, first_frame, plane_views
from fast_style.images import WRITABLE_SUFFIXES, Picture, Planes, channels, load_image, save_image
from fast_style.photos.jobs import numbered_files, numbered_name


class SequenceReader:
    """Numbered pictures, such as ``frames/%05d.png``, as a video; the same interface as :class:`VideoReader`.

    The first picture that can be read sets the size. Others that differ from it are counted as lost, like unreadable
    ones.

    Args:
        path: A pattern with one ``%d`` or ``%05d`` in its name.
        size: Shrink the long side to this many px, or None.
        rate: Pictures a second.
        start: Skip everything before this time, seconds.
        end: Stop at this time, seconds, or None.

    Raises:
        VideoError: The path is not a pattern with one number, the start lies beyond the last picture, or no picture
            can be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int | None = None,
        rate: Fraction = DEFAULT_RATE,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        self.path, self.rate, self.time_base, self._size = path, rate, 1 / rate, size
        self.finest_rate = rate
        first, last = first_frame(start, rate), None if end is None else round(end * rate)
        files = numbered_files(path)
        if not files:
            raise VideoError(f"there is no picture named {path}", hint="The numbers may start anywhere.")
        if first >= len(files):
            raise VideoError(f"start is {start:g} s, but {path} ends at {float(len(files) / rate):g} s")
        self._files = files[first:last]
        self.losses = Losses()
        self.notes: list[str] = []
        self.aspect: Fraction | None = None
        self.square = True
        self.loop = 0
        # The planes are already RGB; these are the colors of a video written from them.
        self.width, self.height = self._first_size()
        self.colors = Colors(usual_matrix(self.height))

    def _first_size(self) -> tuple[int, int]:
        """Width and height of the first picture that can be read, px."""
        why = ""
        for file in self._files:
            try:
                return load_image(file, size=self._size).size
            except FastStyleError as error:
                why = why or f": {error}"
        raise VideoError(f"{self.path} has no picture in the requested part that can be read{why}")

    @property
    def frames(self) -> int:
        """How many pictures there are."""
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures from the requested start on."""
        for index, file in enumerate(self._files):
            try:
                picture = load_image(file, size=self._size)
            except FastStyleError as error:
                self.losses.add(str(error), frames=1)
                continue
            if picture.size != (self.width, self.height):
                width, height = picture.size
                self.losses.add(f"{file} is {width}×{height} px, not {self.width}×{self.height}", frames=1)
                continue
            yield Frame(channels(picture.pixels), index)

    def close(self) -> None:
        """Nothing is open."""


class SequenceWriter:
    """Numbered pictures being written, such as ``frames/%05d.png``; the same interface as :class:`VideoWriter`.

    Args:
        path: The pattern; numbers start at 1.
        width: Width of the pictures, px.
        height: Height of the pictures, px.
        quality: Quality of JPEG and WebP, 1 to 100.
    """

    def __init__(self, path: Path, width: int, height: int, *, quality: int) -> None:
        if path.suffix.lower() not in WRITABLE_SUFFIXES:
            raise VideoError(f"no pictures are written as {path.suffix!r}", hint="Give %05d.png or %05d.jpg.")
        self.path, self.width, self.height = path, width, height
        self.quality, self._number = quality, 0

    def blank(self) -> VideoFrame:
        """Get a picture to draw on."""
        return VideoFrame(self.width, self.height, "gbrp")

    def planes(self, picture: VideoFrame) -> Planes:
        """Where to draw red, green and blue, each (H, W) uint8."""
        return plane_views(picture)

    def pack(self, picture: VideoFrame) -> VideoFrame:
        """Return the picture unchanged."""
        return picture

    def write(self, frame: VideoFrame, pts: int, duration: int) -> None:
        """Save the next picture."""
        self._number += 1
        target = numbered_name(self.path, self._number)
        save_image(Picture(np.stack(plane_views(frame), axis=-1)), target, quality=self.quality)

    def copy(self, packet: OtherPacket) -> None:
        """Pictures hold no sound."""

    def close(self) -> None:
        """Nothing is left to do."""
