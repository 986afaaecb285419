"""scripts/benchmark: times by a clock that is not the machine's, and what the script prints."""

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
from fast_style.films.writer import VideoFormat, VideoWriter
from tests.conftest import PHOTOS

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


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, words)], capture_output=True, text=True)


def test_the_networks_are_measured_without_a_command_named() -> None:
    done = run("--networks", "tiny", "--sizes", "64x96", "--rounds", "1")
    size, network, milliseconds, rate, ratio = done.stdout.splitlines()[-1].split()
    assert (size, network, float(ratio)) == ("64x96", "tiny", 1)
    assert float(rate) == pytest.approx(1000 / float(milliseconds), rel=0.1)


def test_a_photo_is_measured_beside_another_command(model_file: Path) -> None:
    done = run("photo", model_file, PHOTOS["chelsea"], "--against", "cp {photo} {out}", "--rounds", "1")
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["fast-style", "cp"]
    assert rows[0][2] == rows[0][4] == "1.00"
    assert float(rows[1][2]) > 1


def test_a_film_is_decoded_and_encoded_without_a_style(tmp_path: Path) -> None:
    form = VideoFormat(64, 48, Fraction(25), Fraction(1, 25))
    with closing(VideoWriter(tmp_path / "film.mp4", form)) as writer:
        for time in range(6):
            writer.add([np.full((48, 64), 40 * time, np.uint8)] * 3, time)
    benchmark.recode_film(tmp_path / "film.mp4", tmp_path / "same.mp4", 32, 0.16)
    with closing(VideoReader(tmp_path / "same.mp4")) as film:
        grays = [int(item.planes[0].mean()) for item in film if isinstance(item, Frame)]
    assert (film.width, film.height) == (32, 24)
    assert np.allclose(grays, [0, 40, 80, 120], atol=2)


def test_a_frame_of_the_webcam_is_timed_from_the_camera_to_the_screen(model_file: Path) -> None:
    done = run("webcam", model_file, "--sizes", "64", "--seconds", "1")
    cells = done.stdout.splitlines()[-1].split()
    assert cells[:2] == ["64×48", "1"]
    network, frame, latency = map(float, cells[2:5])
    assert 0 < network < latency + 1  # the window shows nothing, so hardly anything is added
    assert float(cells[6]) == pytest.approx(latency / frame, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "big"], "error: 'big' is not a size"),
        (["film", "nowhere", "clip.mp4"], "error: 'nowhere' is neither"),
    ],
)
def test_what_cannot_be_measured_is_an_error(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
