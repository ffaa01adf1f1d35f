"""Where tests keep what is written a lot: in memory, where the machine has a folder there.

Public names: ``IN_MEMORY``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SHM: Final = Path("/dev/shm")  # noqa: S108 (private folders are made below it)

IN_MEMORY: Final = _SHM if _SHM.is_dir() else None
"""For ``dir`` of ``tempfile``; None is its own choice."""
