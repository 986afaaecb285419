"""The card: what an exported style is, where it comes from, how it was made and proved, as JSON beside its file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fast_style import __version__
from fast_style.checkpoint import Checkpoint
from fast_style.export.verify import Verification
from fast_style.styles import card as style_card
from fast_style.styles.catalog import Style


def training_card(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the part of the card that training decides, which is the same for every file exported from it."""
    return {
        **checkpoint.card,
        "network": checkpoint.recipe.network,
        "recipe": checkpoint.recipe.as_dict(),
        "calibrations": checkpoint.calibrations,
    }


def write_card(
    checkpoint: Checkpoint,
    model: Path,
    verification: Verification,
    *,
    training: dict[str, Any],
    facts: dict[str, Any] | None = None,
) -> Path:
    """Write ``NAME.json`` beside an ONNX file; :func:`fast_style.styles.card.read_card` reads it. Return its path.

    ``training`` has facts about the run, ``facts`` more top-level entries, such as those of a reduced precision.

    Raises:
        FileError: The card cannot be written.
    """
    return style_card.write_card(
        model,
        {
            **training_card(checkpoint),
            "training": {"steps": checkpoint.step, "losses": checkpoint.losses, **training},
            "versions": {"fast_style": __version__, "torch": torch.__version__},
            **_proof(verification),
            **(facts or {}),
        },
    )


def rewrite_card(style: Style, model: Path, verification: Verification, *, facts: dict[str, Any]) -> Path:
    """Write the card of a file that was made from a style's own: what holds for both, its own proof, and more facts.

    A verification without differences leaves the style's own. How often its pictures were chosen does not hold over
    another ground or of a mixture, and how a file of several styles was trained not of one of them.

    Raises:
        FileError: The card cannot be written.
    """
    left_out = {"measured"}
    if "ground" in facts or "weights" in facts:
        left_out.add("chosen")
    if "weights" in facts:
        left_out |= {"training", "calibrations", "imitation"}
    shared = {key: value for key, value in style.card.items() if key not in left_out}
    proof = _proof(verification) if verification.differences else {}
    return style_card.write_card(model, {"name": style.name, **shared, **proof, **facts})


def _proof(verification: Verification) -> dict[str, Any]:
    """The largest differences and the day, for a card."""
    figures = {"largest_difference": verification.largest, "by_shape": dict(verification.differences)}
    return {"verification": figures, "date": datetime.now(UTC).date().isoformat()}
