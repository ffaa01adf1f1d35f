"""The ledger: one SQLite file per run that holds the plan and everything that became of it.

Reports are made from it alone; it is enough to resume, verify and report. One process writes it, at any moment.

It is prepared in a private temporary database (``Ledger.prepare``) so that nothing is created anywhere before the
plan is accepted, and then stored in the run folder in one step.

Public names: ``Ledger``, ``SCHEMA_VERSION``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from deidflow.tasks.core.errors import DeidflowError, InvalidInput, Unusable
from deidflow.tasks.core.files.private_files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SCHEMA_VERSION: Final = 3
FILE_NAME: Final = "ledger.db"

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The effective requests; rows with equal ones share an entry.
CREATE TABLE request (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (operation, body)
);

-- One entry per line of the manifest. verdict is '' until the row itself (not its instances) is not_found or invalid.
CREATE TABLE manifest_row (
    line INTEGER PRIMARY KEY,
    orthanc_id TEXT NOT NULL,
    level TEXT NOT NULL,
    operation TEXT NOT NULL,
    request INTEGER REFERENCES request (id),
    declared INTEGER,
    free TEXT NOT NULL,
    verdict TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT ''
);

-- Series of the source, with the identifiers of all levels above the instance, and whose they say they are (a JSON
-- list, see tasks/core/dicom/persons.py). A series has several entries where its instances differ in these.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    person TEXT NOT NULL DEFAULT '',
    UNIQUE (patient_id, study_instance_uid, series_instance_uid, frame_of_reference_uid, person)
);

-- What a series of the source becomes under one request.
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    UNIQUE (patient_id, study_instance_uid, series_instance_uid)
);

-- Instances of the source; after planning only those that a row names. outcome is '' while nothing is known.
-- content: what was read of the source, so that nothing else is deleted in its place: the SHA-256 of its file, or the
-- FileUuid that an Orthanc gives to what it stores; '' when no source is to be deleted.
-- evidence: the SHA-256 of the result, as it was written or found right.
-- verified: how the result as it is now was found right: '', 'identifiers' or 'full'.
-- is_there: whether something that this run made stands in the destination, whatever its outcome.
-- review: codes of tasks/core/report/review.py, joined by semicolons.
CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL,
    orthanc_id TEXT NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    line INTEGER REFERENCES manifest_row (line),
    chunk INTEGER REFERENCES chunk (number),
    call INTEGER REFERENCES call (number),
    target INTEGER REFERENCES target (id),
    new_sop_instance_uid TEXT NOT NULL DEFAULT '',
    new_orthanc_id TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    evidence TEXT NOT NULL DEFAULT '',
    content TEXT NOT NULL DEFAULT '',
    verified TEXT NOT NULL DEFAULT '',
    is_there INTEGER NOT NULL DEFAULT 0,
    sop_class_uid TEXT NOT NULL DEFAULT '',
    review TEXT NOT NULL DEFAULT ''
);

-- Further files of the source that hold the same instance, byte for byte.
CREATE TABLE copy (instance INTEGER NOT NULL REFERENCES instance (id), path BLOB NOT NULL);

CREATE TABLE chunk (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, instances INTEGER NOT NULL);

-- Calls to an Orthanc. since: the server's last change before the request went out, so that its outputs can be found
-- again; sent: the instances of that request (a JSON list of instance.id), which may be fewer than were planned; job:
-- what the server answered. A call without results is settled before it is sent again.
CREATE TABLE call (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'intended', 'sent', 'ended', 'redo')),
    since INTEGER,
    sent TEXT NOT NULL DEFAULT '[]',
    job TEXT NOT NULL DEFAULT ''
);

CREATE TABLE source_problem (path BLOB NOT NULL, code TEXT NOT NULL);
"""

# Made when what they sort is there: all at once costs a fraction of one by one.
_INDEXES: Final = {
    "instance_orthanc_id": "instance (orthanc_id)",
    "instance_series": "instance (series)",
    "series_series": "series (series)",
    "series_study": "series (study)",
    "series_patient": "series (patient)",
    "instance_line": "instance (line)",
    "instance_chunk": "instance (chunk)",
    "instance_call": "instance (call)",
}
SOURCE_INDEXES: Final = ("instance_orthanc_id", "instance_series", "series_series", "series_study", "series_patient")
ROW_INDEXES: Final = ("instance_line",)
PLAN_INDEXES: Final = ("instance_chunk", "instance_call")


