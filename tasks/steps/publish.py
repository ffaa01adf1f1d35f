"""Write the report files of a run from its ledger. No Prefect.

Public names: ``publish_reports``, ``note_complete``, ``is_complete``, ``begin_again``, ``note_seconds``.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from deidflow.tasks.core.errors import Unusable, os_error_text, remedy_of
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts
from deidflow.tasks.core.report.files import write_reports
from deidflow.tasks.steps.run.leftovers import write_leftovers
from deidflow.tasks.steps.run.run import now, with_maker

if TYPE_CHECKING:
    from deidflow.tasks.core.report.totals import Totals
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run


def publish_reports(run: Run, progress: Progress, *, ends: bool = True) -> Totals:
    """Write all files of the run folder.

    Args:
        run: Open.
        progress: Shows the step.
        ends: Whether an attempt at the run ends with it; otherwise it stays as it was when that ended, or was killed.

    Raises:
        Unusable: The run folder cannot be written.

    """
    progress.start("writing the report")
    started = time.monotonic()
    if ends:
        change_facts(run.ledger, lambda facts: replace(facts, ended=now()))
    try:
        totals = write_reports(run.ledger, run.folder)
        write_leftovers(run)
    except OSError as error:
        message = (
            f"the run folder {run.folder} cannot be written: {os_error_text(error)}; "
            f"{remedy_of(error, 'make room')}, then `deidflow report`"
        )
        raise Unusable(message, error) from None
    note_seconds(run, "report", time.monotonic() - started)
    progress.finish()
    return totals


def note_complete(run: Run) -> None:
    """Note that every step of the run came to its end and is reported; the last thing that a run writes."""
    change_facts(run.ledger, lambda facts: replace(facts, complete=True))


def is_complete(run: Run) -> bool:
    """Whether every step came to its end. Outcomes alone do not tell: a result counts as done before it is verified."""
    return read_facts(run.ledger).complete


def begin_again(run: Run) -> None:
    """Forget how the last attempt ended, and count another."""
    change_facts(
        run.ledger,
        lambda facts: replace(
            with_maker(facts),
            attempts=facts.attempts + 1,
            ended=None,
            unusable=None,
            verification_ended=False,
            deletion_ended=False,
            export_ended=False,
            deleted_sources=None,
            complete=False,
        ),
    )


def note_seconds(run: Run, step: str, seconds: float) -> None:
    """Add to the time that a step has taken over all attempts."""
    change_facts(run.ledger, lambda facts: facts.with_seconds(step, seconds))
