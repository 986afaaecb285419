"""What is painted for the page: cards of the library, photos, frames of the camera, films."""

import functools
import io
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fast_style.errors import FastStyleError, StudioError
from fast_style.images import Picture, load_image, save_image
from fast_style.model.ground import Forms
from fast_style.studio.library import Entry, Library
from fast_style.stylize.look import Look
from fast_style.stylize.stylizer import Stylizer

_CARD_SIZE = 480  # px
# Hills by a lake at evening: what cards show until there is a photo of the user's own.
_LANDSCAPE = Path(__file__).parent / "static" / "landscape.jpg"
_OPEN_STYLES = 4
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What is chosen of a file, and how it paints."""

    styles: Mapping[str, float] = field(default_factory=dict)  # weights by name; none leaves it to the file
    strength: float = 1.0  # how strongly to paint, 0.25 to 4
    passes: int | None = None  # from coarse to fine; None takes the style's for the picture's size
    ground: Forms | None = None  # what is laid under flat places; None is the style's own
    blend: float = 1.0  # 0 is the photo, 1 the full style
    keep_colors: bool = False  # take only brightness from the style

    def of(self, stylizer: Stylizer) -> Stylizer:
        """Return a file's style as it is chosen; errors as of :meth:`Stylizer.mixed`."""
        if not self.styles and self.strength == 1.0 and self.ground is None:
            return stylizer
        return stylizer.mixed(self.styles or None, self.strength, self.ground)


class Painter:
    """Paints with the styles of a library, one picture at a time, so that the machine stays usable."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._turn = threading.Lock()
        # A file that was written anew is opened anew.
        self._open = functools.lru_cache(_OPEN_STYLES)(lambda path, _written: Stylizer(path))

    def paint(self, name: str, picture: Picture, choice: Choice) -> Picture:
        """Paint a picture; arguments and errors as of :class:`Stylizer`."""
        with self._turn:
            path = self._library.style(name).path
            stylizer = choice.of(self._open(path, path.stat().st_mtime_ns))
            look = Look(blend=choice.blend, keep_colors=choice.keep_colors, passes=choice.passes)
            return stylizer.picture(picture, look)

    def card(self, name: str, photo: Path | None) -> Path:
        """Return the picture of a style's card: what it makes of a photo, or of a landscape."""
        path = self._library.style(name).path
        key = f"card-{name}-{path.stat().st_mtime_ns}-{photo.stem if photo else 'landscape'}.jpg"
        target = self._library.place("tries") / key
        if not target.is_file():
            picture = load_image(photo or _LANDSCAPE, size=_CARD_SIZE, opaque=True)
            save_image(self.paint(name, picture, Choice()), target, quality=90)
        return target


def as_jpeg(picture: Picture, *, quality: int) -> bytes:
    """Encode a picture for the page."""
    out = io.BytesIO()
    save_image(picture, out, quality=quality, format="JPEG")
    return out.getvalue()


@dataclass
class _Film:
    """A film in work, or done: stopped, with what there was until then, or failed."""

    identity: str
    target: Path
    name: str  # of the upload, without its suffix
    style: str
    state: str = "painting"
    frames: int = 0
    expected: int | None = None
    error: str | None = None
    hint: str | None = None
    stopped: threading.Event = field(default_factory=threading.Event)


class Films:
    """Paints films, one at a time, beside the server's own work."""

    def __init__(self) -> None:
        self._films: dict[str, _Film] = {}
        self._turn = threading.Lock()

    def start(self, style: Entry, source: Path, name: str, choice: Choice, size: int | None) -> str:
        """Begin to paint an uploaded film, which is deleted then; return what to ask for it by.

        Raises:
            StudioError: Another film is being painted.
        """
        with self._turn:
            if any(film.state == "painting" for film in self._films.values()):
                source.unlink(missing_ok=True)
                raise StudioError("another film is being painted", hint="Wait, or stop it first.")
            identity = secrets.token_hex(16)
            film = _Film(identity, source.with_name(f"{identity}.mp4"), name, style.name)
            self._films[identity] = film
        threading.Thread(target=self._paint, args=(film, style.path, choice, source, size), daemon=True).start()
        return identity

    def newest(self) -> dict[str, Any] | None:
        """Say how far the film is that was begun last."""
        shown = ("identity", "name", "style", "state", "frames", "expected", "error", "hint")
        films = [*self._films.values()]
        return {key: getattr(films[-1], key) for key in shown} if films else None

    def stop(self, identity: str) -> None:
        """End a film where it is."""
        self._find(identity).stopped.set()

    def file(self, identity: str) -> Path:
        """Return the painted film, or raise StudioError if it is not there yet."""
        film = self._find(identity)
        if film.state == "painting" or not film.target.is_file():
            raise StudioError("the film is not painted", hint="Wait, or start it again.")
        return film.target

    def _find(self, identity: str) -> _Film:
        if identity not in self._films:
            raise StudioError("the film is no longer known: the studio was started anew", hint="Start it again.")
        return self._films[identity]

    def _paint(self, film: _Film, style: Path, choice: Choice, source: Path, size: int | None) -> None:
        def move(done: int, expected: int | None) -> None:
            film.frames, film.expected = done, expected
            if film.stopped.is_set():
                raise KeyboardInterrupt  # as Ctrl-C, on which a film that plays is left

        state = "failed"
        try:
            from fast_style.films.video import VideoOptions, stylize_video

            options = VideoOptions(size=size, blend=choice.blend, keep_colors=choice.keep_colors, passes=choice.passes)
            stylizer = choice.of(Stylizer(style, threads=1))
            report = stylize_video(source, film.target, stylizer, options, progress=move)
            state = "stopped" if report.interrupted else "done"
        except FastStyleError as error:
            film.error, film.hint = str(error).replace(str(source), "the film"), error.hint
        except KeyboardInterrupt:
            state = "stopped"
        except Exception:
            _log.exception("a film failed")
            film.error, film.hint = "the film could not be painted", "Try another one. The terminal has the details."
        finally:
            film.state = state
            source.unlink(missing_ok=True)
