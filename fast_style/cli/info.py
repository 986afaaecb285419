"""``fast-style info``."""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fast_style import __version__
from fast_style.errors import FastStyleError, InputError
from fast_style.extras import install_command, is_installed, reinstall_command, windows_command
from fast_style.model import describe_model
from fast_style.model.session import PROVIDERS, core_count
from fast_style.styles.catalog import shipped_styles
from fast_style.styles.mixture import find_mixture

PACKAGES = ("numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "av", "opencv-python", "torch")

# Kept for machines; too long to read.
_LONG = ("recipe", "losses", "paintings")


def info(model: str | None = None, *, benchmark: bool = True) -> None:
    """Describe a model, or this machine: what it can run, how fast, and what is missing.

    Args:
        model: The name of a shipped style, or an ONNX file: what it says of itself, its operators and its cost.
        benchmark: Measure a style of each network, for about three seconds in all, and training, if it is
            installed, for ten more.
    """
    if model is not None:
        choice = find_mixture(model)
        if choice.weights or choice.content is not None:
            raise InputError(f"{model} is not a file", hint=f"Describe the file: fast-style info {choice.style.path}")
        _print_rows(_describe_model(choice.style.path))
        return
    gpus, providers = _gpus(), _providers()
    cores = f"{core_count()} core{'' if core_count() == 1 else 's'}"
    versions = {name: [found.version for found in metadata.distributions(name=name)] for name in PACKAGES}
    rows = [
        ("fast-style", f"{__version__}, Python {platform.python_version()}, {platform.platform()}"),
        ("processor", f"{cores}, {platform.machine()}"),
        ("GPU", ", ".join(gpus) or "none found"),
        ("styles run on", ", ".join(f"{name} {state}" for name, state in providers.items())),
        ("packages", ", ".join(f"{name} {found[0]}" for name, found in versions.items() if found)),
    ]
    _print_rows(rows)
    for what, remedy in _missing(gpus, providers):
        print(f"{what}: {remedy}")
    if benchmark:
        _print_speeds()
        if is_installed("train"):
            print(f"training a style takes about {_training_minutes():.0f} minutes")


def _print_rows(rows: Sequence[tuple[str, str]]) -> None:
    """Print what is described, in bold, and what is said of it."""
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        # Left to the window, what does not fit is still copied as one line: a path, or a checksum.
        Console().print(Text.assemble((name.ljust(width), "bold"), "  ", text), soft_wrap=True)


def _print_speeds() -> None:
    """Measure a shipped style of each network."""
    from fast_style.stylize.speed import measure_style

    firsts = {style.card.get("network"): style.path for style in reversed(shipped_styles()) if len(style.styles) == 1}
    table = Table("640×480, one pass", "live, frames/s", "file, frames/s", box=None, padding=(0, 2, 0, 0))
    for name in (network for network in ("tiny", "fast", "fine") if network in firsts):
        live, file = measure_style(firsts[name], size=(640, 480), seconds=0.8)
        table.add_row(name, f"{live:.1f}", f"{file:.1f}")
    Console().print(table)


def _training_minutes() -> float:
    """Estimate how long the default training takes."""
    from fast_style.cli.ui.training_progress import silence_lightning
    from fast_style.training import estimate_duration

    with Console(stderr=True).status("taking a few steps of a training"):
        silence_lightning()
        return estimate_duration().seconds / 60


def _missing(gpus: Sequence[str], providers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what this installation lacks, and what to do about it."""
    if not is_installed("video"):
        yield "videos need more libraries", install_command("video")
    if not is_installed("webcam"):
        yield "the webcam needs an OpenCV that opens windows", windows_command()
    if not is_installed("train"):
        smaller = "" if gpus else " (without CUDA it is several GB smaller, see docs/quickstart.md)"
        yield f"training needs PyTorch{smaller}", install_command("train")
    elif gpus and not _torch_cuda():
        yield "PyTorch is built without CUDA and leaves the GPU out", reinstall_command("torch")
    if gpus and set(providers) == {"cpu"}:
        yield "ONNX Runtime is built without CUDA and leaves the GPU out", reinstall_command("onnxruntime-gpu")


def _gpus() -> list[str]:
    """The names of NVIDIA's GPUs, as their driver lists them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _torch_cuda() -> str | None:
    """The version of CUDA that torch is built for; None for CPUs only, or without torch, which is slow to import."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    built = re.search(r"^cuda\b.*= '(.+)'", text, re.MULTILINE)
    return built[1] if built else None


def _describe_model(path: Path) -> list[tuple[str, str]]:
    """What an ONNX file says of itself, its operators and its cost; errors as of ``describe_model``."""
    description = describe_model(path)
    cost = description["cost"]
    work = f"{cost['multiplications'] / 1e9:.2f} G multiply-adds at {cost['width']}×{cost['height']}"
    rows = [
        ("file", f"{path}, {description['bytes'] / 1e6:.2f} MB"),
        ("sha256", description["sha256"]),
        *((key.replace("_", " "), text) for key, text in sorted(description["metadata"].items()) if key not in _LONG),
        *(("input", f"{name}: {signature}") for name, signature in description["inputs"].items()),
        *(("output", f"{name}: {signature}") for name, signature in description["outputs"].items()),
        ("operators", ", ".join(f"{name} {count}" for name, count in description["operators"].items())),
        ("parameters", f"{cost['parameters']:,} in convolutions"),
        ("cost", f"{work}, {cost['multiplications_per_pixel'] / 1e3:.1f} k a pixel"),
    ]
    if description["reach"] is not None:
        rows.append(("reach", f"{description['reach']} px around a pixel, given the statistics"))
    return rows


def _providers() -> dict[str, str]:
    """What became of starting each provider of this ONNX Runtime, and of running a picture on it."""
    import numpy as np
    import onnxruntime

    from fast_style.stylize.stylizer import Stylizer

    known = {provider: name for name, provider in PROVIDERS.items()}
    states: dict[str, str] = {}
    for name in (known[each] for each in onnxruntime.get_available_providers() if each in known):
        try:
            Stylizer("starry-night-tiny", device=name).frame(np.zeros((32, 32, 3), np.uint8))
            states[name] = "(starts)"
        except FastStyleError as error:
            states[name] = f"(does not start: {error})"
    return states
