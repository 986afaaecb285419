"""``fast-style export``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fast_style.errors import InputError
from fast_style.files import check_new


def export(
    checkpoint: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    io: Literal["float", "uint8"] = "float",
    size: str | None = None,
    photos: Path | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a checkpoint's network as ONNX and prove it equal.

    Args:
        checkpoint: A .ckpt file that 'fast-style train' wrote.
        out: The file; by default it stands beside the checkpoint, as NAME.onnx, NAME-int8.onnx, ….
        precision: fp16 halves the file, int8 quarters it and is faster on a CPU; both are proved against fp32.
        io: float takes and gives (N, 3, H, W) in 0 to 1, uint8 pixels (N, H, W, 3) as a camera has them.
        size: WIDTHxHEIGHT for a graph of that one size, which some runtimes need; without it, any size.
        photos: For fp16 and int8: a folder of photos, half for calibration and half for validation.
        force: Overwrite a file that exists.
    """
    from fast_style.checkpoint import load_checkpoint
    from fast_style.export import deploy, write_card  # imports torch

    variant = [precision] * (precision != "fp32") + [io] * (io != "float") + ([size] if size else [])
    written = out or checkpoint.with_name("-".join([checkpoint.stem, *variant]) + ".onnx")
    if written.suffix != ".onnx":
        raise InputError(f"{written} does not end in .onnx")
    check_new(written, force=force, hint="Give --force to overwrite it, or another -o.")
    fixed = None if size is None else _parse_size(size)
    loaded = load_checkpoint(checkpoint)
    verification, facts = deploy(loaded, written, precision=precision, io=io, size=fixed, photos=photos)
    card = write_card(loaded, written, verification, training={}, facts=facts)
    for shape, difference in verification.differences.items():
        print(f"{shape:>16}  largest difference {difference:.1e}")
    _report(facts, written.stat().st_size)
    print(f"{written}")
    print(f"{card}")


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
    if facts["precision"] == "int8":
        kept = f"; in float: {', '.join(facts['float_convolutions'])}" if facts["float_convolutions"] else ""
        print(f"8-bit: {facts['share_of_work_in_int8']:.0%} of the convolutions' multiplications{kept}")
    if "largest_level" in facts:
        print(f"pixels against the rounded float graph: at most {facts['largest_level']} level apart")
    if fidelity:
        print(f"{size / 1e6:.2f} MB (fp32 {facts['fp32_bytes'] / 1e6:.2f} MB)")
