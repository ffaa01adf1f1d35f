"""What libraries say of the files that they read: nothing, since pydicom repeats values of elements.

Public names: ``quiet_libraries``, ``quiet_pydicom``.
"""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Drop all warnings of a process of ours, and what pydicom logs; what matters of them becomes an outcome."""
    quiet_pydicom()
    warnings.simplefilter("ignore")


def quiet_pydicom() -> None:
    """Drop what pydicom says in this process, which may be somebody else's and keeps its other warnings."""
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").propagate = False  # its level pydicom sets when it is imported
