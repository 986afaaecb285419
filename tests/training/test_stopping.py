"""What the signals do that ask a training to stop."""

import signal
import sys
import time

import pytest

from fast_style.training.stopping import GentleStop, lightning_runs


def test_presses_within_seconds_are_one_request_and_a_later_one_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = GentleStop()
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert stop.told is not None
        later = time.monotonic() + 5
        monkeypatch.setattr(time, "monotonic", lambda: later)
        signal.raise_signal(signal.SIGTERM)  # a manager repeats what it asked for
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_what_lightning_runs_is_ctrl_c_and_works_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)

    def end() -> None:
        with lightning_runs():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.exit(1)  # both as Lightning does

    with pytest.raises(KeyboardInterrupt):
        end()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_under_nohup_outlives_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with GentleStop().listening():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
