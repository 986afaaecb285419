"""Styles on the Hugging Face hub, by the name ``hf:OWNER/NAME``."""

import functools
import hashlib
import json
import re
from pathlib import Path

from fast_style.errors import HubError, InputError, ModelError
from fast_style.styles.card import damaged_entry

_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+?)(?:/([\w.-]+?))?(?:\.onnx)?", re.ASCII)
# Size limits: networks have 0.1 to 30 MB, cards 5 to 90 kB.
_MOST_BYTES = {".onnx": 256 << 20, ".json": 1 << 20}


def is_hub_name(text: str) -> bool:
    """Whether a text is ``hf:OWNER/NAME`` or ``hf:OWNER/REPOSITORY/NAME``."""
    return _NAME.fullmatch(text) is not None


@functools.cache
def pull_style(text: str) -> Path:
    """Download a style's ONNX file, and its card if there is one, into the hub's cache; return the path of the file.

    ``hf:OWNER/NAME`` is NAME.onnx of the repository OWNER/NAME; the other form is ``hf:OWNER/REPOSITORY/NAME``. What is
    in the cache is taken from there, also without a connection.

    Raises:
        InputError: The text is neither of these.
        HubError: The hub cannot be reached, refuses, or has no such file.
        ModelError: A file is too large, or the card is damaged or of another file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, HTTPError

    matched = _NAME.fullmatch(text)
    if matched is None:
        raise InputError(f"{text!r} is not the name of a style on the hub", hint="Such as hf:OWNER/NAME.")
    repository, name = matched[1], matched[2] or matched[1].split("/")[1]

    def fetch(file: str, commit: str | None = None) -> tuple[Path, str]:
        known = hf_hub_download(repository, file, revision=commit, dry_run=True)
        most = _MOST_BYTES[Path(file).suffix]
        if known.file_size is None or known.file_size > most:
            raise ModelError(f"{text}: {file} has more than {most >> 20} MiB")
        return Path(hf_hub_download(repository, file, revision=commit)), known.commit_hash

    try:
        model, commit = fetch(f"{name}.onnx")
        try:
            card, _ = fetch(f"{name}.json", commit)
        except EntryNotFoundError:  # there is no card
            return model
    except (HTTPError, HFValidationError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        hint = "Check the name and the connection; for a private repository, log in with 'hf auth login'."
        raise HubError(f"{text} cannot be downloaded: {reason}", hint=hint) from error
    try:
        facts = json.loads(card.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or damaged_entry(facts):
        raise ModelError(f"{text}: {card.name} is not a card")
    if facts.get("sha256") != hashlib.sha256(model.read_bytes()).hexdigest():
        raise ModelError(f"{text}: {card.name} is the card of another file than {model.name}")
    return model
