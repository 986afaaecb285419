"""What ``fast-style info`` says of this machine."""

from __future__ import annotations

from typing import Any

import pytest

from fast_style.cli import main
from fast_style.cli.info import _missing, _torch_cuda
from fast_style.extras import cpu_torch_hint, install_command, windows_command
from fast_style.stylize.speed import measure_style
from fast_style.training import Estimate


def test_a_machine_is_described_with_each_network_and_a_training(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*given: Any, **more: Any) -> Any:
        return measure_style(*given, **{**more, "seconds": 0.0})

    monkeypatch.setattr("fast_style.stylize.speed.measure_style", measure)
    monkeypatch.setattr("fast_style.training.estimate_duration", lambda: Estimate(50.0, 1.0, 250))
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "cpu (starts)" in said
    rows = [line.split() for line in said.partition("640×480, one pass")[2].splitlines()[1:4]]
    assert [name for name, _, _ in rows] == ["tiny", "fast", "fine"]
    assert all(float(speed) > 0 for _, *speeds in rows for speed in speeds)
    assert said.endswith("training a style takes about 5 minutes\n")


def test_nothing_is_measured_without_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--no-benchmark"]) == 0
    said = capsys.readouterr().out
    assert "styles run on" in said
    assert "frames/s" not in said
    assert "minutes" not in said


def missing(monkeypatch: pytest.MonkeyPatch, *gpus: str, cuda: str | None = None) -> dict[str, str]:
    """What info finds missing on a machine with these GPUs and that build of torch."""
    monkeypatch.setattr("fast_style.cli.info._torch_cuda", lambda: cuda)
    return dict(_missing(gpus, ["cpu"]))


def test_nothing_is_missing_where_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(monkeypatch) == {}


def test_each_thing_that_is_missing_comes_with_the_command_that_adds_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.cli.info.is_installed", lambda extra: False)
    monkeypatch.setattr("fast_style.cli.info._gpus", list)
    assert list(missing(monkeypatch).values()) == [
        install_command("video"),
        windows_command(),
        install_command("train"),
        cpu_torch_hint(),
    ]
    assert main(["info", "--no-benchmark"]) == 0
    assert f"training needs PyTorch: {install_command('train')}\n" in capsys.readouterr().out


def test_pytorch_for_cuda_without_a_gpu_is_said_to_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    ((what, remedy),) = missing(monkeypatch, cuda="13.0").items()
    assert "several GB smaller" in what
    assert remedy == cpu_torch_hint()


def test_libraries_that_leave_a_gpu_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    remedies = missing(monkeypatch, "NVIDIA T4")
    assert [remedy.split()[-1] for remedy in remedies.values()] == ["torch", "onnxruntime-gpu"]


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    import torch

    assert _torch_cuda() == torch.version.cuda
