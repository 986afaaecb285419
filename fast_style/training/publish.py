"""After the last step: the averaged network exported and proved equal, and its card written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fast_style.adapters import SUFFIX, Adapter, save_adapter
from fast_style.checkpoint import load_checkpoint
from fast_style.export import Verification, export_checkpoint, write_card
from fast_style.export.card import training_card
from fast_style.graph import base_checksum, read_checked, read_sets
from fast_style.training.fit import Fitted


@dataclass(frozen=True)
class Outcome:
    """What a run left.

    Attributes:
        checkpoint: ``OUT/NAME.ckpt``.
        model: ``OUT/NAME.onnx``, or None if the run was interrupted.
        card: ``OUT/NAME.json``, or None if the run was interrupted.
        step: Steps done.
        skipped: Photos that could not be used.
        verification: Verification of the ONNX file, or None if the run was interrupted.
        adapter: ``OUT/NAME.safetensors``, if only an adapter was tuned and the run was not interrupted.
    """

    checkpoint: Path
    model: Path | None
    card: Path | None
    step: int
    skipped: tuple[str, ...]
    verification: Verification | None
    adapter: Path | None = None


def publish(fitted: Fitted) -> Outcome:
    """Write the ONNX file and the card beside the checkpoint, and the adapter, if only that was tuned.

    Raises:
        CheckpointError: The checkpoint is missing or damaged.
        ExportError: The ONNX file could not be made, or was not equal.
        FileError: A file could not be written.
    """
    checkpoint = load_checkpoint(fitted.checkpoint)
    model = fitted.checkpoint.with_suffix(".onnx")
    verification = export_checkpoint(checkpoint, model)
    facts = {
        "photos": fitted.photos,
        "seconds_of_this_run": round(fitted.seconds),
        "skipped": len(fitted.skipped),
    }
    card = write_card(checkpoint, model, verification, training=facts)
    adapter = None
    if checkpoint.recipe.tune == "adapter" and "styles" not in checkpoint.card:
        adapter, content = model.with_suffix(SUFFIX), read_checked(model)
        (values,) = read_sets(content).values()
        save_adapter(Adapter(model.stem, base_checksum(content), values, training_card(checkpoint)), adapter)
    return Outcome(fitted.checkpoint, model, card, fitted.step, fitted.skipped, verification, adapter)
