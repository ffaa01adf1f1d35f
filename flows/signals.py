"""Ctrl-C, SIGTERM and a terminal that is closed (SIGHUP): once stops cleanly, twice at once.

Until a run works on its chunks the first one raises ``KeyboardInterrupt`` wherever the program is (a moment later where
that is a place out of which Python raises nothing, such as ``__del__``); from then on it sets the run's flag, and the
flow comes to its end by itself, with its report. (Prefect would raise in the middle of it, and wait for tasks that
sleep before they try again.) A flow that somebody else's process runs, such as a served one, does the same from the
moment on that it works: there Prefect sends SIGTERM to cancel it, maybe more than once, and kills it when it has not
ended after half a minute.

Public names: ``take_over``, ``stopping``, ``was_pressed``, ``was_stopped``, ``leave``, ``ending``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from deidflow.flows.answers.standard_error import shout
from deidflow.flows.exit_codes import EXIT_INTERRUPTED
from deidflow.flows.own_server import stop_own_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PATIENCE_S: Final = 10.0
"""For threads that send to a Prefect server what it has not yet got."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOST: Final = signal.SIGRTMIN
"""Of this module to itself: unlike the others, one too many of it does nothing."""
_LATER_S: Final = 0.01


class _Presses:
    """What the signals of this process led to."""

    def __init__(self) -> None:
        self.taken_over = False
        self.count = 0
        self.stop: threading.Event | None = None
        self.last: threading.Event | None = None
        self.ending: int | None = None
        self.lost = self.is_dropping = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP and self.count:
            return  # the system, the shell and its end tell of one closed terminal each
        if not self.taken_over:
            self.count += 1
            if self.stop is not None:
                self.stop.set()
            return
        if self.ending is not None:
            leave(self.ending)
        self.count += 1
        if self.count > 1:
            # Not print: the first signal may have come in the middle of one. Workers end with this process.
            shout(b"stopped at once; deidflow resume goes on with a run that has begun\n")
            leave(EXIT_INTERRUPTED)
        if self.stop is None:
            raise KeyboardInterrupt
        shout(b"stopping; once more stops at once\n")
        self.stop.set()

    def handle_lost(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.lost and not self.is_dropping:
            self.lost = False
            if self.stop is None:
                raise KeyboardInterrupt


_presses: Final = _Presses()


def take_over() -> None:
    """Answer all three signals from now on, as the module says."""
    _presses.taken_over = True
    _install()
    signal.signal(_LOST, _presses.handle_lost)
    sys.unraisablehook = _raise_later


def _raise_later(lost: sys.UnraisableHookArgs) -> None:
    """Raise an interruption anew that came while a finalizer or the callback of a weak reference was at work.

    Python prints and drops what these raise, and the run would go on.
    """
    if not isinstance(lost.exc_value, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread():
        sys.__unraisablehook__(lost)
        return
    _presses.lost = _presses.is_dropping = True
    threading.Thread(target=_strike_again, args=[threading.get_ident()], daemon=True).start()
    _presses.is_dropping = False  # the last thing here: what is raised before that would be dropped, too


def _strike_again(thread: int) -> None:
    while _presses.lost:
        time.sleep(_LATER_S)
        signal.pthread_kill(thread, _LOST)


def leave(code: int) -> NoReturn:
    """End this process now, without waiting for its threads; what Prefect started ends with it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by whoever started this
            with contextlib.suppress(OSError):  # the terminal may be gone
                stream.flush()
    stop_own_server()
    pool = sys.modules.get("deidflow.tasks.core.processes.pool")  # without it there are no processes, and no folder
    if pool is not None:
        pool.remove_temporary()
    os._exit(code)


def ending(code: int) -> None:
    """Say that all is done but for Python's own end, which a lost Prefect server could hold up for hours."""
    _presses.ending = code
    patience = threading.Timer(_PATIENCE_S, leave, [code])
    patience.daemon = True
    patience.start()


def was_pressed() -> bool:
    """Whether a signal has come."""
    return _presses.count > 0


def was_stopped() -> bool:
    """Whether the last run was told to stop, by a signal or otherwise."""
    return _presses.last is not None and _presses.last.is_set()


@contextlib.contextmanager
def stopping(*, for_good: bool = False) -> Iterator[threading.Event]:
    """Give a flag that the first signal sets while the block lasts; outside the main thread nobody does.

    Args:
        for_good: Whether no signal is to interrupt what comes after the block, either: this process ends with it.

    """
    stop = threading.Event()
    _presses.last = stop
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = [(number, signal.getsignal(number)) for number in _to_answer()]
    _presses.stop = stop
    _install()  # over Prefect's
    if _presses.taken_over and _presses.count:
        stop.set()
    try:
        yield stop
    finally:
        if not for_good:
            _presses.stop = None
            for number, handler in before:
                signal.signal(number, handler)


def _install() -> None:
    for number in _to_answer():
        signal.signal(number, _presses.handle)


def _to_answer() -> list[signal.Signals]:
    """Return what is to be answered: a command under ``nohup`` is to outlive its terminal."""
    return [one for one in _SIGNALS if one != signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN]