class Ledger:
    """A connection to one ledger; its methods may be called from any thread of the process.

    Attributes:
        path: Of the file, None while it is prepared.

    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """Take an open connection; use ``prepare`` or ``open``."""
        self._connection = connection
        self._lock = threading.RLock()
        self.path = path

    @classmethod
    def prepare(cls) -> Self:
        """Make an empty ledger in a private temporary file that SQLite removes by itself.

        It has no indexes yet, see ``create_indexes``.
        """
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        ledger = cls(connection, None)
        ledger.set_meta("schema", SCHEMA_VERSION)
        return ledger

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the ledger of a run.

        Raises:
            InvalidInput: There is none, it is damaged, or another version of deidflow wrote it.
            Unusable: Another process uses it.

        """
        if not path.is_file():
            message = f"{path.parent}: no run folder; name the one that `deidflow run` printed"
            raise InvalidInput(message)
        if path.stat().st_size == 0:  # for SQLite an empty database, which it would begin to fill
            raise InvalidInput(_damaged(path))
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            ledger = cls(connection, path)
            ledger._protect()
            found = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            raise _unopened(error, path) from None
        except BaseException:  # Ctrl-C: or this process could not open it again
            if connection is not None:
                connection.close()
            raise
        if found is None or json.loads(found[0]) != SCHEMA_VERSION:
            ledger.close()
            message = f"{path}: was written by another version of deidflow; use that version"
            raise InvalidInput(message)
        return ledger

    def _protect(self) -> None:
        # Exclusive: one process at a time. Each transaction is on disk before it is taken for true.
        self._connection.executescript(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; COMMIT;"
        )

    def store(self, path: Path) -> Self:
        """Write a prepared ledger to its file, readable for its owner only, and return it opened there.

        Raises:
            OSError: The file cannot be written.
            Unusable: Likewise, as SQLite says it.

        """
        temporary = path.with_suffix(".part")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            self._copy_to(temporary)
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        self._connection.close()
        return self.open(path)

    def _copy_to(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as target, self._translated():
            self._connection.backup(target)
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fchmod(descriptor, 0o600)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close it; the file holds everything."""
        with self._lock:
            if self.path is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside one, on disk when the block ends, undone when it raises.

        Inside another one it is a part of that.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            with self._translated():
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._is_inside():  # SQLite takes it back by itself when the disk is full
                        self._connection.execute("ROLLBACK")
                    raise

    def _is_inside(self) -> bool:
        return self._connection.in_transaction

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Say in plain words what is wrong with the disk."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            translated = _disk_error(error, self.path)
            if translated is None:
                raise
            raise translated from None

    def execute(self, statement: str, values: Sequence[object] = ()) -> int:
        """Change something; return how many entries were changed."""
        with self._lock, self._translated():
            return self._connection.execute(statement, values).rowcount

    def execute_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Change something many times, in one transaction unless one is open."""
        with self._lock, self._translated():
            if self._connection.in_transaction:
                self._connection.executemany(statement, values)
                return
            with self.transaction():
                self._connection.executemany(statement, values)

    def select(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all entries that a query finds."""
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def scalar(self, query: str, values: Sequence[object] = ()) -> Any:
        """Return the only value that a query finds, None when there is none."""
        rows = self.select(query, values)
        return rows[0][0] if rows else None

    def stream(self, query: str, values: Sequence[object] = (), size: int = 5000) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds without holding all of it; nothing may be changed meanwhile."""
        with self._lock, self._translated():
            cursor = self._connection.execute(query, values)
            while rows := cursor.fetchmany(size):
                yield from rows

    def create_indexes(self, names: Iterable[str]) -> None:
        """Create indexes of ``SOURCE_INDEXES``, ``ROW_INDEXES`` or ``PLAN_INDEXES``, unless they are there."""
        for name in names:
            self.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {_INDEXES[name]}")

    def set_meta(self, key: str, value: object) -> None:
        """Keep a value that JSON can hold."""
        self.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value, ensure_ascii=False)))

    def meta(self, key: str, default: object = None) -> Any:
        """Return a kept value."""
        text = self.scalar("SELECT value FROM meta WHERE key = ?", (key,))
        return default if text is None else json.loads(text)


_DISK_TROUBLES: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
_DAMAGES: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def _disk_error(error: sqlite3.DatabaseError, path: Path | None) -> DeidflowError | None:
    """Return what a person should read instead of an error of SQLite; None when the disk is not to blame."""
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith(_DAMAGES) and path is not None:
        return Unusable(_damaged(path))
    if not name.startswith((*_DISK_TROUBLES, *_DAMAGES)):
        return None
    place = f"{path}" if path is not None else "the folder for temporary files (TMPDIR)"
    what = "the disk is full" if name == "SQLITE_FULL" else "is the disk full, broken, or not writable?"
    return Unusable(f"{place} cannot be read or written: {what} ({name})")


def _unopened(error: sqlite3.DatabaseError, path: Path) -> DeidflowError:
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unusable(f"{path.parent}: another deidflow is working on this run; wait until it has ended")
    if name.startswith(_DISK_TROUBLES):
        return _disk_error(error, path) or Unusable(name)
    # Also a file without our tables.
    return InvalidInput(_damaged(path))


def _damaged(path: Path) -> str:
    return f"{path}: is damaged; restore it from a backup or start a new run"
