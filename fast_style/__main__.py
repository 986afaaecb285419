"""The command ``fast-style``, also as ``python -m fast_style``."""

import sys


def start() -> None:
    """Load the command line and run it; Ctrl-C while it loads ends the process without a traceback."""
    try:
        from fast_style.cli import run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    start()
