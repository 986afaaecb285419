"""Stopping a training: the step at hand is finished and saved, whoever asks."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytorch_lightning as pl

# What asks a training to stop: Ctrl-C, a service or batch manager, and a terminal that closes.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# Keys that are pressed several times in so many seconds, or held down, are one request.
_ONE_REQUEST = 3.0


@contextmanager
def lightning_runs() -> Iterator[dict[int, Any]]:
    """Let Ctrl-C within the block, in which a trainer fits, raise KeyboardInterrupt; give the signals that are taken.

    Lightning makes SystemExit of it, and leaves signals ignored.
    """
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    # Those that are ignored stay so, as SIGHUP is under nohup.
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    try:
        yield before
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        with suppress(ValueError):  # not in the main thread: then signals are somebody else's
            for number, handler in before.items():
                signal.signal(number, handler)


class GentleStop(pl.Callback):
    """Let the step at hand finish when asked to stop, so that the checkpoint is whole; a later Ctrl-C ends at once.

    Of several processes, all stop after the step in which one was told to, as they wait for each other.
    """

    def __init__(self) -> None:
        self.told: float | None = None
        self.numbers: list[int] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals within the block, in which the trainer fits."""
        with lightning_runs() as taken:
            self.numbers = list(taken)
            self._listen()
            yield

    def _listen(self) -> None:
        with suppress(ValueError):
            for number in self.numbers:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        if self.told is not None and number == signal.SIGINT and time.monotonic() > self.told + _ONE_REQUEST:
            raise KeyboardInterrupt
        self.told = self.told or time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take SIGTERM from Lightning, which would stop without a checkpoint."""
        self._listen()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask the other processes, too."""
        if trainer.strategy.reduce_boolean_decision(self.told is not None, all=False):
            trainer.should_stop = True


def leave_signals(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; the trainer finishes its step, and for that it needs photos."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
