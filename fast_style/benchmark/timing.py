"""Taking times that can be compared: all cases in one run, in turn."""

from __future__ import annotations

import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import onnxruntime

from fast_style.errors import FastStyleError
from fast_style.model import core_count

# What a fast case is repeated for in one turn, at least, s: one frame of a fast network is too short to time.
TURN_SECONDS = 0.25

# Between this process and the measured one stands a small one: the peak of a child counts the memory of its parent.
_LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(child.returncode != 0)
"""

Case = TypeVar("Case", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Attributes:
        wall: Time that passed, s. It means little where other work runs.
        cpu: User and system time of all threads, s.
        memory: The peak of a process of its own, MiB; 0.0 for work in this process.
    """

    wall: float
    cpu: float
    memory: float = 0.0


def take_turns(
    cases: Mapping[Case, Callable[[], Result]], *, rounds: int, warm_up: bool = True
) -> dict[Case, list[Result]]:
    """Run each case in every round, one after the other, so that a slower spell of the machine slows all alike.

    Args:
        cases: What to run.
        rounds: How often each gets its turn.
        warm_up: Run each once before, which does not count: it allocates and fills caches.

    Returns:
        For each case what it returned in each round.
    """
    if warm_up:
        for run in cases.values():
            run()
    found: dict[Case, list[Result]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case, run in cases.items():
            found[case].append(run())
    return found


def median_time(run: Callable[[], object], *, seconds: float = TURN_SECONDS) -> float:
    """Repeat something for so many seconds, at least once, and return its median time, s."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def clock(run: Callable[[], object]) -> Usage:
    """Run something once in this process."""
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return Usage(time.perf_counter() - start, time.process_time() - cpu)


def run_process(command: Sequence[str]) -> Usage:
    """Run a command to its end.

    Raises:
        FastStyleError: It failed; the message ends with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command], capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise FastStyleError(f"{shlex.join(command)} failed: {done.stderr}")
    wall, cpu, peak = map(float, done.stdout.split())
    # Linux counts in KiB, macOS in bytes.
    return Usage(wall, cpu, peak / (2**20 if platform.system() == "Darwin" else 2**10))


def ratio(times: Sequence[float], reference: Sequence[float]) -> float:
    """How many times as fast as the reference: the median over the rounds of their quotients."""
    return statistics.median(base / own for own, base in zip(times, reference, strict=True))


def machine_facts(threads: int) -> dict[str, str | int]:
    """Name the machine and what runs on it."""
    return {
        "cpu": _cpu_name(),
        "cores": core_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _cpu_name() -> str:
    """The processor's name as the system has it."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
