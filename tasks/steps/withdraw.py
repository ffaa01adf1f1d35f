"""Take results of a run back: out of the destination, and noted in its ledger, from which state and report are made.

Only what the run itself wrote goes: something else in its place stays, and is told.

Public names: ``Withdrawn``, ``withdraw_results``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.engine.protocol import Expected, InstanceResult
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.evidence import is_evidence_of
from deidflow.tasks.core.ledger.results import note_gone
from deidflow.tasks.core.ledger.state.withdrawals import note_withdrawn, pages_there
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.steps.access.choice import store_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.core.engine.stores import ResultStore
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_PAGE: Final = 256
WITHDRAWING: Final = "withdrawing"


class Withdrawn(NamedTuple):
    """How many results are gone, stay (something else stands there, or could not be removed), and were gone before."""

    gone: int
    stay: int
    missing: int


def withdraw_results(run: Run, lines: Collection[int], progress: Progress) -> Withdrawn:
    """Take the results of some rows out of the destination.

    Doing it again, after it was interrupted at whatever moment, leads to the same end.

    Args:
        run: Open, and its destination is held.
        lines: Of rows; none for all.
        progress: Counts results.

    Raises:
        TransientError: The destination cannot be reached now; some may be gone.
        Unusable: It cannot be used, or may be another folder, which holds nothing of the run: one that is not mounted
            would make results count as taken back that are not.

    """
    store = store_of(run.config)
    store.require(run.ledger)
    results = store.results(run)
    gone = stay = missing = 0
    progress.start(WITHDRAWING)
    for entries in pages_there(run.ledger, lines, _PAGE):
        page = [entry.expected for entry in entries]
        with results.together([(one.instance.new, one.result_id) for one in page]) as at_hand:
            fates = {one.instance.id: _own(at_hand, one) for one in page}
        own = [one for one in page if fates[one.instance.id]]
        absent = [one.instance.id for one in page if fates[one.instance.id] is None]
        removed = store.remove(run, [(one, _as_written(one)) for one in own])
        with run.ledger.transaction():
            note_gone(run.ledger, absent)
            note_withdrawn(run.ledger, [*removed, *absent])
        gone += len(removed) + len(absent)
        stay += len(page) - len(removed) - len(absent)
        missing += len(absent)
        progress.advance(len(page))
    progress.finish()
    return Withdrawn(gone, stay, missing)


def _own(results: ResultStore, one: Expected) -> bool | None:
    """Whether what stands there is what the run wrote; None when nothing does."""
    try:
        with results.open(one.instance.new, one.result_id) as file:
            return not one.evidence or is_evidence_of(one.evidence, file.stream())
    except InstanceFailed as error:
        return None if error.code is ReasonCode.RESULT_MISSING else False


def _as_written(one: Expected) -> InstanceResult:
    return InstanceResult(one.instance.id, Outcome.CANCELLED, ReasonCode.WITHDRAWN, evidence=one.evidence)
