"""The paintings of a run: found, freed from frames, scaled, and described for the card."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fast_style.checkpoint import Checkpoint
from fast_style.device import to_tensor
from fast_style.errors import InputError
from fast_style.files import is_plain_name
from fast_style.images import find_photos, fit, load_image
from fast_style.model.ground import find_palette
from fast_style.networks import has_grain, is_colored, is_flat
from fast_style.painting import STYLE_SIZE, crop_painting, find_canvas, scale_painting
from fast_style.styles.mixture import MARKS


@dataclass(frozen=True)
class Painting:
    """What a style is learned from."""

    style: str  # name of its style
    image: Tensor  # (1, 3, H, W), RGB in [0, 1], at the size that sets the strokes
    facts: dict[str, Any]  # what the card says of it
    notes: tuple[str, ...]  # what a user should know: what was cut off, at which size it is learned


def find_paintings(paths: Sequence[Path]) -> list[Path]:
    """Put the pictures in the place of folders of them.

    Raises:
        DatasetError: A folder holds no pictures.
        InputError: There is no painting, or two have one name.
    """
    paintings = [painting for path in paths for painting in (find_photos(path) if path.is_dir() else [path])]
    if not paintings:
        raise InputError("there is no painting to learn")
    names = [path.stem for path in paintings]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two paintings are called {min(twice)}", hint="Their styles are called after the files.")
    if len(paintings) > 1 and (odd := [name for name in names if not is_plain_name(name) or MARKS & set(name)]):
        said = (
            f"no style can be called {min(odd)!r}: its name is not text, or has one of {' '.join(sorted(MARKS))} in it"
        )
        raise InputError(said, hint="Rename the file, as styles are called after the files.")
    return paintings


def style_name(paintings: Sequence[Path]) -> str:
    """Name the style of a painting, or the file of several: after the paintings, at most 60 characters."""
    return "+".join(painting.resolve().stem for painting in paintings)[:60]


def name_styles(paintings: Sequence[Path], name: str, previous: Checkpoint | None) -> tuple[str, ...]:
    """Name the styles of a run: one after the run, several after their paintings, and as before in a resumed run.

    Raises:
        InputError: The checkpoint to resume has other styles.
    """
    styles = (name,) if len(paintings) == 1 else tuple(path.stem for path in paintings)
    if previous is None:
        return styles
    if styles != previous.styles and not len(styles) == len(previous.styles) == 1:
        raise InputError(
            f"{previous.path} was trained on {', '.join(previous.styles)}; the paintings are {', '.join(styles)}",
            hint="Give the same paintings in the same order.",
        )
    return previous.styles


def read_painting(
    path: Path,
    style: str,
    size: int | None,
    grain: bool | None,
    *,
    previous: Checkpoint | None = None,
    keep_frame: bool,
    details: Mapping[str, Any] | None = None,
) -> Painting:
    """Read a painting once, and prepare all that a run needs of it.

    Args:
        path: The picture.
        style: Name of its style.
        size: Its long side, px; None takes what :func:`~fast_style.painting.find_style_size` finds.
        grain: Whether it keeps its grain; None asks :func:`~fast_style.networks.coring.has_grain`.
        previous: The checkpoint that the run continues from; it keeps to what was found then.
        keep_frame: Take the picture whole.
        details: For the card. A table under the painting's name is about this one, all others about each.

    Raises:
        ImageError: It cannot be read, or is too small.
        InputError: The checkpoint was trained on another painting, or without the frame that is to be kept.
        CheckpointError: The box in the checkpoint does not lie in the picture.
    """
    picture = load_image(path, opaque=True)
    known = {} if previous is None else previous.card["paintings"][style]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if previous is not None and known.get("sha256", digest) != digest:
        raise InputError(
            f"{path} is not the painting that {previous.path} was trained on, {known.get('file')}",
            hint="Give that one, or start a new run with --init.",
        )
    box, notes = known.get("box"), []
    if previous is not None and box is not None and keep_frame:
        said = f"{previous.path} was trained without the frame, which stays so"
        raise InputError(said, hint="Leave --keep-frame out.")
    if previous is None and not keep_frame and (canvas := find_canvas(picture.pixels)) is not None:
        box = canvas.box
        notes.append(f"{path}: {canvas.note}; --keep-frame keeps it")
    smoothed = known.get("smoothed", grain is False)
    picture = crop_painting(picture, box, name=str(path))
    # Not by scale_painting, which refuses a long painting that is wide enough at the size that was asked for.
    if previous is None and grain is None and has_grain(to_tensor(fit(picture, STYLE_SIZE, enlarge=True).pixels)):
        smoothed = True
        notes.append(f"{path}: its grain, of which networks make a mesh, is smoothed; --grain keeps it")
    # At the size asked for, or 640 px: there, grain is about as wide as what networks make a mesh of.
    smooth_at = (size or STYLE_SIZE) if smoothed else None
    image = scale_painting(picture, size or known.get("style_size"), smooth_at=smooth_at, name=str(path))
    taught = max(image.shape[-2:])
    if size is None and previous is None and taught < STYLE_SIZE:
        notes.append(f"{path}: its forms are large, so it is taught at {taught} px; see --style-size")
    # The threshold of flatness was found on paintings that were not smoothed.
    rough = scale_painting(picture, taught, name=str(path)) if smoothed else image
    found = {"smoothed": smoothed, "flat": is_flat(rough), "colored": is_colored(image)}
    palette = list(find_palette(fit(picture, STYLE_SIZE).pixels))
    name = path.name.encode(errors="backslashreplace").decode()  # it may not be UTF-8
    facts = {**known, "file": name, "sha256": digest, "style_size": taught, **found}
    facts |= {**_about(path, details or {}), "palette": palette}
    return Painting(style, image, facts if box is None else {**facts, "box": list(box)}, tuple(notes))


def _about(path: Path, details: Mapping[str, Any]) -> dict[str, Any]:
    """What the details say of each painting, and of this one."""
    own = details.get(path.stem)
    of_each = {key: value for key, value in details.items() if not isinstance(value, dict)}
    return of_each | (own if isinstance(own, dict) else {})


def finish_for(paintings: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the finish of a network that learned these, facts for a card: what suits all of them.

    See :meth:`fast_style.networks.TransformerNetwork.set_finish`.
    """
    facts = list(paintings)
    return {
        name: bool(facts) and all(painting.get(fact) for painting in facts)
        for name, fact in (("coring", "flat"), ("accents", "colored"))
    }
