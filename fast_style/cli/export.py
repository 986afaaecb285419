"""``fast-style export``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from fast_style.cli.app import Flag, Out
from fast_style.errors import InputError
from fast_style.model.ground import Forms
from fast_style.styles.card import check_places
from fast_style.styles.mixture import Choice, find_mixture, mixture_name
from fast_style.stylize.checks import check_passes


def export(
    source: str,
    *,
    out: Out | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    io: Literal["float", "uint8"] = "float",
    size: str | None = None,
    passes: int = 1,
    strength: float = 1.0,
    ground: Forms | None = None,
    photos: Path | None = None,
    force: Flag = False,
) -> None:
    """Write a checkpoint's network, or a style, as ONNX for other programs, and prove it equal.

    Args:
        source: A .ckpt file that 'fast-style train' wrote, the name of a shipped style, an ONNX file, or a mixture
            such as starry-night:0.7,udnie:0.3, which becomes a graph that takes only the photo.
        out: The file; by default NAME.onnx, NAME-int8.onnx, … beside the checkpoint, or for a style in the current
            folder.
        precision: fp16 halves the file, int8 makes it 0.4 times as large and is faster on CPUs with VNNI; both
            are proved against fp32.
        io: float takes and returns (N, 3, H, W) in 0 to 1, uint8 pixels (N, H, W, 3) as cameras deliver them.
        size: WIDTHxHEIGHT for a graph of that one size, which some runtimes need; by default, it takes any size.
        passes: Number of passes, from coarse to fine, in which the graph paints a picture by itself, 1 to 8: one for
            a picture of about 160 px, and one more for each doubling. No side may be under 16 · 2^(passes - 1) px.
        strength: How strongly to paint in these passes, 0.25 to 4.
        ground: Forms under flat places such as skies, so that the style does not repeat one stroke there: flow,
            for strokes that turn; panes, for cells between dark lines; rings; or none. They show where a photo is
            painted in several passes. By default the style's own.
        photos: For fp16 and int8: a folder of photos, half for calibration and half for validation.
        force: Overwrite an existing file.
    """
    from fast_style.checkpoint import load_checkpoint
    from fast_style.export import deploy, rewrite_card, write_card  # imports torch

    check_passes(passes)
    choice = None if Path(source).suffix == ".ckpt" else find_mixture(source)
    variant = [precision] * (precision != "fp32") + [io] * (io != "float") + ([size] if size else [])
    variant += [f"{passes}-passes"] * (passes > 1) + [f"strength-{strength:g}"] * (strength != 1)
    variant += [f"{'no' if ground == 'none' else ground}-ground"] if ground else []
    written = out or _default_name(source, choice, variant)
    if choice is not None and not choice.weights and not variant:
        raise InputError(
            f"{source} is an ONNX file already",
            hint="Give --precision, --passes, --strength, --ground, --io or --size.",
        )
    check_places(written, force=force, inputs=[] if choice is None else [choice.style.path, *choice.others])
    place: dict[str, Any] = {"precision": precision, "io": io, "passes": passes, "strength": strength, "photos": photos}
    place |= {"ground": ground, "size": None if size is None else _parse_size(size)}
    if choice is not None:
        verification, facts = deploy(choice, written, **place)
        card = rewrite_card(choice.style, written, verification, facts=facts)
    else:
        loaded = load_checkpoint(source)
        verification, facts = deploy(loaded, written, **place)
        card = write_card(loaded, written, verification, training={}, facts=facts)
    for shape, difference in verification.differences.items():
        print(f"{shape:>16}  largest difference {difference:.1e}")
    _report(facts, written.stat().st_size)
    print(written, card, sep="\n")


def _default_name(source: str, choice: Choice | None, variant: Sequence[str]) -> Path:
    beside = Path(source)
    if choice is not None:
        beside = Path(f"{mixture_name(source)}.onnx" if choice.weights else choice.style.path.name)
    return beside.with_name("-".join([beside.stem, *variant]) + ".onnx")


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    if match is None:
        raise InputError(f"size is {text!r}; expected WIDTHxHEIGHT, such as 640x480")
    return int(match[1]), int(match[2])


def _report(facts: dict[str, Any], size: int) -> None:
    if fidelity := facts.get("fidelity"):
        print(
            f"{facts['precision']} against fp32 on {fidelity['photos']} held-out photos: {fidelity['psnr']:.1f} dB on "
            f"the worst, mean difference {fidelity['mean']:.1e}, largest {fidelity['largest']:.1e}"
        )
    if "largest_level" in facts:
        level = facts["largest_level"]
        print(f"pixels against the rounded float graph: at most {level} level{'s' * (level != 1)} apart")
    if fidelity:
        print(f"{size / 1e6:.2f} MB (fp32 {facts['fp32_bytes'] / 1e6:.2f} MB)")
