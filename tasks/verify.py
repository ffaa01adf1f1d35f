"""The Prefect task that checks the results of a run.

Public names: ``verify``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from prefect import task

from deidflow.tasks.core.errors import DeidflowError, Interrupted
from deidflow.tasks.live import live_run
from deidflow.tasks.retries import failed, is_transient
from deidflow.tasks.steps.publish import note_seconds
from deidflow.tasks.steps.run.safe_errors import safely
from deidflow.tasks.steps.verify import verify_results

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


_VERIFICATION: Final = 0
"""In the place of a chunk's number, which are 1 and more."""


@task(name="verify", persist_result=False, retry_condition_fn=is_transient)
def verify(run_dir: str) -> State[Any] | None:
    """Check that every result is there and is what it should be, as far as ``verify`` asks.

    Args:
        run_dir: Of a run that is live in this process.

    Returns:
        As ``deidflow.tasks.apply.apply``; the error is left as the live run's failure.

    """
    try:
        live = live_run(run_dir)
    except Interrupted as error:
        return failed(error)
    wanted = live.run.config.verify
    if wanted == "none":
        return None
    started = time.monotonic()
    live.failure = None
    live.at_work.add(_VERIFICATION)
    try:
        safely(verify_results)(live.run, live.progress, full=wanted == "full")
    except DeidflowError as error:
        live.failure = error
        return failed(error)
    finally:
        live.at_work.discard(_VERIFICATION)
    note_seconds(live.run, "verify", time.monotonic() - started)
    return None
