"""Several styles put into one ONNX file, without torch."""

from pathlib import Path

import numpy as np

from fast_style.errors import InputError, VerificationError
from fast_style.files import replacing
from fast_style.images.arrays import example_image
from fast_style.model.editing import parse_model, read_metadata
from fast_style.model.opening import INPUT, OUTPUT
from fast_style.model.session import open_session
from fast_style.model.table import STYLES, choose_styles, with_metadata
from fast_style.styles.card import write_card
from fast_style.styles.mixture import find_mixture, join_styles

# Largest difference allowed between pictures, in [0, 1].
TOLERANCE = 1e-4


def merge_styles(styles: list[str], out: Path) -> tuple[tuple[str, ...], float]:
    """Write one file of several styles of one network, and its card; no file is left if the proof fails.

    Args:
        styles: See :func:`fast_style.styles.mixture.find_mixture`; without weights.
        out: The ONNX file; its card is ``NAME.json`` beside it.

    Returns:
        Names of its styles, and the largest difference from one of them by itself, in [0, 1].

    Raises:
        StyleNotFoundError: There is no such style.
        InputError: Fewer than two styles, or their convolutions, first passes, strengths or grounds differ.
        ModelError: A file is damaged, or fast-style did not export it.
        VerificationError: The file differs from one of its styles.
        FileError: It cannot be written.
    """
    if len(styles) < 2:
        raise InputError(f"expected two or more styles, not {len(styles)}", hint="Such as ten#udnie ten#the-scream.")
    joined = join_styles(styles, as_they_are=True)
    strengths = set(joined.strengths.values())
    if len(strengths) > 1:
        known = ", ".join(f"{name} has {strength:g}" for name, strength in joined.strengths.items())
        raise InputError(f"the styles cannot be merged: a file has one strength of its own, but {known}")
    if len(set(joined.grounds.values())) > 1:
        known = ", ".join(f"{name} has {ground}" for name, ground in joined.grounds.items())
        raise InputError(
            f"the styles cannot be merged: a file has one ground, but {known}",
            hint="Export them with the same --ground first.",
        )
    content = with_metadata(joined.graph(strengths.pop()), {"name": out.stem, "recipe": None, "losses": None})
    difference = _difference(content, styles)
    with replacing(out) as partial:
        partial.write_bytes(content)
    facts = {"name": out.stem, "styles": list(joined.sets), "paintings": joined.paintings}
    network = read_metadata(parse_model(content)).get("network", "")
    write_card(out, {**facts, "network": network, "verification": {"largest_difference": difference}})
    return tuple(joined.sets), difference


def _difference(content: bytes, styles: list[str]) -> float:
    """Compare each style of a merged file with the graph that it has by itself."""
    session = open_session(content)
    image = example_image(2, 61, 83)
    largest = 0.0
    for style, row in zip(styles, np.eye(len(styles), dtype=np.float32), strict=True):
        (merged,) = session.run([OUTPUT], {INPUT: image, STYLES: row[None]})
        choice = find_mixture(style)
        alone = choose_styles(choice.read(), choice.weights) if choice.weights else choice.read()
        (expected,) = open_session(alone).run([OUTPUT], {INPUT: image})
        largest = max(largest, float(np.abs(merged - expected).max()))
    # Written so that a NaN fails.
    if not largest <= TOLERANCE:
        raise VerificationError(f"the merged file differs from its styles by up to {largest:.1e}")
    return largest
