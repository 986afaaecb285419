"""``fast-style info``."""

from __future__ import annotations

import json as json_module
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from fast_style import __version__
from fast_style.errors import FastStyleError
from fast_style.model import PROVIDERS, core_count, describe_model
from fast_style.styles.catalog import find_style, shipped_styles

PACKAGES = ("numpy", "pillow", "onnxruntime", "onnxruntime-gpu", "av", "opencv-python", "torch")

# Kept for machines; too long to read.
_LONG = ("recipe", "losses", "paintings")


def info(
    model: str | None = None,
    *,
    style: Annotated[str | None, Parameter(name=["--style", "-s"])] = None,
    benchmark: bool = True,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Describe a model; or, without one, this machine: versions, devices that start, cores, frames a second.

    Args:
        model: The name of a shipped style, or an ONNX file: what it says of itself, its operators and its cost.
        style: What to measure with; by default the first shipped one.
        benchmark: Measure for about ten seconds.
        json: Print it for machines.
    """
    if model is not None:
        _print_model(find_style(model).path, json=json)
        return
    names = [each.name for each in shipped_styles()]
    chosen = find_style(style) if style is not None else find_style(names[0]) if names else None
    report: dict[str, Any] = {
        "fast-style": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": core_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "providers": _providers(None if chosen is None else str(chosen.path)),
        "style": None if chosen is None else chosen.name,
        "speed": None,
    }
    if not json:
        for key in ("fast-style", "python", "system", "cores"):
            print(f"{key:<12} {report[key]}")
        for name, state in {**report["packages"], **report["providers"]}.items():
            print(f"{name:<12} {state or 'not installed'}")
    if chosen is None:
        if not json:
            print("no style to measure with; give one with --style", file=sys.stderr)
    elif benchmark:
        from fast_style.stylize.speed import measure_style

        speeds = measure_style(chosen.path)
        report["speed"] = [asdict(speed) for speed in speeds]
        if not json:
            table = Table(chosen.name, "live, frames/s", "file, frames/s", box=None)
            for speed in speeds:
                table.add_row(f"{speed.name} {speed.width}×{speed.height}", f"{speed.live:.1f}", f"{speed.file:.1f}")
            Console().print(table)
    if json:
        print(json_module.dumps(report))


def _print_model(path: Path, *, json: bool) -> None:
    """Print what an ONNX file says of itself, its operators and its cost; errors as of ``describe_model``."""
    description = describe_model(path)
    if json:
        print(json_module.dumps(description))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", f"{path}, {description['bytes'] / 1e6:.2f} MB")
    table.add_row("sha256", description["sha256"])
    for key, value in sorted(description["metadata"].items()):
        if key not in _LONG:
            table.add_row(key.replace("_", " "), value)
    for kind in ("input", "output"):
        for name, signature in description[f"{kind}s"].items():
            table.add_row(kind, f"{name}: {signature}")
    table.add_row("operators", ", ".join(f"{name} {count}" for name, count in description["operators"].items()))
    cost = description["cost"]
    table.add_row("parameters", f"{cost['parameters']:,} in convolutions")
    table.add_row(
        "cost",
        f"{cost['multiplications'] / 1e9:.2f} G multiply-adds at {cost['width']}×{cost['height']}, "
        f"{cost['multiplications_per_pixel'] / 1e3:.1f} k a pixel",
    )
    if description["reach"] is not None:
        table.add_row("reach", f"{description['reach']} px around a pixel, given the statistics")
    Console(markup=False, highlight=False).print(table)


def _version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _providers(style: str | None) -> dict[str, str]:
    """What became of starting each provider that this ONNX Runtime has, and of running a picture on it."""
    import numpy as np
    import onnxruntime

    from fast_style.stylize.stylizer import Stylizer

    known = {provider: name for name, provider in PROVIDERS.items()}
    states: dict[str, str] = {}
    for provider in onnxruntime.get_available_providers():
        name = known.get(provider)
        if name is None:
            states[provider] = "not used by fast-style"
        elif style is None:
            states[name] = "not tried: no style"
        else:
            try:
                Stylizer(style, device=name).frame(np.zeros((32, 32, 3), np.uint8))
                states[name] = "starts"
            except FastStyleError as error:
                states[name] = f"does not start: {error}"
    return states
