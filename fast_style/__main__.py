"""``python -m fast_style``."""

from fast_style.cli import run

run()
