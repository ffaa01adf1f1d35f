"""Python's garbage collector, told what a run is like.

Public names: ``relax_collector``, ``collect_aside``.
"""

from __future__ import annotations

import gc
import threading
import time
from itertools import count
from typing import Final

_THRESHOLDS: Final = (50_000, 20, 100)
"""Containers made and not freed before it looks for cycles among the young ones, and how often among the older ones."""

_YOUNG_LOOKS: Final = 12


def relax_collector() -> None:
    """Let the collector of this process leave alone what is loaded by now, and look seldom.

    A run makes many small tuples and hardly any cycles, while Prefect and pydicom hold hundreds of thousands of objects
    that the collector would look at again and again: a seventh of the time of a run, as measured with
    ``benchmarks/pipeline.py``.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def collect_aside(every_s: float = 5.0) -> None:
    """Let a thread of its own look for cycles in this process, and no other.

    For a server with SQLite. CPython 3.11 frees a cursor with the lock of its connection, and whoever meets one among
    the garbage waits while another thread works with that connection. If that is the thread of an event loop, the loop
    stands still; where the other thread waits for the database to be free, and who has it waits for the loop, that
    takes until SQLite gives up: Prefect has it wait for a minute. A thread that does nothing else may wait.

    Args:
        every_s: Seconds between two looks at the younger containers; all of them are looked at every twelfth time.

    """

    def work() -> None:
        for number in count(1):
            time.sleep(every_s)
            gc.collect(2 if number % _YOUNG_LOOKS == 0 else 1)

    gc.disable()
    threading.Thread(target=work, name="collector", daemon=True).start()
