"""Original and new UIDs of a run, in a file that the verifying processes read.

Public names: ``UidMap``, ``UidKind``.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from functools import lru_cache
from typing import Final

from deidflow.tasks.core.dicom.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID


class UidKind(StrEnum):
    """What a UID names, for Orthanc, which maps equal UIDs of different kinds to different ones (reference 3.3)."""

    ANY = ""
    """The local engine makes no difference."""
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"
    """SOPInstanceUID and every other mapped UID."""


_KINDS: Final = {STUDY_INSTANCE_UID: UidKind.STUDY, SERIES_INSTANCE_UID: UidKind.SERIES}


class UidMap:
    """New UIDs of the run by kind and original, in a file that several processes read."""

    def __init__(self, path: str) -> None:
        """Open the file read-only."""
        self._connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        self.get = lru_cache(maxsize=65536)(self._get)

    def _get(self, tag: int, original: str) -> str | None:
        kinds = ("", _KINDS.get(tag, UidKind.INSTANCE))
        query = "SELECT new FROM uid WHERE kind IN (?, ?) AND original = ?"
        row = self._connection.execute(query, (*kinds, original)).fetchone()
        return row[0] if row else None
