"""How a worker process lives and dies.

Public names: ``prepare_process``, ``make_pool``, ``start_tracker``, ``remove_temporary``,
``stop_pool``, ``worker_died``.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, InvalidStateError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.errors import Unusable, os_error_text
from deidflow.tasks.core.processes.collector import relax_collector
from deidflow.tasks.core.processes.libraries import quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_PRELOADED: Final = [
    "deidflow.tasks.core.processes.orphans",
    "deidflow.tasks.local.worker",
    "deidflow.tasks.verification.verifier",
]

_MAX_TEMPORARY_BYTES: Final = 70
"""Python adds 32 to it for a socket, whose name has at most 107 (``sun_path`` of Linux)."""

_OWN_DESCRIPTORS: Final = "/proc/self/fd"
"""Where Linux gives each open folder of a process a short name, whatever its own is."""

_NO_WARNING: Final = "ignore:resource_tracker"
"""A process that was killed leaves semaphores, which the helper removes; it would say so on the terminal."""

_PATIENCE_S: Final = 1.5
"""For work that is under way when a pool is stopped; Ctrl-C is to take less than 5 s in all."""


def prepare_process() -> None:
    """Leave Ctrl-C and a closed terminal to the parent, and end when the parent ends, however it dies."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Copied from the parent, where it may be a descriptor's name, which means nothing here.
    multiprocessing.current_process()._config.pop("tempdir", None)  # type: ignore[attr-defined]  # noqa: SLF001
    quiet_libraries()
    relax_collector()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class _Process(ForkServerProcess):
    """Starts without the program's main module, which may be a script that does its work when it is imported."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (CPython's name; both are the hooks that its contexts use)
        process_obj.name = f"{_NAME}{process_obj.name}"
        return ForkServerProcess._Popen(process_obj)  # noqa: SLF001


class _Context(ForkServerContext):
    Process = _Process


_NAME: Final = "deidflow-"
_preparation_data: Final = spawn.get_preparation_data


def _without_main(name: str) -> dict[str, Any]:
    """Return what a new process is to know of its parent; for ours, not which script or module is ``__main__``."""
    data = _preparation_data(name)
    if name.startswith(_NAME):
        data.pop("init_main_from_name", None)
        data.pop("init_main_from_path", None)
    return data


# There is no public way to leave it out; the processes of others are started as before.
spawn.get_preparation_data = _without_main


class _Future(Future[Any]):
    """Takes no answer once it was dropped.

    CPython 3.11 tells all pieces of work when a process dies, meets one that was dropped, fails over it, and leaves
    those behind it waiting for ever.
    """

    def set_exception(self, exception: BaseException | None) -> None:
        """See ``Future.set_exception``."""
        with contextlib.suppress(InvalidStateError):
            super().set_exception(exception)


class _Pool(ProcessPoolExecutor):
    """Starts its processes with the first piece of work, and says in plain words why it cannot."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See ``ProcessPoolExecutor.submit``.

        Raises:
            BrokenProcessPool: A process died, or their server did while it was to start one.
            Unusable: The processes cannot be started.

        """
        try:
            with _beyond_the_terminal():
                future = super().submit(fn, *args, **kwargs)
        except (EOFError, ConnectionError):
            raise BrokenProcessPool from None
        except OSError as error:
            raise _no_processes(error) from None
        future.__class__ = _Future  # the pool makes its futures itself
        return future


@contextlib.contextmanager
def _beyond_the_terminal() -> Iterator[None]:
    """Start processes that a closed terminal (SIGHUP) does not end, in whichever thread this is.

    Python's own helpers bear Ctrl-C and SIGTERM only; without them the run that is about to stop fails at its end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_tracker() -> None:
    """Start Python's helper that removes semaphores, unless it is there; what this process starts shares it.

    Raises:
        Unusable: It cannot be started.

    """
    sys.warnoptions.append(_NO_WARNING)  # which Python gives its helper
    try:
        with _beyond_the_terminal():
            resource_tracker.ensure_running()
    except OSError as error:
        raise _no_processes(error) from None
    finally:
        sys.warnoptions.remove(_NO_WARNING)


def _no_processes(error: OSError) -> Unusable:
    folder = "a folder for temporary files (TMPDIR; its name must be short where there is no /proc)"
    needs = f"they need memory, {folder}, and a /dev/shm that can be written"
    return Unusable(f"worker processes cannot be started: {os_error_text(error)}; {needs}", error)


def make_pool(workers: int, start: Callable[..., None] = prepare_process, *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool of clean processes: the parent has threads, locks and connections that they must not copy.

    They are forked from a server process that has imported what they need, once for all pools of this process.

    Args:
        workers: Number of processes.
        start: Runs first in each of them; calls ``prepare_process``.
        arguments: Of start.

    Raises:
        Unusable: The folder for temporary files cannot be written, or the system gives no semaphores.

    """
    _shorten_temporary()
    context = _Context()
    context.set_forkserver_preload(_PRELOADED)
    start_tracker()
    try:
        return _Pool(workers, mp_context=context, initializer=start, initargs=arguments)
    except OSError as error:  # no semaphore
        raise _no_processes(error) from None


def _shorten_temporary() -> None:
    """Give Python a short name of the folder for the server process's socket, where its own is too long for one.

    Only this process connects to that socket, so a name that holds in this process alone will do. Python has no public
    way to name the folder; ``multiprocessing.util.get_temp_dir`` takes what stands here.

    Raises:
        Unusable: The folder cannot be written.

    """
    config: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    folder = tempfile.gettempdir()
    if config.get("tempdir") is not None or len(os.fsencode(folder)) <= _MAX_TEMPORARY_BYTES:
        return
    if not os.path.isdir(_OWN_DESCRIPTORS):  # noqa: PTH112 (pathlib raises where the way is barred)
        return  # on another system Python says that the name is too long
    try:
        made = tempfile.mkdtemp(prefix="pymp-")
        opened = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _no_processes(error) from None
    config["tempdir"] = f"{_OWN_DESCRIPTORS}/{opened}"
    # As Python does with a folder of its own making, after the pools have ended.
    Finalize(None, shutil.rmtree, args=(made,), kwargs={"ignore_errors": True}, exitpriority=-100)


def remove_temporary() -> None:
    """Remove the folder with the server process's socket, as Python does at its end, where that end is abrupt."""
    folder = multiprocessing.current_process()._config.get("tempdir")  # type: ignore[attr-defined]  # noqa: SLF001
    if folder is not None:
        shutil.rmtree(os.path.realpath(folder), ignore_errors=True)  # it may be named by its descriptor


def stop_pool(pool: ProcessPoolExecutor, patience_s: float = _PATIENCE_S) -> None:
    """End a pool: what waits is dropped, what is under way gets a moment and is then killed, to be done again later.

    Args:
        pool: Of ``make_pool``.
        patience_s: How long that moment is, in seconds.

    """
    processes = list((pool._processes or {}).values())  # noqa: SLF001 (the pool itself only waits, without a limit)
    pool.shutdown(wait=False, cancel_futures=True)
    end = time.monotonic() + patience_s
    running = [process.sentinel for process in processes]
    while running and time.monotonic() < end:
        for sentinel in wait(running, timeout=end - time.monotonic()):
            running.remove(sentinel)  # type: ignore[arg-type]
    for process in processes:
        if process.sentinel in running:
            process.kill()


def worker_died() -> Unusable:
    """Return the error for work that a worker process died of."""
    return Unusable("a worker process was killed (memory?); lower execution.workers")
