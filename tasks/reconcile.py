"""The Prefect task that checks the results of a run.

Public names: ``reconcile``.
"""

from __future__ import annotations

from prefect import task

from tasks.core.errors import Interrupted
from tasks.live import live_run
from tasks.safe_errors import safely
from tasks.verification import verify_results


@task(name="reconcile", persist_result=False)
@safely
def reconcile(run_dir: str) -> None:
    """Check that every result is there and is what it should be, as far as ``verify`` asks.

    Raises:
        Interrupted: The run was stopped.

    """
    live = live_run(run_dir)
    wanted = live.run.config.verify
    if wanted != "none":
        verify_results(live.run, live.progress, full=wanted == "full")
    if live.run.stop.is_set():
        raise Interrupted("the run was stopped")
