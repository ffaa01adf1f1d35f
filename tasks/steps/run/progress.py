"""How long work tells how far it is: a bar on a terminal, plain lines elsewhere.

Public names: ``Progress``, ``make_progress``, ``hide_progress``.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES: Final = 5.0


@dataclass
class _Step:
    """A step that is under way.

    Attributes:
        name: For people.
        total: How many things there are to do, 0 when nobody knows.
        done: How many are done.
        started: By ``time.monotonic``.

    """

    name: str
    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def rate(self, now: float) -> float:
        """Return things per second."""
        return self.done / max(now - self.started, 1e-6)

    def line(self, now: float) -> str:
        """Return how far it is."""
        if not self.done and not self.total:
            return f"{self.name} ({now - self.started:.1f} s)"
        text = f"{self.name}: {self.done}"
        if self.total:
            text += f" / {self.total}"
        text += f", {self.rate(now):,.0f}/s"
        if self.total > self.done > 0:
            text += f", {(self.total - self.done) / self.rate(now):,.0f} s left"
        return text


class Progress:
    """Progress of one step after the other, or of several side by side; its methods may be called from any thread."""

    def __init__(self) -> None:
        """Show nothing until a step starts."""
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._said = 0.0
        self._done = self._total = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what is shown."""
        self.finish()

    def start(self, name: str, total: int = 0, *, beside: bool = False) -> None:
        """Begin a step.

        Args:
            name: What is done, as a word or two.
            total: How many things there are to do, 0 when nobody knows yet.
            beside: Whether the steps that are under way go on; otherwise they are ended.

        """
        if not beside:
            self.finish()
        with self._lock:
            self._steps[name] = _Step(name, total)
            self._total += total
            self._said = time.monotonic()
            self._show(self._steps[name])

    def advance(self, count: int = 1, name: str = "") -> None:
        """Count things that are done.

        Args:
            count: How many.
            name: Of the step, the only one when left out; one that is not under way counts nothing.

        """
        with self._lock:
            step = self._steps.get(name) if name else next(iter(self._steps.values()), None)
            if step is None:
                return
            step.done += count
            self._done += count if step.total else 0
            self._show(step)
            now = time.monotonic()
            if now - self._said >= _SECONDS_BETWEEN_LINES:
                self._said = now
                self._say("; ".join(one.line(now) for one in self._steps.values()))

    def finish(self, name: str = "") -> None:
        """End the steps, or one of them."""
        with self._lock:
            for step in [step for step in self._steps.values() if name in ("", step.name)]:
                del self._steps[step.name]
                self._say(step.line(time.monotonic()))
                self._end(step)

    def share(self) -> float:
        """Return how much of all that was begun and could be counted is done, from 0 to 1."""
        with self._lock:
            return min(self._done / self._total, 1.0) if self._total else 0.0

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 (the user's terminal)

    def _show(self, step: _Step) -> None:
        """Show how far a step is, where that is redrawn."""

    def _end(self, step: _Step) -> None:
        """Show that a step has ended."""


class _Silent(Progress):
    def _say(self, line: str) -> None:
        pass


class _Bar(Progress):
    """A bar for each step, which a terminal redraws."""

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
        self._tasks: dict[str, TaskID] = {}

    def _say(self, line: str) -> None:
        pass

    def _show(self, step: _Step) -> None:
        task = self._tasks.get(step.name)
        if task is None:
            self._bar.start()
            task = self._tasks[step.name] = self._bar.add_task(step.name, total=step.total or None, rate="")
        rate = f"{step.rate(time.monotonic()):,.0f}/s" if step.done else ""
        self._bar.update(task, completed=step.done, rate=rate)

    def _end(self, step: _Step) -> None:
        task = self._tasks.pop(step.name, None)
        if task is not None:
            self._bar.update(task, total=step.done or None)

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._bar.stop()


class _Wish:
    """What the user has asked for, for the whole process."""

    quiet = False


def hide_progress() -> None:
    """Show no progress in this process from now on."""
    _Wish.quiet = True


def make_progress(*, quiet: bool = False) -> Progress:
    """Return what fits standard error: a bar on a terminal, lines every few seconds elsewhere, nothing when quiet."""
    if quiet or _Wish.quiet:
        return _Silent()
    return _Bar() if sys.stderr.isatty() else Progress()
