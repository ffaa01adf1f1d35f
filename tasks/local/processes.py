"""How a worker process lives and dies.

Public names: ``prepare_process``, ``make_pool``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare_process() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends, however it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def make_pool(workers: int, start: Callable[..., None] = prepare_process, *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool whose processes are spawned: the parent has threads, locks and connections that they must not copy.

    Args:
        workers: Number of processes.
        start: Runs first in each of them; calls ``prepare_process``.
        arguments: Of start.

    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start, initargs=arguments)
