"""The memory of calls to an Orthanc: what was meant, what was sent, what the server answered, what may be left of it.

Public names: ``LedgerJournal``, ``add_leftovers``, ``leftovers``, ``count_leftovers``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deidflow.tasks.core.engine.protocol import Call, CallMemory, CallState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.ledger import Ledger


class LedgerJournal:
    """See ``deidflow.tasks.core.engine.protocol.Journal``; every change is on disk when its method returns."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger of the run."""
        self._ledger = ledger

    def recall(self, call: int) -> CallMemory:
        """Return what is known of a call."""
        ((state, since, job),) = self._ledger.select("SELECT state, since, job FROM call WHERE number = ?", (call,))
        sent = self._ledger.select(
            "SELECT i.orthanc_id FROM call c, json_each(c.sent) s JOIN instance i ON i.id = s.value WHERE c.number = ?",
            (call,),
        )
        return CallMemory(CallState(state), since, job, tuple(name for (name,) in sent))

    def intend(self, call: int, since: int, instances: Sequence[PlannedInstance]) -> None:
        """Note that a request is about to go out, with the server's last change before it and what it names."""
        sent = json.dumps([instance.id for instance in instances], separators=(",", ":"))
        self._set(call, CallState.INTENDED, since, sent)

    def sent(self, call: int, job: str) -> None:
        """Note the job that the request became."""
        self._ledger.execute("UPDATE call SET state = ?, job = ? WHERE number = ?", (CallState.SENT, job, call))

    def ended(self, call: int) -> None:
        """Note that all its results are recorded."""
        self._ledger.execute("UPDATE call SET state = ?, sent = '[]' WHERE number = ?", (CallState.ENDED, call))

    def together(self) -> AbstractContextManager[None]:
        """Make what is noted and recorded inside one transaction."""
        return self._ledger.transaction()

    def forget(self, call: int) -> None:
        """Note that nothing of it is left on the server."""
        with self._ledger.transaction():
            self._ledger.execute(
                "UPDATE instance SET target = NULL, new_sop_instance_uid = '', new_orthanc_id = '', evidence = '',"
                " is_there = 0, verified = ''"
                " WHERE call = ? AND outcome = ''",
                (call,),
            )
            self._set(call, CallState.PLANNED, None, "[]")

    def leave(self, call: int, names: Iterable[str]) -> None:
        """Note results that may be the call's own, or somebody else's."""
        add_leftovers(self._ledger, call, names)

    def outputs(self, call: int) -> list[str]:
        """Return the Orthanc identifiers of results that are known and are to go."""
        rows = self._ledger.select(
            "SELECT new_orthanc_id FROM instance WHERE call = ? AND outcome = '' AND new_orthanc_id <> ''", (call,)
        )
        return [name for (name,) in rows]

    def first_change(self) -> int | None:
        """Return the server's last change before the first request."""
        first: int | None = self._ledger.scalar("SELECT min(since) FROM call")
        return first

    def ended_jobs(self) -> frozenset[str]:
        """Return the jobs of calls that have ended."""
        rows = self._ledger.select("SELECT job FROM call WHERE state = ? AND job <> ''", (CallState.ENDED,))
        return frozenset(job for (job,) in rows)

    def ended_calls(self, originals: Iterable[str]) -> dict[str, Call]:
        """Return the call of each original; calls of which nothing is left on the server count as ended, too."""
        rows = self._ledger.select(
            "SELECT i.orthanc_id, i.call, m.request FROM json_each(?) o JOIN instance i ON i.orthanc_id = o.value"
            " JOIN manifest_row m ON m.line = i.line JOIN call c ON c.number = i.call WHERE c.state IN (?, ?)",
            (json.dumps(list(originals)), CallState.ENDED, CallState.PLANNED),
        )
        requests = self._ledger.requests
        return {name: Call(requests.get(request), (), call) for name, call, request in rows}

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return those that are neither originals nor results of the run."""
        rows = self._ledger.select(
            "SELECT value FROM json_each(?) EXCEPT SELECT new_orthanc_id FROM instance"
            " EXCEPT SELECT orthanc_id FROM instance",
            (json.dumps(list(names)),),
        )
        return [name for (name,) in rows]

    def _set(self, call: int, state: CallState, since: int | None, sent: str) -> None:
        self._ledger.execute(
            "UPDATE call SET state = ?, since = ?, sent = ?, job = '' WHERE number = ?", (state, since, sent, call)
        )


def add_leftovers(ledger: Ledger, call: int, names: Iterable[str]) -> None:
    """Note Orthanc identifiers of results that this call may have made; for what is noted already it takes over."""
    ledger.execute_many("INSERT OR REPLACE INTO leftover VALUES (?, ?)", [(name, call) for name in names])


def leftovers(ledger: Ledger) -> list[str]:
    """Return the Orthanc identifiers of results that may be the run's own, sorted."""
    return [name for (name,) in ledger.select("SELECT orthanc_id FROM leftover ORDER BY orthanc_id")]


def count_leftovers(ledger: Ledger) -> int:
    """Count the same."""
    return int(ledger.scalar("SELECT count(*) FROM leftover"))
