"""The Prefect task that does one chunk; the only layer that tries again.

Public names: ``apply``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import task

from tasks.chunks import apply_chunk
from tasks.core.errors import DeidflowError, Interrupted, Unusable
from tasks.failed_states import failed_state, may_pass
from tasks.live import live_run
from tasks.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


@task(name="apply", task_run_name="apply-{number}", persist_result=False, retry_condition_fn=may_pass)
def apply(run_dir: str, number: int) -> State[Any] | None:
    """Do what is still to be done of one chunk; what became of it is in the ledger.

    Args:
        run_dir: Of a run that is live in this process.
        number: Of the chunk.

    Returns:
        None, or a failed state: one that is tried again for faults that may pass. The error itself is left with the
        live run.

    """
    live = live_run(run_dir)
    live.errors.pop(number, None)
    try:
        if live.run.stop.is_set():
            raise Interrupted("the run was stopped")
        safely(apply_chunk)(live.run, number, live.engine, live.progress)
    except DeidflowError as error:
        if isinstance(error, Unusable):
            live.run.stop.set()
        live.errors[number] = error
        return failed_state(error)
    return None
