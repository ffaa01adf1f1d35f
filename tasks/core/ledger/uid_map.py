"""Original and new UIDs of a run, in a file of its own that the verifying processes read.

The ledger belongs to one process; what others need of it travels in this file.

Public names: ``Uids``, ``UidMap``, ``CallUids``, ``UidKind``, ``write_uid_map``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from deidflow.tasks.core.dicom.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID
from deidflow.tasks.core.errors import Unusable, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    UidEntry = tuple[str, str, str]


class UidKind(StrEnum):
    """What a UID names, for Orthanc, which maps equal UIDs of different kinds to different ones (docs/orthanc.md)."""

    ANY = ""
    """The local engine makes no difference."""
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"
    """SOPInstanceUID and every other mapped UID."""


_KINDS: Final = {STUDY_INSTANCE_UID: UidKind.STUDY, SERIES_INSTANCE_UID: UidKind.SERIES}


class Uids(Protocol):
    """New UIDs of the run by kind and original."""

    def get(self, tag: int, original: str) -> str | None:
        """Return the new UID that an element is to have.

        Args:
            tag: Of the element.
            original: What it holds in the source.

        Returns:
            "" for an original of the run of whose result it is only known that it is another object; None for what is
            no original of the run.

        """


class UidMap:
    """See ``Uids``; in a file that several processes read, or in memory."""

    def __init__(self, content: str | bytes) -> None:
        """Open the file read-only.

        Args:
            content: Its path, or what it holds.

        Raises:
            Unusable: It cannot be opened.

        """
        self._folder = "" if isinstance(content, bytes) else os.path.dirname(content)  # noqa: PTH120 (a text)
        try:
            if isinstance(content, bytes):
                self._connection = sqlite3.connect(":memory:")
                self._connection.deserialize(content)
            else:
                self._connection = sqlite3.connect(f"file:{content}?mode=ro&immutable=1", uri=True)
        except sqlite3.DatabaseError:
            raise Unusable(_unreadable(self._folder)) from None
        self.get = lru_cache(maxsize=65536)(self._get)

    def _get(self, tag: int, original: str) -> str | None:
        """See ``Uids.get``.

        Raises:
            Unusable: The file cannot be read.

        """
        kinds = ("", _KINDS.get(tag, UidKind.INSTANCE))
        query = "SELECT new FROM uid WHERE kind IN (?, ?) AND original = ?"
        try:
            row = self._connection.execute(query, (*kinds, original)).fetchone()
        except sqlite3.DatabaseError:
            raise Unusable(_unreadable(self._folder)) from None
        return row[0] if row else None


class CallUids:
    """See ``Uids``: what a call to an Orthanc knew, before what is known of the whole run."""

    def __init__(self, pairs: Iterable[tuple[str, str, str]], run: Uids) -> None:
        """Take both.

        Args:
            pairs: Kind, original and new UID; of several for one kind and original the first counts.
            run: Of the whole run.

        """
        self._pairs: dict[tuple[str, str], str] = {}
        for kind, original, new in pairs:
            self._pairs.setdefault((kind, original), new)
        self._run = run

    def get(self, tag: int, original: str) -> str | None:
        """See ``Uids.get``."""
        known = self._pairs.get((_KINDS.get(tag, UidKind.INSTANCE), original))
        return self._run.get(tag, original) if known is None else known


def write_uid_map(path: Path, entries: Iterable[UidEntry]) -> None:
    """Write the file, readable for its owner only.

    Args:
        path: Where nothing stands.
        entries: Kind, original and new UID; of several for one kind and original the first counts.

    Raises:
        Unusable: It cannot be made or written.

    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise Unusable(f"the run folder {path.parent} cannot be written: {os_error_text(error)}", error) from None
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(
                "CREATE TABLE uid (kind TEXT, original TEXT, new TEXT NOT NULL, PRIMARY KEY (original, kind))"
                " WITHOUT ROWID"
            )
            connection.executemany("INSERT OR IGNORE INTO uid VALUES (?, ?, ?)", entries)
    except sqlite3.DatabaseError:
        raise Unusable(_unreadable(path.parent)) from None


def _unreadable(folder: Path | str) -> str:
    return f"the run folder {folder} cannot be read or written: is the disk full, broken, or not writable?"
