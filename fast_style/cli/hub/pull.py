"""``fast-style hub pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def pull(
    repo: str,
    *,
    name: str | None = None,
    revision: str | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path(),
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Download a style's ONNX file and its card from the Hugging Face hub, and keep them if they are whole.

    Args:
        repo: OWNER/NAME of the repository.
        name: Which of its styles, if it holds several.
        revision: A branch, a tag or a commit.
        out: The folder to write to.
        force: Overwrite files that exist.
    """
    from fast_style.hub import pull_style

    for path in pull_style(repo, name=name, revision=revision, folder=out, force=force):
        print(path)
