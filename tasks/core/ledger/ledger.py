"""The ledger: one SQLite file per run that holds the plan and everything that became of it.

Reports are made from it alone; it is enough to resume, verify and report. One process writes it, at any moment.

This module is the connection: files, transactions, and what is wrong with the disk in plain words. ``execute``,
``select`` and their kin are for the other modules of this folder, which say in the words of the field what is kept and
what is found (docs/decisions/0042-ledger-interface.md).

It is prepared in a private temporary database (``Ledger.prepare``) so that nothing is created anywhere before the
plan is accepted, and then stored in the run folder in one step.

Public names: ``Ledger``, ``FILE_NAME``, ``may_have_ledger``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from deidflow.tasks.core.errors import DeidflowError, InvalidInput, Unusable
from deidflow.tasks.core.files.private_files import sync_folder
from deidflow.tasks.core.ledger.manifest_rows import RequestCache
from deidflow.tasks.core.ledger.schema import INDEXES, SCHEMA, SCHEMA_VERSION
from deidflow.tasks.core.version import deidflow_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

FILE_NAME: Final = "ledger.db"


def may_have_ledger(folder: Path) -> bool:
    """Whether a folder is that of a run, as far as this user may see: one that cannot be looked into may well be."""
    try:
        (folder / FILE_NAME).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


class Ledger:
    """A connection to one ledger; its methods may be called from any thread of the process.

    Attributes:
        path: Of the file, None while it is prepared.
        requests: The effective requests in it.

    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """Take an open connection; use ``prepare`` or ``open``."""
        self._connection = connection
        self._lock = threading.RLock()
        self.path = path
        self.requests = RequestCache(self)

    @classmethod
    def prepare(cls) -> Self:
        """Make an empty ledger in a private temporary file that SQLite removes by itself.

        It has no indexes yet, see ``create_indexes``.
        """
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + SCHEMA)
        connection.execute("INSERT INTO meta VALUES ('schema', ?)", (json.dumps(SCHEMA_VERSION),))
        return cls(connection, None)

    @classmethod
    def open(cls, path: Path, called: Path | None = None) -> Self:
        """Open the ledger of a run.

        Args:
            path: Of the file.
            called: What messages call it where it is a copy.

        Raises:
            InvalidInput: There is none, it is damaged, or another version of deidflow wrote it.
            Unusable: Another process uses it.

        """
        name = called or path
        if not path.is_file():
            message = f"{name.parent} must be a run folder; name the one that `deidflow run` printed"
            raise InvalidInput(message)
        if path.stat().st_size == 0:  # for SQLite an empty database, which it would begin to fill
            raise InvalidInput(_damaged(name))
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            ledger = cls(connection, path)
            ledger._protect()
            found = dict(
                connection.execute("SELECT key, value FROM meta WHERE key IN ('schema', 'deidflow_version')").fetchall()
            )
        except sqlite3.DatabaseError as error:
            if connection is not None:
                connection.close()
            raise _unopened(error, name) from None
        except BaseException:  # Ctrl-C: or this process could not open it again
            if connection is not None:
                connection.close()
            raise
        if found.get("schema") != json.dumps(SCHEMA_VERSION):
            ledger.close()
            raise InvalidInput(_of_another_version(name, found.get("deidflow_version")))
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
        stored = self.open(path)
        stored.requests.take_over(self.requests)
        return stored

    def passed_on(self) -> Self:
        """Return the same open ledger for the caller alone: for whoever still holds this one, it is closed."""
        with self._lock:
            passed = type(self)(self._connection, self.path)
            passed.requests.take_over(self.requests)
            self._connection = sqlite3.connect(":memory:", check_same_thread=False)
            self._connection.close()
            self.path = None
        return passed

    def _copy_to(self, path: Path) -> None:
        # It is that folder which lacks room: what is copied lies there already.
        with self._translated(path.parent), contextlib.closing(sqlite3.connect(path)) as target:
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
    def _translated(self, place: Path | None = None) -> Iterator[None]:
        """Say in plain words what is wrong with the disk, that of the ledger unless another place is named."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            translated = _disk_error(error, place or self.path)
            if translated is None:
                raise
            raise translated from None

    @property
    def changes(self) -> int:
        """How many entries were added, changed or removed since it was opened."""
        return self._connection.total_changes

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
        for rows in self.pages(query, values, size):
            yield from rows

    def pages(self, query: str, values: Sequence[object] = (), size: int = 5000) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the same so many at a time, for what is to be asked for all of them together."""
        with self._lock, self._translated():
            cursor = self._connection.execute(query, values)
            while rows := cursor.fetchmany(size):
                yield rows

    def create_indexes(self, names: Iterable[str]) -> None:
        """Create indexes of ``SOURCE_INDEXES``, ``ROW_INDEXES`` or ``PLAN_INDEXES``, unless they are there."""
        for name in names:
            self.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {INDEXES[name]}")


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
    full = OSError(errno.ENOSPC, name) if name == "SQLITE_FULL" else None
    return Unusable(f"{place} cannot be read or written: {what} ({name})", full)


def _unopened(error: sqlite3.DatabaseError, path: Path) -> DeidflowError:
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unusable(f"{path.parent}: another deidflow is working on this run; wait until it has ended")
    if name.startswith(_DISK_TROUBLES):
        return _disk_error(error, path) or Unusable(name)
    # Also a file without our tables.
    return InvalidInput(_damaged(path))


def _damaged(path: Path) -> str:
    return f"{path} is damaged; restore it from a backup or start a new run"


def _of_another_version(path: Path, version: str | None) -> str:
    """Say which version wrote a ledger; the number in it is shown only where it is one."""
    found = re.fullmatch(r'"(?:.*, )?([0-9][0-9A-Za-z.+-]{0,40})"', version or "")
    name = f"deidflow {found[1]}" if found else "another version of deidflow"
    if found and found[1] == deidflow_version():  # between two releases the tables may change, too
        name = f"another build of deidflow {found[1]}"
    return (
        f"{path} was written by {name}, whose run folders this version (deidflow {deidflow_version()}) does not read; "
        "finish, verify or report the run with the version that made it, or start a new run"
    )
