"""The Prefect task that writes the report, then deletes the sources and packs the results where that is asked for.

Public names: ``publish``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.states import Failed

from deidflow.tasks.core.errors import DeidflowError, Interrupted
from deidflow.tasks.core.report.totals import LastStep
from deidflow.tasks.live import live_run
from deidflow.tasks.shown import in_words, say
from deidflow.tasks.steps.delete_sources import delete_sources, deletion_is_due
from deidflow.tasks.steps.export import export_as_configured
from deidflow.tasks.steps.publish import note_complete, publish_reports
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@task(name="publish", persist_result=False, retries=0)
def publish(run_dir: str) -> State[Any] | None:
    """Write all files of the run folder; when the work came to its end, delete the sources that are to go, and export.

    Args:
        run_dir: Of a run that is live in this process.

    """
    live = live_run(run_dir)
    try:
        live.totals = safely(publish_reports)(live.run, live.progress)
        if live.failure is None and safely(delete_sources)(live.run, live.progress) is not None:
            live.totals = safely(publish_reports)(live.run, live.progress)
        if live.failure is None and live.run.stop.is_set() and deletion_is_due(live.run):
            live.failure = Interrupted("the run was stopped")
        if live.failure is None:  # told to stop or not: nothing is left to do
            safely(export_as_configured)(live.run, live.progress)
            if LastStep.EXPORT in live.totals.due:
                live.totals = safely(publish_reports)(live.run, live.progress)
            safely(note_complete)(live.run)
        say(f"report written; {in_words(live.run, live.totals)}")
    except DeidflowError as error:
        live.failure = live.failure or error
        return Failed(message=str(error))
    return None
