"""scripts/benchmark: times by a clock that is not the machine's, and what the script prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fast_style.errors import FastStyleError
from fast_style.films.frames import Frame
from fast_style.films.reader import VideoReader
from fast_style.films.video import VideoOptions
from fast_style.films.writer import VideoFormat, VideoWriter

SCRIPT = Path(__file__).parents[1] / "scripts/benchmark"


def load_script() -> Any:
    spec = spec_from_loader("benchmark", SourceFileLoader("benchmark", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


benchmark = load_script()


class Clock:
    """Passes only while a case runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.order = ""
        for name in ("perf_counter", "process_time"):
            monkeypatch.setattr(benchmark.time, name, lambda: self.now)

    def case(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds
            self.order += name

        return run


def test_cases_take_turns_after_a_first_one_that_does_not_count() -> None:
    calls = iter(range(10))
    results = benchmark.take_turns({"a": lambda: next(calls), "b": lambda: -next(calls)}, rounds=2)
    assert results == {"a": [2, 4], "b": [-3, -5]}


def test_a_short_case_is_repeated_and_a_long_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Clock(monkeypatch)
    assert benchmark.median_time(time.case("a", 0.5), seconds=0.25) == 0.5
    assert benchmark.median_time(time.case("b", 0.125), seconds=0.25) == 0.125
    assert time.order == "abb"
    assert benchmark.clock(time.case("c", 2.0)).wall == benchmark.clock(time.case("c", 2.0)).cpu == 2.0


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert benchmark.ratio([1.0, 2.0, 4.0], [4.0, 4.0, 4.0]) == 2.0


def test_a_process_is_charged_its_own_time_and_memory() -> None:
    small = benchmark.run_process([sys.executable, "-c", "pass"])
    large = benchmark.run_process([sys.executable, "-c", "b'1' * (100 << 20)"])
    assert large.memory > small.memory + 90
    assert small.cpu > 0
    assert 0 < small.wall < 60


def test_a_process_that_fails_is_an_error_that_says_what_it_said() -> None:
    with pytest.raises(FastStyleError, match="failed: no luck"):
        benchmark.run_process([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_the_networks_are_measured_without_a_command_named(tmp_path: Path, model_file: Path) -> None:
    record_file = tmp_path / "figures.json"
    command = [sys.executable, str(SCRIPT), str(model_file), "--networks", "--sizes", "64x96", "--rounds", "1"]
    done = subprocess.run([*command, "--json", str(record_file)], capture_output=True, text=True, check=True)
    record = json.loads(record_file.read_text(encoding="utf-8"))
    (row,) = [row for row in record["rows"] if row["network"] == "plain" and row["height"] == 64]
    assert row["gflops"] == pytest.approx(2e-6 * row["macs"] / row["milliseconds"], rel=1e-2)
    assert row["ratio"] is None  # johnson was not asked for
    assert "96×64  plain" in done.stdout
    assert record["machine"]["cpu"] in done.stdout


def test_a_folder_is_measured_beside_bare_sessions(photo_folder: Path, model_file: Path) -> None:
    command = [sys.executable, str(SCRIPT), "runtime", str(model_file), "--photos", str(photo_folder)]
    done = subprocess.run([*command, "--count", "2", "--rounds", "1"], capture_output=True, text=True, check=True)
    (whole,) = [line.split() for line in done.stdout.splitlines() if line.startswith("whole run")]
    assert whole[3] == whole[5] == "1.00"


def test_a_film_is_decoded_and_encoded_without_a_style(tmp_path: Path) -> None:
    form = VideoFormat(64, 48, Fraction(25), Fraction(1, 25))
    with closing(VideoWriter(tmp_path / "film.mp4", form)) as writer:
        for time in range(6):
            writer.add([np.full((48, 64), 40 * time, np.uint8)] * 3, time)
    benchmark.recode_film(tmp_path / "film.mp4", tmp_path / "same.mp4", VideoOptions(size=32, end=0.16))
    with closing(VideoReader(tmp_path / "same.mp4")) as film:
        grays = [int(item.planes[0].mean()) for item in film if isinstance(item, Frame)]
    assert (film.width, film.height) == (32, 24)
    assert np.allclose(grays, [0, 40, 80, 120], atol=2)


def test_a_frame_of_the_webcam_is_timed_from_the_camera_to_the_screen(model_file: Path) -> None:
    command = [sys.executable, str(SCRIPT), "webcam", str(model_file), "--sizes", "64", "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cells = done.stdout.splitlines()[-1].split()
    assert cells[:2] == ["64×48", "1"]
    network, frame, latency = map(float, cells[2:5])
    assert 0 < network < latency + 1  # the window shows nothing, so hardly anything is added
    assert float(cells[6]) == pytest.approx(latency / frame, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "big"], "is not a size"),
        (["none.onnx", "--networks"], "error: "),
        (["runtime", "nowhere"], "error: 'nowhere' is neither"),
    ],
)
def test_what_cannot_be_measured_is_an_error(arguments: list[str], message: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
