"""What ``fast-style info`` says of this machine."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from fast_style.cli import main
from fast_style.cli.info import _missing, _torch_cuda
from fast_style.extras import install_command, windows_command
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


def test_a_long_path_and_the_checksums_of_a_file_are_not_broken(
    same: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / ("long" * 40) / "[b]mine.onnx"
    path.parent.mkdir()
    path.write_bytes(same.read_bytes())
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[-1].startswith(f"{path}, ")
    assert lines[1].split() == ["sha256", hashlib.sha256(same.read_bytes()).hexdigest()]


def test_a_machine_is_described_without_shipped_styles(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.styles.catalog._PLACES", ())
    monkeypatch.setattr("fast_style.training.estimate_duration", lambda: Estimate(50.0, 1.0, 250))
    assert main(["info"]) == 0
    assert "cpu (does not start: 'starry-night-tiny' is neither" in " ".join(capsys.readouterr().out.split())


def test_nothing_is_measured_without_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--no-benchmark"]) == 0
    said = capsys.readouterr().out
    assert "styles run on" in said
    assert "frames/s" not in said
    assert "minutes" not in said


def test_nothing_is_missing_where_all_is_there() -> None:
    assert list(_missing([], ["cpu"])) == []


def test_each_thing_that_is_missing_comes_with_the_command_that_adds_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.cli.info.is_installed", lambda extra: False)
    monkeypatch.setattr("fast_style.cli.info._gpus", list)
    remedies = [remedy for _, remedy in _missing([], ["cpu"])]
    assert remedies == [install_command("video"), windows_command(), install_command("train")]
    assert main(["info", "--no-benchmark"]) == 0
    said = capsys.readouterr().out
    assert re.search(f"^training needs PyTorch .*: {re.escape(install_command('train'))}$", said, re.MULTILINE)


def test_libraries_that_leave_a_gpu_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fast_style.cli.info._torch_cuda", lambda: None)
    assert [remedy.split()[-1] for _, remedy in _missing(["NVIDIA T4"], ["cpu"])] == ["torch", "onnxruntime-gpu"]


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    import torch

    assert _torch_cuda() == torch.version.cuda
