"""Where a folder is mounted: a share that is not leaves an empty folder on another disk, or none.

Public names: ``mount_of``, ``is_empty``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.files.locks import LOCK_FILE

if TYPE_CHECKING:
    from pathlib import Path


def mount_of(folder: Path) -> str:
    """Return where the file system is mounted that a folder lies on, or would if it were made."""
    place = os.path.realpath(folder)
    while not os.path.ismount(place) and (above := os.path.dirname(place)) != place:  # noqa: PTH120 (as the others)
        place = above
    return place


def is_empty(folder: Path) -> bool:
    """Whether nothing but a lock is in a folder, or it is not there; False where nobody can tell."""
    try:
        with os.scandir(folder) as entries:
            return all(entry.name == LOCK_FILE for entry in entries)
    except FileNotFoundError:
        return True
    except OSError:
        return False
