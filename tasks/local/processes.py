"""How a worker process lives and dies.

Public names: ``prepare_process``, ``make_pool``.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


_PRELOADED: Final = ["__main__", "tasks.local.worker", "tasks.local.verifier"]


def prepare_process() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends, however it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # pydicom logs each text that does not fit its character set; what matters of that becomes an outcome.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def make_pool(workers: int, start: Callable[..., None] = prepare_process, *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool of clean processes: the parent has threads, locks and connections that they must not copy.

    They are forked from a server process that has imported what they need, once for all pools of this process.

    Args:
        workers: Number of processes.
        start: Runs first in each of them; calls ``prepare_process``.
        arguments: Of start.

    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=arguments)
