"""The command line: one module a verb, loaded only when that verb is called. Only here is text printed."""

from fast_style.cli.app import app, main, run

__all__ = ["app", "main", "run"]
