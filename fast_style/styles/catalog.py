"""Finding a style: the name of a shipped one, the path of an ONNX file, or a name on the Hugging Face hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fast_style.errors import FileError, StyleNotFoundError, did_you_mean
from fast_style.files import is_file, is_folder, user_folder
from fast_style.styles.card import read_card
from fast_style.styles.hub import is_hub_name, pull_style

# In a checkout the styles lie beside the package; the wheel carries them inside it (see pyproject.toml).
_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "checkpoints", _PACKAGE.parent / "checkpoints")


@dataclass(frozen=True)
class Style:
    """A file of one or more styles."""

    name: str  # what it is called on the command line
    path: Path  # its ONNX file
    card: dict[str, Any]  # what its training recorded, empty if there is no card

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of its styles, as the card has them."""
        return tuple(self.card.get("styles", ()))

    @property
    def paintings(self) -> dict[str, dict[str, Any]]:
        """What the card says of the painting of each style."""
        return dict(self.card.get("paintings", {}))


def shipped_styles() -> list[Style]:
    """List the styles that come with fast-style, sorted by name."""
    return [Style(name, path, read_card(path)) for name, path in shipped_paths().items()]


def shipped_paths() -> dict[str, Path]:
    """Find the ONNX files of the styles that come with fast-style, sorted by name; no card is read."""
    return dict(sorted((path.stem, path) for place in _PLACES for path in place.glob("*.onnx")))


def studio_folder() -> Path:
    """The studio's folder in the user's data directory."""
    return user_folder("XDG_DATA_HOME", ".local/share") / "studio"


def own_paths() -> dict[str, Path]:
    """Find the ONNX files of the styles that were made in the studio, sorted by name."""
    try:
        found = sorted(studio_folder().resolve().glob("styles/*/*.onnx"))
    except FileError:  # a user without a home has none
        return {}
    return {path.stem: path for path in found if path.stem == path.parent.name}


def find_style(style: str | Path) -> Style:
    """Resolve a shipped name, a path, one of the studio's names, or ``hf:OWNER/NAME`` on the Hugging Face hub.

    Raises:
        StyleNotFoundError: There is no such style; the message suggests the nearest name.
        ModelError: Its card is of a later version of fast-style, or what the hub holds is damaged.
        HubError: The hub cannot be reached, refuses, or has no such style.
    """
    shipped = shipped_paths()
    path = pull_style(str(style)) if is_hub_name(str(style)) else shipped.get(str(style), Path(style))
    own = {} if is_file(path) else own_paths()
    path = own.get(str(style), path)
    if is_file(path):
        return Style(path.stem, path, read_card(path))
    guess = did_you_mean(str(style), [*shipped, *own], cutoff=0.6)
    if path.suffix == ".onnx" and not is_folder(path):
        raise StyleNotFoundError(f"there is no file {path}{guess}", hint="'fast-style styles' lists the styles.")
    what = "is a folder, not an ONNX file" if is_folder(path) else "is neither the name of a style nor a file"
    raise StyleNotFoundError(
        f"{str(style)!r} {what}{guess}",
        hint=f"Styles: {', '.join([*own, *shipped]) or 'none'}. Train your own with 'fast-style train'.",
    )
