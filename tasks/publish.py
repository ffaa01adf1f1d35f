"""The Prefect task that writes the report, and then deletes the sources where that is asked for.

Public names: ``publish``.
"""

from __future__ import annotations

from prefect import task

from tasks.deletion import delete_sources
from tasks.live import live_run
from tasks.reports import publish_reports
from tasks.safe_errors import safely


@task(name="publish", persist_result=False)
@safely
def publish(run_dir: str, *, ended: bool) -> bool:
    """Write all files of the run folder.

    Args:
        run_dir: Of a run that is live in this process.
        ended: Whether the work came to its end; only then sources are deleted.

    Returns:
        Whether everything is reconciled.

    """
    live = live_run(run_dir)
    verdict = publish_reports(live.run, live.progress)
    if ended and delete_sources(live.run, live.progress):
        verdict = publish_reports(live.run, live.progress)
    return verdict.reconciled
