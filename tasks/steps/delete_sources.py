"""Delete the sources of rows that are done in full, for ``KeepSource: false``; the last step of a run.

Doing it again is safe, and leads to the same end: what is gone is gone, and counts as deleted.

Public names: ``delete_sources``, ``deletion_is_due``.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.ledger.results import rows_done_in_full, shares_a_torn_patient
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts
from deidflow.tasks.core.report.totals import LastStep
from deidflow.tasks.steps.access.choice import source_of
from deidflow.tasks.steps.publish import note_seconds

if TYPE_CHECKING:
    from deidflow.tasks.core.report.totals import DeletedSources
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run


def deletion_is_due(run: Run) -> bool:
    """Whether sources are to be deleted and that step has not come to its end."""
    return not run.config.defaults.settings.keep_source and not read_facts(run.ledger).deletion_ended


def delete_sources(run: Run, progress: Progress) -> DeletedSources | None:
    """Delete the planned instances of rows that are done in full and verified; of files also their identical copies.

    What is deleted is what was read, byte for byte; anything else in its place stays. So do rows of a patient whom an
    Orthanc has to do again as a whole since another row of the same call is not done: without their sources their
    results could not be made again.

    Returns:
        What became of them, noted in the ledger, too; None when nothing is to be deleted, or not yet.

    Raises:
        DeidflowError: The server cannot be used; some sources may be deleted.

    """
    if run.config.verify != "full" or run.stop.is_set() or not deletion_is_due(run):
        return None
    started = time.monotonic()
    lines = [line for line, request in rows_done_in_full(run.ledger) if _may_go(run, line, request)]
    progress.start("deleting sources")
    sources = source_of(run.config).delete(run, lines, progress)
    progress.finish()
    note_seconds(run, LastStep.DELETION, time.monotonic() - started)
    ended = not (run.stop.is_set() or sources.not_deleted)  # else `resume` goes on
    change_facts(
        run.ledger,
        lambda facts: replace(facts, deleted_sources=asdict(sources), deletion_ended=ended or facts.deletion_ended),
    )
    return sources


def _may_go(run: Run, line: int, request: int) -> bool:
    if run.ledger.requests.get(request).settings.keep_source:
        return False
    on_its_own = run.config.engine == "local" or run.ledger.requests.get(request).level() is Level.INSTANCE
    return on_its_own or not shares_a_torn_patient(run.ledger, line)
