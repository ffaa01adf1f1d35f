"""Have many pieces of work done, so many at a time that no worker waits, and take them in order as they are done.

Public names: ``done_in_order``.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from deidflow.tasks.core.errors import Interrupted
from deidflow.tasks.core.processes.pool import worker_died

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deidflow.tasks.core.processes.workers import LocalWorkers, Pending, Workers

    Stop = Callable[[], None]

_Work = TypeVar("_Work")
_Done = TypeVar("_Done")
_POLL_S: Final = 0.2
_AHEAD_PER_WORKER: Final = 4
_TRIES_ALONE: Final = 3
"""A process that is killed may have been anybody's; one that dies of the same work each time is found out."""


def done_in_order(
    workers: Workers,
    function: Callable[[_Work], _Done],
    works: Iterable[_Work],
    *,
    stop: Stop,
    doubts: Callable[[_Done], bool],
) -> Iterator[tuple[_Work, _Done]]:
    """Yield each piece of work with what a worker made of it.

    What a worker dies of is done again in a process of its own. So is what a worker of another machine has doubts
    about: it may see files seconds later than this one.

    Args:
        workers: Who do it.
        function: Of a module, see ``Workers.submit``; doing a piece twice is the same as doing it once.
        works: Pieces; taken while the ones before are at work.
        stop: Called again and again; raises where all is to end.
        doubts: Whether something may be so only because it was done on another machine.

    Raises:
        Interrupted: The workers were closed meanwhile.
        Unusable: No process can be started, or processes die of one piece each time.

    """
    doing = _Doing(workers, function, stop, doubts)
    waiting: deque[tuple[_Work, Pending]] = deque()
    most = workers.count * _AHEAD_PER_WORKER
    try:
        for work in works:
            stop()
            waiting.append((work, workers.submit(function, work)))
            while len(waiting) >= most:
                yield doing.first(waiting)
        while waiting:
            yield doing.first(waiting)
    finally:
        for _, pending in waiting:
            pending.cancel()
        doing.close()


class _Doing(Generic[_Work, _Done]):
    """How pieces of work are waited for."""

    def __init__(
        self, workers: Workers, function: Callable[[_Work], _Done], stop: Stop, doubts: Callable[[_Done], bool]
    ) -> None:
        self._workers = workers
        self._function = function
        self._stop = stop
        self._doubts = doubts
        self._alone: LocalWorkers | None = None

    def first(self, waiting: deque[tuple[_Work, Pending]]) -> tuple[_Work, _Done]:
        """Wait for the first piece, and take it out."""
        work, pending = waiting[0]
        try:
            done: _Done = self._result(pending)
        except BrokenProcessPool:
            self._stop()  # a signal to the whole group of processes ends workers, too
            done = self._done_alone(work)
        else:
            if self._workers.is_far and self._doubts(done):
                done = self._done_alone(work)
        waiting.popleft()
        return work, done

    def _result(self, pending: Pending) -> Any:
        while True:
            try:
                return pending.result(timeout=_POLL_S)
            except NotYet:
                self._stop()
            except CancelledError:  # the workers were closed under it
                raise Interrupted("the run was stopped") from None

    def _done_alone(self, work: _Work) -> Any:
        """Do it in a process of its own, after one that had it, or something else, was killed."""
        if self._alone is None:
            self._alone = self._workers.alone()
        for _ in range(_TRIES_ALONE):
            try:
                return self._result(self._alone.submit(self._function, work))
            except BrokenProcessPool:
                self._stop()
        raise worker_died()

    def close(self) -> None:
        """End the process for pieces of doubt, if there is one."""
        if self._alone is not None:
            self._alone.close()
