"""From the ledger of a run into the state: what it delivered, and under which requests.

Public names: ``ENOUGH``, ``LedgerFacts``, ``peek``, ``note_run``, ``version_of_source``, ``request_hash``,
``load_run``.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.engine.protocol import CallState
from deidflow.tasks.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.state.state import RunPlace, State

_FACTS: Final = ("name", "scope", "engine", "identity", "config", "created")
_BATCH: Final = 20_000
ENOUGH: Final = {"none": ("", "identifiers", "full"), "identifiers": ("identifiers", "full"), "full": ("full",)}
"""How results must have been verified to count as delivered, and to be given away, by the config's ``verify``."""
_HELD: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PRIMARY: Final = 0xFF
"""Of a result code of SQLite, what tells its kind."""
_NOT_OF_RESULTS: Final = ("Force", "KeepSource", "Permissive", "Priority")
"""Members of a request that change no result."""


class LedgerFacts(NamedTuple):
    """What a ledger of whatever version says of its run; the defaults of ``RunFacts`` where it does not."""

    name: str = ""
    scope: str = ""
    engine: str = "local"
    identity: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    created: str = ""


def peek(path: Path, called: Path) -> LedgerFacts | None:
    """Read whose run a ledger is of; None while somebody else has it.

    Neither its version nor its tables need be those of this one.

    Args:
        path: Of the ledger.
        called: What messages call it, since it may be a copy.

    Raises:
        InvalidInput: It cannot be read, now or later.

    """
    marks = ", ".join("?" for _ in _FACTS)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0.2)) as connection:
            rows = connection.execute(f"SELECT key, value FROM meta WHERE key IN ({marks})", _FACTS).fetchall()  # noqa: S608
        return LedgerFacts(**{key: value for key, text in rows if (value := json.loads(text)) is not None})
    except sqlite3.Error as error:
        if (getattr(error, "sqlite_errorcode", 0) & _PRIMARY) in _HELD:
            return None
        raise _unreadable(called) from None
    except (ValueError, TypeError):
        raise _unreadable(called) from None


def _unreadable(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} is damaged or cannot be read; restore it from a backup, or move its folder elsewhere")


def version_of_source(instance: str) -> str:
    """Return the SQL for what changes with the content of a source of the same size, "" when nothing is known.

    The time of the last change of a file, in nanoseconds; on an Orthanc the FileUuid.

    Args:
        instance: Alias of a table of instances.

    """
    return f"iif(length({instance}.path), CAST({instance}.mtime_ns AS TEXT), {instance}.content)"


def request_hash(basis: str, operation: str, body: str) -> str:
    """Return what tells an effective request, under all that results depend on beside it, from others.

    Args:
        basis: See ``RunPlace``.
        operation: ``anonymize`` or ``modify``.
        body: As the ledger keeps it.

    """
    members = {name: value for name, value in json.loads(body).items() if name not in _NOT_OF_RESULTS}
    return sha256(json.dumps([basis, operation, members], sort_keys=True).encode()).hexdigest()[:32]


def note_run(state: State, run_id: str, stamp: str, where: RunPlace, created: str) -> int:
    """Note that a run was looked at; return its number."""
    state.forget(run_id)
    return state.execute(
        "INSERT INTO run (run_id, moment, stamp, name, place, basis, loaded, unsettled)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
        (run_id, f"{created} {run_id}", stamp, *where),
    )


def load_run(state: State, ledger: Ledger, number: int, where: RunPlace, verify: str) -> None:
    """Bring what a run delivered into the state: what is done, and verified as its config asks.

    Args:
        state: In a transaction.
        ledger: Of the run.
        number: Of the run in the state.
        where: Of the run.
        verify: Of its config.

    """
    requests = {
        request: (request_hash(where.basis, operation, body), operation, shift)
        for request, operation, body, shift in ledger.select(
            "SELECT id, operation, body, json_extract(body, '$.shift_days') FROM request"
        )
    }
    how = ", ".join(f"'{one}'" for one in ENOUGH.get(verify, ("full",)))
    delivered = f"i.outcome = 'done' AND i.verified IN ({how}) AND i.target IS NOT NULL"
    joined = "instance i JOIN manifest_row m ON m.line = i.line"
    pairs: dict[tuple[int, int, int], int] = {}
    for request, series, target, *names in ledger.select(
        "SELECT DISTINCT m.request, i.series, i.target, s.patient_id, s.study_instance_uid, s.series_instance_uid,"  # noqa: S608 (constants)
        " s.patient, s.study, s.series, t.patient_id, t.study_instance_uid, t.series_instance_uid, t.patient, t.study,"
        f" t.series FROM {joined} JOIN series s ON s.id = i.series JOIN target t ON t.id = i.target WHERE {delivered}"
    ):
        *hashed, shift = requests[request]
        pairs[request, series, target] = state.execute(
            "INSERT INTO pair VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, *hashed, *names, shift),
        )
    instances = ledger.stream(
        "SELECT i.orthanc_id, m.request, i.series, i.target, i.sop_instance_uid, i.new_sop_instance_uid,"  # noqa: S608
        f" i.new_orthanc_id, i.line, i.size, {version_of_source('i')} FROM {joined} WHERE {delivered}"
    )
    rows = ((name, pairs[request, series, target], *rest) for name, request, series, target, *rest in instances)
    _insert(state, rows)
    unsettled = ledger.scalar(
        "SELECT EXISTS (SELECT 1 FROM call WHERE state IN (?, ?))", (CallState.INTENDED, CallState.SENT)
    )
    state.execute("UPDATE run SET unsettled = ?, loaded = 1 WHERE number = ?", (bool(unsettled), number))


def _insert(state: State, rows: Iterable[tuple[object, ...]]) -> None:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        state.execute_many("INSERT INTO delivered VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch)
