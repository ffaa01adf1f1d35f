"""What the runs of a folder have delivered: one SQLite file beside their run folders, made from their ledgers.

It holds nothing that is not in a ledger, but for runs whose folders were deleted: whoever deletes it loses nothing
else, and one that is damaged is made anew. Each run has a stamp of its
ledger; what has changed since is read again.

Public names: ``State``, ``KnownRun``, ``RunPlace``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from deidflow.tasks.core.errors import InvalidInput, Unusable, os_error_text, remedy_of
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.core.version import deidflow_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_VERSION: Final = 3
_BATCH: Final = 20_000

_SCHEMA: Final = f"""
PRAGMA user_version = {_VERSION};
-- Runs that were looked at. moment orders them in time; stamp tells whether the ledger has changed since; place is
-- where the results went (RunPlace); basis is what else made them so, as JSON; loaded: whether their results are here;
-- unsettled: whether an Orthanc may hold results of it that it does not know of.
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    moment TEXT NOT NULL,
    stamp TEXT NOT NULL,
    name TEXT NOT NULL,
    place TEXT NOT NULL,
    basis TEXT NOT NULL,
    loaded INTEGER NOT NULL,
    unsettled INTEGER NOT NULL
);
-- A series, and what it became under one request, whose hash tells it from others. shift: the days that a column of
-- the manifest (dates.column) moved its dates by.
CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (number),
    request TEXT NOT NULL,
    operation TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    new_patient_id TEXT NOT NULL,
    new_study_instance_uid TEXT NOT NULL,
    new_series_instance_uid TEXT NOT NULL,
    new_patient TEXT NOT NULL,
    new_study TEXT NOT NULL,
    new_series TEXT NOT NULL,
    shift INTEGER
);
CREATE INDEX pair_run ON pair (run);
CREATE INDEX pair_patient ON pair (patient);
CREATE INDEX pair_study ON pair (study);
CREATE INDEX pair_uid ON pair (study_instance_uid);
CREATE INDEX pair_new ON pair (new_patient_id);
-- size and version tell whether a source has changed since: in bytes, and the time of its last change or an Orthanc's
-- FileUuid (version_of_source); -1 and '' when unknown.
CREATE TABLE delivered (
    orthanc_id TEXT NOT NULL,
    pair INTEGER NOT NULL REFERENCES pair (id),
    sop_instance_uid TEXT NOT NULL,
    new_sop_instance_uid TEXT NOT NULL,
    new_orthanc_id TEXT NOT NULL,
    line INTEGER NOT NULL,
    size INTEGER NOT NULL DEFAULT -1,
    version TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (orthanc_id, pair)
) WITHOUT ROWID;
CREATE INDEX delivered_pair ON delivered (pair);
"""

_TO_VERSION: Final = {
    2: """
