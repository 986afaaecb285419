"""Times by a clock that is not the machine's; processes that take what is known."""

import sys
from collections.abc import Callable

import pytest

from fast_style.benchmark import clock, median_time, ratio, run_process, take_turns
from fast_style.errors import FastStyleError


class Clock:
    """Passes only while a case runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.order = ""
        for name in ("perf_counter", "process_time"):
            monkeypatch.setattr(f"fast_style.benchmark.timing.time.{name}", lambda: self.now)

    def case(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds
            self.order += name

        return run


def test_cases_take_turns_after_a_first_one_that_does_not_count() -> None:
    calls = iter(range(10))
    found = take_turns({"a": lambda: next(calls), "b": lambda: -next(calls)}, rounds=2)
    assert found == {"a": [2, 4], "b": [-3, -5]}


def test_a_short_case_is_repeated_and_a_long_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    time = Clock(monkeypatch)
    assert median_time(time.case("a", 0.5), seconds=0.25) == 0.5
    assert median_time(time.case("b", 0.125), seconds=0.25) == 0.125
    assert time.order == "abb"
    assert clock(time.case("c", 2.0)).wall == clock(time.case("c", 2.0)).cpu == 2.0


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert ratio([1.0, 2.0, 4.0], [4.0, 4.0, 4.0]) == 2.0


def test_a_process_is_charged_its_own_time_and_memory() -> None:
    small = run_process([sys.executable, "-c", "pass"])
    large = run_process([sys.executable, "-c", "b'1' * (100 << 20)"])
    assert large.memory > small.memory + 90
    assert small.cpu > 0
    assert 0 < small.wall < 60


def test_a_process_that_fails_is_an_error_that_says_what_it_said() -> None:
    with pytest.raises(FastStyleError, match="failed: no luck"):
        run_process([sys.executable, "-c", "raise SystemExit('no luck')"])
