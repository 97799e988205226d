"""The progress of a run for the person who waits: a bar in a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """Shows label, share done, losses and time left; nothing where `enabled` is False."""

    def __init__(self, label: str, total: int, done: int = 0, enabled: bool = True, unit: str = "step") -> None:
        self.label, self.total, self.done, self.unit = label, total, done, unit
        self._enabled = enabled
        self._start, self._first = time.monotonic(), done
        self._last_line = self._start
        self._bar: Bar | None = None

    def __enter__(self) -> "Progress":
        if self._enabled and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, TextColumn("{task.fields[text]}"), console=Console(stderr=True))
            self._task = self._bar.add_task(self.label, total=self.total, completed=self.done, text="")
            self._bar.start()
        return self

    def update(self, done: int, figures: dict[str, float]) -> None:
        """Show that `done` of `total` steps are done, and the latest figures."""
        self.done = done
        text = "  ".join(f"{name.removeprefix('model/')} {value:.4g}" for name, value in figures.items())
        if self._bar is not None:
            self._bar.update(self._task, completed=done, text=text)
        elif self._enabled and time.monotonic() - self._last_line > 10:
            self._last_line = time.monotonic()
            pace = (self._last_line - self._start) / max(1, done - self._first)
            left = _duration(pace * (self.total - done))
            print(f"{self.label}: {self.unit} {done}/{self.total}, {left} left  {text}", file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """A sentence that stays above the bar."""
        if self._bar is not None:
            self._bar.console.print(f"[yellow]{sentence}", highlight=False)
        elif self._enabled:
            print(sentence, file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