ALTER TABLE delivered ADD COLUMN size INTEGER NOT NULL DEFAULT -1;
ALTER TABLE delivered ADD COLUMN version TEXT NOT NULL DEFAULT '';
UPDATE run SET stamp = '';
""",
    3: "ALTER TABLE pair ADD COLUMN shift INTEGER; UPDATE run SET stamp = '';",
}
"""What runs delivered whose folders are gone stands nowhere else; all others are read again."""


class RunPlace(NamedTuple):
    """Where a run's results go, and whose pseudonyms they have.

    Attributes:
        name: Of its config.
        place: Engine, destination and scope, as JSON.
        basis: Profile and all else but the row's own options that results depend on, as JSON by key of the config.

    """

    name: str
    place: str
    basis: str


class KnownRun(NamedTuple):
    """A run that was looked at.

    Attributes:
        number: In the state.
        run_id: Name of its folder.
        stamp: Of its ledger at that time.
        where: See ``RunPlace``.
        is_loaded: Whether its results are in the state.
        is_unsettled: Whether an Orthanc may hold results of it that it does not know of.

    """

    number: int
    run_id: str
    stamp: str
    where: RunPlace
    is_loaded: bool
    is_unsettled: bool


class State:
    """An open state file."""

    def __init__(self, path: Path) -> None:
        """Open it; one that is not there or damaged is made anew, readable for its owner only.

        Raises:
            InvalidInput: A later version of deidflow wrote it, or it is a link: what that leads to is somebody else's.
            Unusable: It cannot be read or written.

        """
        if path.is_symlink():
            raise InvalidInput(f"must be a file of its own, not a link: {path}")
        self.path = path
        try:
            self._connection = self._opened()
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from None

    def _opened(self) -> sqlite3.Connection:
        for attempt in range(2):
            if not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_NOFOLLOW | os.O_RDWR, 0o600))
            self.path.chmod(0o600)
            is_empty = not self.path.stat().st_size
            connection = sqlite3.connect(self.path, isolation_level=None)
            is_damaged = True
            try:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if 0 < version < _VERSION:
                    steps = " ".join(_TO_VERSION[later] for later in range(version + 1, _VERSION + 1))
                    connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {_VERSION}; COMMIT;")
                    version = _VERSION
                if version > _VERSION:
                    connection.close()
                    raise InvalidInput(_of_later_version(self.path))
                if version == _VERSION:
                    connection.execute("SELECT count(*) FROM run").fetchone()
                    return connection
                if not version and is_empty:
                    connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
                    return connection
            except sqlite3.DatabaseError as error:
                if attempt:
                    connection.close()
                    raise
                # Another process has made it, or taken it over, meanwhile.
                is_damaged = not isinstance(error, sqlite3.OperationalError)
            connection.close()
            if is_damaged:
                self.path.unlink()  # it can be made again
        raise sqlite3.DatabaseError

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it; the file holds everything."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside one.

        Raises:
            Unusable: The file cannot be written.

        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from None

    def execute(self, statement: str, values: Sequence[object] = ()) -> int:
        """Change something; return the number of an entry that was added."""
        return int(self._connection.execute(statement, values).lastrowid or 0)

    def execute_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Change something many times."""
        self._connection.executemany(statement, values)

    def stream(self, query: str, values: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        """Yield what a query finds; nothing may be changed meanwhile."""
        cursor = self._connection.execute(query, values)
        while rows := cursor.fetchmany(_BATCH):
            yield from rows

    def runs(self) -> dict[str, KnownRun]:
        """Return all runs that were looked at, by their IDs."""
        rows = self._connection.execute(
            "SELECT number, run_id, stamp, name, place, basis, loaded, unsettled FROM run ORDER BY moment"
        )
        return {
            run_id: KnownRun(number, run_id, stamp, RunPlace(name, place, basis), bool(loaded), bool(unsettled))
            for number, run_id, stamp, name, place, basis, loaded, unsettled in rows
        }

    def has_anonymized(self, run: KnownRun) -> bool:
        """Whether a run has delivered results of an anonymization, which it has not taken back."""
        query = "SELECT EXISTS (SELECT 1 FROM pair WHERE run = ? AND operation = ?)"
        return bool(self._connection.execute(query, (run.number, Operation.ANONYMIZE)).fetchone()[0])

    def stamp(self, number: int, stamp: str) -> None:
        """Note how a run's ledger is known again."""
        self.execute("UPDATE run SET stamp = ? WHERE number = ?", (stamp, number))

    def move(self, number: int, place: str) -> None:
        """Note that a run's place is another one, which was found to be the same under another name."""
        self.execute("UPDATE run SET place = ? WHERE number = ?", (place, number))

    def results_of(self, number: int, most: int) -> list[str]:
        """Return Orthanc's identifiers of instances that a run delivered, the first ``most`` in their order."""
        rows = self.stream(
            "SELECT d.new_orthanc_id FROM delivered d JOIN pair p ON p.id = d.pair WHERE p.run = ?"
            " ORDER BY d.new_orthanc_id LIMIT ?",
            (number, most),
        )
        return [str(name) for (name,) in rows]

    def forget(self, run_id: str) -> None:
        """Forget a run, and what it delivered."""
        of_run = "SELECT number FROM run WHERE run_id = ?"
        pairs = f"SELECT id FROM pair WHERE run IN ({of_run})"  # noqa: S608 (constants)
        self.execute(f"DELETE FROM delivered WHERE pair IN ({pairs})", (run_id,))  # noqa: S608
        self.execute(f"DELETE FROM pair WHERE run IN ({of_run})", (run_id,))  # noqa: S608
        self.execute("DELETE FROM run WHERE run_id = ?", (run_id,))


def _of_later_version(path: Path) -> str:
    return (
        f"{path.name} beside the run folders was written by a later version of deidflow than this one "
        f"({deidflow_version()}); use that one, or move the file elsewhere: what runs have done whose folders are gone "
        "is then not known"
    )


def _unusable(path: Path, error: Exception) -> Unusable:
    remedy = "make room, or give the right to write there"
    if isinstance(error, OSError):
        return Unusable(f"{path} cannot be read or written ({os_error_text(error)}); {remedy_of(error, remedy)}")
    what = getattr(error, "sqlite_errorname", type(error).__name__)
    return Unusable(f"{path} cannot be read or written ({what}); {remedy}")
