"""How long work tells how far it is: a bar on a terminal, plain lines elsewhere.

Public names: ``Progress``, ``make_progress``.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES: Final = 5.0


class Progress:
    """Progress of one step after the other; its methods may be called from any thread."""

    def __init__(self) -> None:
        """Show nothing until a step starts."""
        self._lock = threading.Lock()
        self._name = ""
        self._total = self._done = 0
        self._started = self._said = 0.0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what is shown."""
        self.finish()

    def start(self, name: str, total: int = 0) -> None:
        """Begin a step.

        Args:
            name: What is done, as a word or two.
            total: How many things there are to do, 0 when nobody knows yet.

        """
        self.finish()
        with self._lock:
            self._name, self._total, self._done = name, total, 0
            self._started = self._said = time.monotonic()

    def advance(self, count: int = 1) -> None:
        """Count things that are done."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._said >= _SECONDS_BETWEEN_LINES:
                self._said = now
                self._say(self._line(now))

    def finish(self) -> None:
        """End the step."""
        with self._lock:
            if self._name:
                self._say(self._line(time.monotonic()))
            self._name = ""

    def _line(self, now: float) -> str:
        if not self._done and not self._total:
            return f"{self._name} ({now - self._started:.1f} s)"
        seconds = max(now - self._started, 1e-6)
        rate = self._done / seconds
        text = f"{self._name}: {self._done}"
        if self._total:
            text += f" / {self._total}"
        text += f", {rate:,.0f}/s"
        if self._total > self._done > 0:
            text += f", {(self._total - self._done) / rate:,.0f} s left"
        return text

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 (the user's terminal)


class _Silent(Progress):
    def _say(self, line: str) -> None:
        pass


class _Bar(Progress):
    """A bar that a terminal redraws."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def start(self, name: str, total: int = 0) -> None:
        super().start(name, total)
        self._bar.start()
        self._task = self._bar.add_task(name, total=total or None, rate="")

    def advance(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
            if self._task is not None:
                rate = self._done / max(time.monotonic() - self._started, 1e-6)
                self._bar.update(self._task, advance=count, rate=f"{rate:,.0f}/s")

    def finish(self) -> None:
        with self._lock:
            if self._task is not None:
                self._bar.update(self._task, total=self._done or None)
            self._task = None
            self._name = ""

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._bar.stop()


def make_progress(*, quiet: bool = False) -> Progress:
    """Return what fits standard error: a bar on a terminal, lines every few seconds elsewhere, nothing when quiet."""
    if quiet:
        return _Silent()
    return _Bar() if sys.stderr.isatty() else Progress()
