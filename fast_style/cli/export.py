"""``fast-style export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.errors import InputError


def export(
    checkpoint: Path,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a checkpoint's network as ONNX and prove it equal.

    Args:
        checkpoint: A .ckpt file that 'fast-style train' wrote.
        out: The ONNX file; by default it stands beside the checkpoint.
        force: Overwrite a file that exists.
    """
    from fast_style.training import export_checkpoint, load_checkpoint, write_card  # imports torch

    target = out or checkpoint.with_suffix(".onnx")
    if target.suffix != ".onnx":
        raise InputError(f"{target} does not end in .onnx")
    if target.exists() and not force:
        raise InputError(f"{target} exists", hint="Give --force to overwrite it, or another -o.")
    loaded = load_checkpoint(checkpoint)
    verification = export_checkpoint(loaded, target)
    card = write_card(loaded, target, verification, training={})
    for shape, difference in verification.differences.items():
        print(f"{shape:>16}  largest difference {difference:.1e}")
    print(f"{target}")
    print(f"{card}")
