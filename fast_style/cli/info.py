"""``fast-style info``."""

from __future__ import annotations

import importlib.util
import json as json_module
import platform
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fast_style import __version__
from fast_style.cli.app import Flag
from fast_style.errors import FastStyleError
from fast_style.extras import (
    cpu_torch_hint,
    install_command,
    is_installed,
    missing_extra,
    reinstall_command,
    windows_command,
)
from fast_style.model import PROVIDERS, core_count, describe_model
from fast_style.styles.catalog import find_style, shipped_styles

NETWORKS = ("tiny", "fast", "fine")
PACKAGES = ("numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "av", "opencv-python", "torch")

# Kept for machines; too long to read.
_LONG = ("recipe", "losses", "paintings")


def info(model: str | None = None, *, benchmark: bool = True, json: Flag = False) -> None:
    """Describe a model, or this machine: what it can run, how fast, and what is missing.

    Args:
        model: The name of a shipped style, or an ONNX file: what it says of itself, its operators and its cost.
        benchmark: Measure a shipped style of each network for about three seconds, and for ten more how long a
            training takes, if that is installed.
        json: Print the report as JSON.
    """
    if model is not None:
        _print_model(find_style(model).path, json=json)
        return
    styles = _styles_to_measure()
    report = _describe_machine(next(iter(styles.values()), None))
    if not json:
        _print_machine(report)
    report["speed"] = _speeds(styles) if benchmark else {}
    if not json and report["speed"]:
        _print_speeds(report["speed"])
    minutes: float | None = None
    failure: dict[str, str] = {}
    if benchmark and report["packages"]["torch"] is not None:
        minutes, failure = _training_minutes()
        if not json and minutes is not None:
            print(f"training a style takes about {minutes:.0f} minutes")
    report |= {"training_minutes": minutes, "missing": {**dict(_missing(report)), **failure}}
    if json:
        print(json_module.dumps(report))
        return
    for what, remedy in report["missing"].items():
        print(f"{what}: {remedy}")


def _styles_to_measure() -> dict[str, Path]:
    """The first shipped style of each network."""
    shipped = [each for each in shipped_styles() if len(each.styles) == 1]
    firsts = {network: [each.path for each in shipped if each.card.get("network") == network] for network in NETWORKS}
    return {network: paths[0] for network, paths in firsts.items() if paths}


def _describe_machine(style: Path | None) -> dict[str, Any]:
    """Find out what there is to compute with."""
    return {
        "fast-style": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": core_count(),
        "gpus": _gpus(),
        "packages": {name: _version(name) for name in PACKAGES},
        "torch_cuda": _torch_cuda(),
        "providers": _providers(None if style is None else str(style)),
    }


def _print_machine(report: dict[str, Any]) -> None:
    cores = f"{report['cores']} core{'' if report['cores'] == 1 else 's'}"
    rows = [
        ("fast-style", f"{report['fast-style']}, Python {report['python']}, {report['system']}"),
        ("processor", f"{cores}, {platform.machine()}"),
        ("GPU", ", ".join(report["gpus"]) or "none found"),
        ("styles run on", ", ".join(f"{name} {state}" for name, state in report["providers"].items())),
        ("packages", ", ".join(f"{name} {version}" for name, version in report["packages"].items() if version)),
    ]
    _print_rows(rows)


def _print_rows(rows: Iterable[tuple[str, str]]) -> None:
    """Print what is described, in bold, and what is said of it."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def _speeds(styles: dict[str, Path]) -> dict[str, Any]:
    """Measure each style."""
    from fast_style.stylize.speed import measure_style

    return {name: asdict(measure_style(path, seconds=0.8)) for name, path in styles.items()}


def _print_speeds(speeds: dict[str, Any]) -> None:
    size = next(iter(speeds.values()))
    heading = f"{size['width']}×{size['height']}, one pass"
    table = Table(heading, "live, frames/s", "file, frames/s", box=None, padding=(0, 2, 0, 0))
    for name, speed in speeds.items():
        table.add_row(name, f"{speed['live']:.1f}", f"{speed['file']:.1f}")
    Console().print(table)


def _training_minutes() -> tuple[float | None, dict[str, str]]:
    """Estimate how long the default training takes, or say what is in the way, with its remedy."""
    try:
        from fast_style.cli.ui.training_progress import silence_lightning
        from fast_style.training import estimate_duration

        console = Console(stderr=True)
        with warnings.catch_warnings(), console.status("taking a few steps of a training"):
            warnings.simplefilter("ignore")  # Lightning's, about so short a training
            silence_lightning()
            return estimate_duration().seconds / 60, {}
    except FastStyleError as error:
        return None, {"training does not start": f"{error}; {error.hint}" if error.hint else str(error)}
    except ImportError as error:
        return None, {"training does not start": str(missing_extra(error) or error)}


def _missing(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what this installation lacks, and what to do about it."""
    if not is_installed("video"):
        yield "videos need more libraries", install_command("video")
    if not is_installed("webcam"):
        yield "the webcam needs an OpenCV that opens windows", windows_command()
    if report["packages"]["torch"] is None:
        yield "training needs PyTorch", install_command("train")
        if not report["gpus"]:
            yield "or PyTorch for CPUs only, several GB smaller", cpu_torch_hint()
    elif report["torch_cuda"] and not report["gpus"]:
        smaller = "the build for CPUs is several GB smaller; in a new environment"
        yield f"PyTorch is built for CUDA and there is no GPU; {smaller}", cpu_torch_hint()
    elif not report["torch_cuda"] and report["gpus"]:
        yield "PyTorch is built without CUDA and leaves the GPU out", reinstall_command("torch")
    if report["gpus"] and not report["providers"].keys() - {"cpu"}:
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


def _print_model(path: Path, *, json: bool) -> None:
    """Print what an ONNX file says of itself, its operators and its cost; errors as of ``describe_model``."""
    description = describe_model(path)
    if json:
        print(json_module.dumps(description))
        return
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
    _print_rows(rows)


def _version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    return next((found.version for found in metadata.distributions(name=package)), None)


def _providers(style: str | None) -> dict[str, str]:
    """What became of starting each provider of this ONNX Runtime, and of running a picture on it."""
    import numpy as np
    import onnxruntime

    from fast_style.stylize.stylizer import Stylizer

    known = {provider: name for name, provider in PROVIDERS.items()}
    states: dict[str, str] = {}
    for name in (known[each] for each in onnxruntime.get_available_providers() if each in known):
        states[name] = "(starts)" if style is not None else "(not tried: no style)"
        try:
            if style is not None:
                Stylizer(style, device=name).frame(np.zeros((32, 32, 3), np.uint8))
        except FastStyleError as error:
            states[name] = f"(does not start: {error})"
    return states
