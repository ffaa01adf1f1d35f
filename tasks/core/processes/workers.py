"""Who does the work of a run: processes of this machine, the caller itself, or the workers of a Dask cluster.

Editing and verifying share them, so that the cores are never divided between two pools, and a chunk can be verified
while others are edited. What they are to do travels as a function of a module and one argument; what is the same for
the whole run was given to each of them before, by a ``Role``.

Public names: ``Role``, ``RoleSettings``, ``Workers``, ``Pending``, ``LocalWorkers``, ``HereWorkers``.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from deidflow.tasks.core.errors import DeidflowError, Interrupted
from deidflow.tasks.core.processes.pool import make_pool, prepare_process, stop_pool, worker_died

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ProcessPoolExecutor

_STARTS: Final = 5
"""How often processes are started for one piece of work: something may be killing them as they come."""

_PAUSE_S: Final = 0.1
"""Before processes are started for the third time and later."""

_END_S: Final = 0.5
"""For processes that have nothing to do any more: what they were at has had its time."""


class RoleSettings(Protocol):
    """What is the same for the whole run; it can be pickled."""

    def lacks(self) -> str:
        """Return what keeps this machine from the work, "" for nothing."""


class Role(NamedTuple):
    """One kind of work.

    Attributes:
        start: Called in each thread that works, before anything is submitted that needs it.
        settings: Its argument.

    """

    start: Callable[[Any], None]
    settings: RoleSettings


class Pending(Protocol):
    """A piece of work under way: what is used of ``concurrent.futures.Future``."""

    def cancel(self) -> bool:
        """Drop it if it has not begun."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for what the function returns.

        Raises:
            TimeoutError: It is not there yet.
            BrokenProcessPool: A worker died meanwhile, of this or of other work; it can be submitted again.

        """


class Workers(Protocol):
    """Takes work from any thread."""

    @property
    def count(self) -> int:
        """How many pieces of work are done at a time."""

    @property
    def is_far(self) -> bool:
        """Whether they are on other machines, so that pieces are to be smaller and files of this one are not seen."""

    def prepare(self) -> None:
        """Start what takes time to start, and do not wait for it: the caller has something else to do meanwhile.

        What goes wrong is told with the first piece of work.
        """

    def submit(self, function: Callable[[Any], Any], work: Any) -> Pending:
        """Have a function called with some work; it returns errors of the project instead of raising them.

        Raises:
            Unusable: No process can be started.
            Interrupted: They are closed.

        """

    def alone(self) -> LocalWorkers:
        """Return one process of its own for work that others died of; it is to be closed."""

    def close(self) -> None:
        """Let go of them; what has not begun is dropped."""


class LocalWorkers:
    """Processes of this machine; those that die are followed by others.

    They are started with the first piece of work, or by ``prepare``.
    """

    is_far = False

    def __init__(self, count: int, roles: Sequence[Role]) -> None:
        """Start nothing yet.

        Args:
            count: Number of processes, at least 1.
            roles: What they are to be able to do.

        """
        self.count = count
        self._roles = tuple(roles)
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self.close()

    def prepare(self) -> None:
        """See ``Workers.prepare``."""
        # Python waits for the server process, which imports what they need, before it goes on.
        threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        with contextlib.suppress(DeidflowError):
            for _ in range(self.count):
                self.submit(_do_nothing, None)

    def submit(self, function: Callable[[Any], Any], work: Any) -> Future[Any]:
        """See ``Workers.submit``."""
        with self._lock:
            if self._is_closed:
                raise Interrupted("the run was stopped")
            for start in range(_STARTS):
                if start > 1:  # a server process that was killed may not be gone yet
                    time.sleep(_PAUSE_S)
                if self._pool is None:
                    self._pool = make_pool(self.count, _start, self._roles)
                try:
                    return self._pool.submit(function, work)
                except BrokenProcessPool:  # since the last piece, or while its processes were started
                    stop_pool(self._pool, 0)
                    self._pool = None
            raise worker_died()

    def alone(self) -> LocalWorkers:
        """Return one process of its own."""
        return LocalWorkers(1, self._roles)

    def close(self) -> None:
        """End the processes; work that has not begun is dropped."""
        with self._lock:
            self._is_closed = True
            if self._pool is not None:
                stop_pool(self._pool, _END_S)
            self._pool = None


class HereWorkers:
    """The caller itself, for work that only waits for a server."""

    count = 1
    is_far = False

    def __init__(self, roles: Sequence[Role]) -> None:
        """Take what it is to be able to do."""
        self._roles = tuple(roles)

    def prepare(self) -> None:
        """Do nothing."""

    def submit(self, function: Callable[[Any], Any], work: Any) -> Future[Any]:
        """Do it at once."""
        for role in self._roles:
            role.start(role.settings)
        done: Future[Any] = Future()
        done.set_result(function(work))
        return done

    def alone(self) -> LocalWorkers:
        """Return a process of its own."""
        return LocalWorkers(1, self._roles)

    def close(self) -> None:
        """Do nothing."""


def _do_nothing(_: object) -> None:
    pass


def _start(roles: Sequence[Role]) -> None:
    """Prepare a process."""
    prepare_process()
    for role in roles:
        role.start(role.settings)
