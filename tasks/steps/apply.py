"""One chunk of a run: give it to the engine, and write what became of it into the ledger.

Public names: ``reset_unfinished``, ``apply_chunk``, ``give_up``, ``EDITING``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError
from deidflow.tasks.core.ledger.chunks import (
    begin_attempt,
    fail_rest,
    record_results,
    redo_call,
    reopen,
    reopen_patients,
    torn_calls,
)
from deidflow.tasks.core.outcomes import Outcome, Reason, ReasonCode
from deidflow.tasks.core.plan.planner import chunk_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import Engine, InstanceResult
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run


EDITING: Final = "editing"
"""The name of the step, for people."""

_IN_DOUBT: Final = "the Orthanc may hold results of the call, which `deidflow resume` finds"


def reset_unfinished(ledger: Ledger) -> None:
    """Give everything that is not done another try; what no try can mend (collisions) has no chunk and stays.

    Of a call to an Orthanc that generates identifiers above the instance, a patient is done again as a whole, since a
    second call would give its studies and series others than the first. What the first one made goes before.
    """
    with ledger.transaction():
        reopen(ledger)
        requests = ledger.requests
        for call, number in torn_calls(ledger):
            redo_call(ledger, call)
            if requests.get(number).level() is not Level.INSTANCE:
                reopen_patients(ledger, call)


def give_up(ledger: Ledger, number: int, error: DeidflowError) -> None:
    """Fail what is left of a chunk that no further attempt will be made at."""
    code = ReasonCode.SERVER_ERROR if isinstance(error, TransientError) else ReasonCode.INTERNAL_ERROR
    fail_rest(ledger, number, Reason(code, str(error)), Reason(code, f"{error}; {_IN_DOUBT}"))


def apply_chunk(run: Run, number: int, engine: Engine | None, progress: Progress) -> Counter[Outcome]:
    """Do what is still to be done of one chunk; return how many instances got which outcome.

    Raises:
        TransientError: It may be tried again; what was recorded stays.
        Unusable: Server or destination cannot be used.
        Interrupted: The run is to stop.

    """
    if engine is None:
        raise Interrupted("the engine is closed")
    ledger = run.ledger
    begin_attempt(ledger, number)

    counts: Counter[Outcome] = Counter()

    def record(results: Sequence[InstanceResult]) -> None:
        record_results(ledger, results)
        counts.update(result.outcome for result in results)
        progress.advance(len(results), EDITING)

    engine.apply(chunk_of(ledger, ledger.requests, number), record, run.stop.is_set)
    return counts
