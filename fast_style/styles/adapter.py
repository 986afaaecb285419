"""Adapters: a style as a small file of scales and shifts, for the network that it was trained on."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fast_style.errors import ModelError
from fast_style.files import check_format, is_plain_name, replacing
from fast_style.model.table import Set, number_in
from fast_style.styles.card import damaged_entry

SUFFIX = ".safetensors"
_FORMAT = 1
# A set of `fine` has 50 kB; anything this large is something else.
_MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Adapter:
    """A style's scales and shifts."""

    name: str  # of the style
    base: str  # checksum of the convolutions that it belongs to, see `base_checksum`
    values: Set  # its set: (2, C) float32
    card: dict[str, Any] = field(default_factory=dict)  # what its training recorded


def save_adapter(adapter: Adapter, path: Path) -> None:
    """Write an adapter as safetensors, whole or not at all.

    Raises:
        FileError: The file cannot be written.
    """
    from safetensors.numpy import save  # what runs a plain style does without it

    values = np.ascontiguousarray(adapter.values, np.float32)
    facts = {
        "format": str(_FORMAT),
        "name": adapter.name,
        "base": adapter.base,
        "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "card": json.dumps(adapter.card),
    }
    with replacing(path) as partial:
        partial.write_bytes(save({"set": values}, metadata=facts))


def load_adapter(path: Path) -> Adapter:
    """Read an adapter; no code in it is run.

    Raises:
        ModelError: It cannot be read, is damaged or not an adapter, or a later version wrote it.
    """
    from safetensors import SafetensorError, safe_open

    hint = "Give a file that 'fast-style train --adapter-of' wrote."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size >> 20} MiB; an adapter has well under 1 MiB", hint=hint)
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            values = file.get_tensor("set") if "set" in file.keys() else None  # noqa: SIM118 -- it is no mapping
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}", hint=hint) from error
    except (SafetensorError, AttributeError, TypeError) as error:  # the last two of types that NumPy has not
        raise ModelError(f"{path} is damaged or not an adapter: {error}", hint=hint) from error
    format = number_in(facts, "format")
    if values is None or format is None or not {"name", "base", "sha256"} <= facts.keys():
        raise ModelError(f"{path} is not an adapter of fast-style", hint=hint)
    check_format(format, _FORMAT, path, ModelError)
    if values.dtype != np.float32 or values.ndim != 2 or values.shape[0] != 2:
        what = f"{values.dtype} {values.shape}"
        raise ModelError(f"{path} holds {what}, which is not a set of scales and shifts", hint=hint)
    if hashlib.sha256(values.tobytes()).hexdigest() != facts["sha256"] or not np.isfinite(values).all():
        raise ModelError(f"{path} is damaged: its content does not match its checksum", hint="Copy it again.")
    if not is_plain_name(facts["name"]):  # files are written under it
        raise ModelError(f"{path} names its style {facts['name']!r}, which is not the name of a file", hint=hint)
    try:
        card = json.loads(facts.get("card", "{}"))
    except (ValueError, RecursionError):
        card = None
    is_sound = isinstance(card, dict) and damaged_entry(card) is None
    return Adapter(facts["name"], facts["base"], values, card if is_sound else {})
