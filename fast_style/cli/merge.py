"""``fast-style merge``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fast_style.files import check_new
from fast_style.styles.merge import merge_styles


def merge(
    *styles: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Put several styles of one network into one ONNX file, proved equal to each of them.

    The file takes weights for its styles, and a strength if all of them learned one. Its card lies beside it.

    Args:
        styles: Shipped names, ONNX files, FILE#STYLE for one of several in a file, and STYLE+MINE.safetensors.
        out: The ONNX file.
        force: Overwrite it if it exists.
    """
    check_new(out, force=force)
    names, difference = merge_styles(list(styles), out)
    print(f"{out}  {', '.join(names)}; equal to each within {difference:.1e}")
