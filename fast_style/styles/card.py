"""The card of a style, NAME.json beside NAME.onnx: what it is, where it comes from, how it was made and verified."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fast_style.errors import InputError, ModelError
from fast_style.files import check_format, check_new, replacing

CARD_FORMAT = 1
# Types of the entries that other modules read, and of what is in them.
_FIELDS = {"styles": (list, str), "paintings": (dict, dict), "recipe": (dict, object), "training": (dict, object)}


def read_card(model: Path) -> dict[str, Any]:
    """Read the card beside an ONNX file; empty if there is none, or the JSON file there is not a card.

    Raises:
        ModelError: A later version of fast-style wrote it, or it is damaged.
    """
    path = model.with_suffix(".json")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(card, dict) or "card_format" not in card:
        return {}
    check_format(card["card_format"], CARD_FORMAT, path, ModelError)
    if damaged := damaged_entry(card):
        raise ModelError(
            f"{path} is damaged: its {damaged} cannot be read",
            hint="Copy or download it again, or delete it: the style paints without it.",
        )
    return card


def damaged_entry(card: dict[str, Any]) -> str | None:
    """Name the first entry of a card that other modules cannot read, or None."""
    for name, (kind, held) in _FIELDS.items():
        found = card.get(name, kind())
        if not isinstance(found, kind):
            return name
        if not all(isinstance(value, held) for value in (found.values() if isinstance(found, dict) else found)):
            return name
    return None


def check_places(
    model: Path,
    *,
    force: bool,
    inputs: Iterable[Path] = (),
    hint: str = "Give --force to overwrite it, or another -o.",
) -> None:
    """Refuse, before any work is done, an ONNX file that may not be written with its card beside it.

    Raises:
        InputError: The name does not end in .onnx, the file is one of the inputs, it exists and ``force`` was not
            given, or what is in the place of its card is not a card.
        ModelError: A later version of fast-style wrote the card there.
    """
    if model.suffix != ".onnx":
        raise InputError(f"{model} does not end in .onnx")
    check_new(model, force=force, inputs=inputs, hint=hint)
    card = model.with_suffix(".json")
    if card.exists() and not read_card(model):
        raise InputError(f"{card} exists and is not the card of a style, which goes there", hint="Give another name.")


def write_card(model: Path, facts: dict[str, Any]) -> Path:
    """Write the card beside an ONNX file, with the file's size and SHA-256, and return its path.

    Raises:
        FileError: It cannot be written.
    """
    content = model.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    card = {"card_format": CARD_FORMAT, **facts, "sha256": digest, "bytes": len(content)}
    path = model.with_suffix(".json")
    with replacing(path) as partial:
        partial.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
