"""Measuring speed: cases in turn, ratios of their times, processes and their memory, a style on this machine."""

from fast_style.benchmark.style import Speed, measure_style
from fast_style.benchmark.timing import Usage, clock, machine_facts, median_time, ratio, run_process, take_turns

__all__ = [
    "Speed",
    "Usage",
    "clock",
    "machine_facts",
    "measure_style",
    "median_time",
    "ratio",
    "run_process",
    "take_turns",
]
