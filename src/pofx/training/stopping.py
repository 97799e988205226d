"""When to stop before the end: no improvement within a look-ahead, or a signal from the user."""

import math
import signal
import threading
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any


@dataclass
class EarlyStopping:
    """Tracks a validation figure that should fall; `patience` ends after `look_ahead` epochs without improvement."""

    look_ahead: int | None
    best: float = math.inf
    best_epoch: float = 0.0

    def improved(self, figure: float, epoch: float) -> bool:
        """Take note of a new figure; whether it is the best so far."""
        if figure < self.best:
            self.best, self.best_epoch = figure, epoch
            return True
        return False

    def exhausted(self, epoch: float) -> bool:
        """Whether the look-ahead has passed without improvement."""
        return self.look_ahead is not None and epoch - self.best_epoch >= self.look_ahead


class StopRequest:
    """Within this context Ctrl-C or SIGTERM asks to stop after the present step; a second one stops at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._handle) for s in self.SIGNALS}
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()
