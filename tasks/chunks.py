"""One chunk of a run: give it to the engine, and write what became of it into the ledger.

Public names: ``open_chunks``, ``instances_to_do``, ``reset_unfinished``, ``apply_chunk``, ``give_up``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.core.engine import CallState
from tasks.core.errors import DeidflowError, Interrupted, TransientError
from tasks.core.identifiers import Level
from tasks.core.outcomes import Outcome, ReasonCode, reason_text
from tasks.core.plan_intake import RequestCache
from tasks.core.planner import chunk_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.core.engine import Engine, InstanceResult
    from tasks.core.ledger import Ledger
    from tasks.progress import Progress
    from tasks.run_folder import Run


def open_chunks(ledger: Ledger) -> list[int]:
    """Return the numbers of the chunks that hold something to do, in order."""
    return [
        number
        for (number,) in ledger.select(
            "SELECT DISTINCT chunk FROM instance WHERE chunk IS NOT NULL AND outcome = '' ORDER BY chunk"
        )
    ]


def instances_to_do(ledger: Ledger) -> int:
    """Return how many instances are still to be done."""
    return int(ledger.scalar("SELECT count(*) FROM instance WHERE chunk IS NOT NULL AND outcome = ''"))


def reset_unfinished(ledger: Ledger) -> None:
    """Give everything that is not done another try; what no try can mend (collisions) has no chunk and stays.

    A call to an Orthanc that generates identifiers is done again as a whole, since a second call would give its
    patients, studies and series others than the first.
    """
    with ledger.transaction():
        ledger.execute(
            "UPDATE instance SET outcome = '', reason = '' WHERE chunk IS NOT NULL AND outcome NOT IN ('', ?)",
            (Outcome.DONE,),
        )
        requests = RequestCache(ledger)
        torn = ledger.select(
            "SELECT c.number, min(m.request) FROM call c JOIN instance i ON i.call = c.number"
            " JOIN manifest_row m ON m.line = i.line WHERE c.state = ?"
            " GROUP BY c.number HAVING sum(i.outcome = '') > 0",
            (CallState.ENDED,),
        )
        for call, number in torn:
            if requests.get(number).level() is Level.INSTANCE:
                ledger.execute("UPDATE call SET state = ? WHERE number = ?", (CallState.PLANNED, call))
            else:
                ledger.execute("UPDATE call SET state = ? WHERE number = ?", (CallState.REDO, call))
                ledger.execute("UPDATE instance SET outcome = '' WHERE call = ?", (call,))


def give_up(ledger: Ledger, number: int, error: DeidflowError) -> None:
    """Fail what is left of a chunk that no further attempt will be made at."""
    code = ReasonCode.SERVER_ERROR if isinstance(error, TransientError) else ReasonCode.INTERNAL_ERROR
    ledger.execute(
        "UPDATE instance SET outcome = ?, reason = ? WHERE chunk = ? AND outcome = ''",
        (Outcome.FAILED, reason_text(code, str(error)), number),
    )


def apply_chunk(run: Run, number: int, engine: Engine | None, progress: Progress) -> None:
    """Do what is still to be done of one chunk.

    Raises:
        TransientError: It may be tried again; what was recorded stays.
        Unusable: Server or destination cannot be used.
        Interrupted: The run is to stop.

    """
    if engine is None:
        raise Interrupted("the engine is closed")
    ledger = run.ledger
    ledger.execute("UPDATE instance SET attempts = attempts + 1 WHERE chunk = ? AND outcome = ''", (number,))

    def record(results: Sequence[InstanceResult]) -> None:
        with ledger.transaction():
            ledger.execute_many(
                "UPDATE instance SET outcome = ?, reason = ?, evidence = ? WHERE id = ?",
                [(result.outcome, result.reason, result.evidence, result.id) for result in results],
            )
            _record_found(ledger, results)
        progress.advance(len(results))

    engine.apply(chunk_of(ledger, run.requests, number), record, run.stop.is_set)


def _record_found(ledger: Ledger, results: Sequence[InstanceResult]) -> None:
    """Note the identifiers of results that only the server could know."""
    for result in results:
        if result.new is None or result.new_orthanc_ids is None:
            continue
        *parents, instance = result.new_orthanc_ids
        ledger.execute(
            "INSERT OR IGNORE INTO target (patient_id, study_instance_uid, series_instance_uid, patient, study, series)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*result.new[:3], *parents),
        )
        ledger.execute(
            "UPDATE instance SET new_sop_instance_uid = ?, new_orthanc_id = ?, target = (SELECT id FROM target WHERE"
            " patient_id = ? AND study_instance_uid = ? AND series_instance_uid = ?) WHERE id = ?",
            (result.new.sop_instance_uid, instance, *result.new[:3], result.id),
        )
