"""Python's garbage collector, told what a run is like.

Public names: ``relax_collector``.
"""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 20, 100)
"""Containers made and not freed before it looks for cycles among the young ones, and how often among the older ones."""


def relax_collector() -> None:
    """Let the collector of this process leave alone what is loaded by now, and look seldom.

    A run makes many small tuples and hardly any cycles, while Prefect and pydicom hold hundreds of thousands of objects
    that the collector would look at again and again: a seventh of the time of a run, as measured with
    ``benchmarks/pipeline.py``.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
