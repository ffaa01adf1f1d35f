"""One chunk of a run: give it to the engine, and write what became of it into the ledger.

Public names: ``open_chunks``, ``instances_to_do``, ``reset_unfinished``, ``apply_chunk``, ``give_up``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.protocol import CallState
from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError
from deidflow.tasks.core.outcomes import Outcome, ReasonCode, reason_text
from deidflow.tasks.core.plan.intake import RequestCache
from deidflow.tasks.core.plan.planner import chunk_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import Engine, InstanceResult
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run_folder import Run


_WHOLE_PATIENTS: Final = """
UPDATE instance SET outcome = '', reason = '' WHERE call = ? AND series IN (
    SELECT id FROM series WHERE patient IN (
        SELECT s.patient FROM instance i JOIN series s ON s.id = i.series WHERE i.call = ? AND i.outcome = ''))
"""

_IN_DOUBT: Final = "the Orthanc may hold results of the call, which `deidflow resume` finds"

# A result that is taken over as it is keeps what was noted when it was verified.
_RECORD: Final = """
UPDATE instance SET outcome = ?1, reason = ?2, verified = '', is_there = is_there OR ?1 = 'done',
    evidence = CASE WHEN ?3 <> '' AND new_orthanc_id = ?3 THEN evidence ELSE ?4 END,
    content = CASE WHEN ?5 <> '' THEN ?5 ELSE content END,
    review = CASE WHEN ?7 = '' OR instr(review, ?7) THEN review WHEN review = '' THEN ?7 ELSE review || ';' || ?7 END
WHERE id = ?6
"""


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

    Of a call to an Orthanc that generates identifiers above the instance, a patient is done again as a whole, since a
    second call would give its studies and series others than the first. What the first one made goes before.
    """
    with ledger.transaction():
        ledger.execute(
            "UPDATE instance SET outcome = '', reason = '' WHERE chunk IS NOT NULL AND outcome NOT IN ('', ?)",
            (Outcome.DONE,),
        )
        requests = RequestCache(ledger)
        torn = ledger.select(
            "SELECT c.number, min(m.request) FROM call c JOIN instance i ON i.call = c.number"
            " JOIN manifest_row m ON m.line = i.line WHERE c.state NOT IN (?, ?)"
            " GROUP BY c.number HAVING sum(i.outcome = '') > 0 AND (c.state <> ? OR sum(i.outcome = ?) > 0)",
            (CallState.INTENDED, CallState.SENT, CallState.PLANNED, Outcome.DONE),
        )
        for call, number in torn:
            ledger.execute("UPDATE call SET state = ? WHERE number = ?", (CallState.REDO, call))
            if requests.get(number).level() is not Level.INSTANCE:
                ledger.execute(_WHOLE_PATIENTS, (call, call))


def give_up(ledger: Ledger, number: int, error: DeidflowError) -> None:
    """Fail what is left of a chunk that no further attempt will be made at."""
    code = ReasonCode.SERVER_ERROR if isinstance(error, TransientError) else ReasonCode.INTERNAL_ERROR
    in_doubt = "SELECT number FROM call WHERE state IN (?, ?)"
    for condition, text in (
        (f"call IN ({in_doubt})", f"{error}; {_IN_DOUBT}"),
        (f"call IS NULL OR call NOT IN ({in_doubt})", str(error)),
    ):
        ledger.execute(
            f"UPDATE instance SET outcome = ?, reason = ? WHERE chunk = ? AND outcome = '' AND ({condition})",  # noqa: S608
            (Outcome.FAILED, reason_text(code, text), number, CallState.INTENDED, CallState.SENT),
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
                _RECORD,
                [
                    (
                        *(result.outcome, result.reason, _found(result)),
                        *(result.evidence, result.content, result.id, result.review),
                    )
                    for result in results
                ],
            )
            _record_found(ledger, results)
        progress.advance(len(results))

    engine.apply(chunk_of(ledger, run.requests, number), record, run.stop.is_set)


def _found(result: InstanceResult) -> str:
    return "" if result.new_orthanc_ids is None else result.new_orthanc_ids[-1]


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
