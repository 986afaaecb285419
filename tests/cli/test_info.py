"""What ``fast-style info`` says of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fast_style.cli import main
from fast_style.cli.info import _speeds, _torch_cuda
from fast_style.extras import cpu_torch_hint, install_command, windows_command
from fast_style.model import core_count
from fast_style.training import Estimate

SPEED = {"width": 640, "height": 480, "live": 12.5, "file": 25.0}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing: a frame takes what a test says, and a training 300 s."""
    monkeypatch.setattr("fast_style.cli.info._speeds", lambda styles: dict.fromkeys(styles, SPEED))
    monkeypatch.setattr("fast_style.training.estimate_duration", lambda: Estimate(50.0, 1.0, 250))


def machine(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert main(["info", "--json", *options]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.mark.usefixtures("quick")
def test_a_machine_is_described_with_each_network_and_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    report = machine(capsys)
    assert report["cores"] == core_count()
    assert report["providers"]["cpu"] == "(starts)"
    assert list(report["speed"]) == ["tiny", "fast", "fine"]
    assert report["training_minutes"] == 5.0
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "640×480, one pass" in said
    assert "training a style takes about 5 minutes" in said


def test_a_style_is_measured_live_and_as_a_file(model_file: Path) -> None:
    (speed,) = _speeds({"plain": model_file}).values()
    assert (speed["width"], speed["height"]) == (640, 480)
    assert speed["live"] > 0
    assert speed["file"] > 0


def test_nothing_is_measured_without_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    report = machine(capsys, "--no-benchmark")
    assert (report["speed"], report["training_minutes"]) == ({}, None)


def missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **found: Any) -> dict[str, str]:
    """What info finds missing where the machine has what is said."""
    for name, value in {"_gpus": [], "_torch_cuda": None, **found}.items():
        monkeypatch.setattr(f"fast_style.cli.info.{name}", lambda *_given, value=value: value)
    remedies: dict[str, str] = machine(capsys, "--no-benchmark")["missing"]
    return remedies


def test_nothing_is_missing_where_all_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing(capsys, monkeypatch) == {}


def test_each_thing_that_is_missing_comes_with_the_command_that_adds_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.cli.info.is_installed", lambda extra: False)
    remedies = missing(capsys, monkeypatch, _version=None)
    assert list(remedies.values()) == [
        install_command("video"),
        windows_command(),
        install_command("train"),
        cpu_torch_hint(),
    ]
    assert main(["info", "--no-benchmark"]) == 0
    assert f"training needs PyTorch: {install_command('train')}\n" in capsys.readouterr().out


def test_pytorch_for_cuda_without_a_gpu_is_said_to_be_too_large(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ((what, remedy),) = missing(capsys, monkeypatch, _torch_cuda="13.0").items()
    assert "several GB smaller" in what
    assert remedy == cpu_torch_hint()


def test_libraries_that_leave_a_gpu_out_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remedies = missing(capsys, monkeypatch, _gpus=["NVIDIA T4"], _providers={"cpu": "(starts)"})
    assert [remedy.split()[-1] for remedy in remedies.values()] == ["torch", "onnxruntime-gpu"]


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    import torch

    assert _torch_cuda() == torch.version.cuda
