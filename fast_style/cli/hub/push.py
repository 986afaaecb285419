"""``fast-style hub push``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def push(
    style: str,
    repo: str,
    *,
    private: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Upload a style's ONNX file and its card to the Hugging Face hub, with a page that presents it.

    Log in before, with 'hf auth login', or set HF_TOKEN.

    Args:
        style: A shipped style, or an ONNX file that fast-style exported.
        repo: OWNER/NAME of the repository; it is made if it does not exist.
        private: Make it so that only you see it.
        force: Replace the style, and the page, if they are there.
    """
    from huggingface_hub.utils import disable_progress_bars  # needs the extra "hub"

    from fast_style.hub import push_style

    disable_progress_bars()
    pushed = push_style(style, repo, private=private, force=force)
    print(f"{pushed.address}  {', '.join(pushed.files)}")
