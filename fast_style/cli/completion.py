"""``fast-style --install-completion``."""

import sys
from typing import Literal

from cyclopts import App
from cyclopts.completion import ShellDetectionError, detect_shell

from fast_style.cli.app import app
from fast_style.errors import InputError


def install_completion(*, shell: Literal["bash", "zsh", "fish", "powershell"] | None = None) -> None:
    """Let the shell complete verbs, options and styles.

    Verbs whose libraries are not installed are completed without their options; run it again after installing them.

    Args:
        shell: By default the one from which this is run.
    """
    _leave_out_missing(app)
    try:
        place = app.install_completion(shell=shell or detect_shell())
    except ShellDetectionError as error:
        raise InputError("the shell cannot be detected", hint="Give --shell bash, zsh, fish or powershell.") from error
    print(place)
    print("A new shell completes what follows fast-style.", file=sys.stderr)


def _leave_out_missing(verbs: App) -> None:
    """Replace verbs whose libraries are missing by their bare names: the shell's script is drawn from all verbs."""
    for name in [name for name in verbs if not name.startswith("-")]:
        try:
            _leave_out_missing(verbs[name])
        except ImportError:
            del verbs[name]
            verbs.command(App(name=name))
