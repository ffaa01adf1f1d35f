"""What libraries say of the files that they read: nothing, since pydicom repeats values of elements.

Public names: ``quiet_libraries``.
"""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Drop the warnings of this process, and what pydicom logs; what matters of them becomes an outcome."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").propagate = False  # its level pydicom sets when it is imported
