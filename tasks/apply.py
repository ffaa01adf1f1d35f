"""The Prefect task that does one chunk.

Public names: ``apply``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prefect import task

from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError, Unusable
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.live import live_run
from deidflow.tasks.retries import failed, is_transient
from deidflow.tasks.shown import say
from deidflow.tasks.steps.apply import apply_chunk
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

_MAX_RETRY_AFTER_S: Final = 120.0


@task(name="apply", task_run_name="apply-{number}", persist_result=False, retry_condition_fn=is_transient)
def apply(run_dir: str, number: int) -> State[Any] | None:
    """Do what is still to be done of one chunk; what became of it is in the ledger.

    Args:
        run_dir: Of a run that is live in this process.
        number: Of the chunk.

    Returns:
        None, or a failed state: one that is tried again for transient faults. The error itself is left with the
        live run.

    """
    try:
        live = live_run(run_dir)
    except Interrupted as error:
        return failed(error)
    live.errors.pop(number, None)
    try:
        if live.run.stop.is_set():
            raise Interrupted("the run was stopped")
        live.at_work.add(number)
        try:
            counts = safely(apply_chunk)(live.run, number, live.engine, live.progress)
        finally:
            live.at_work.discard(number)
        say(f"chunk {number}: {', '.join(f'{counts[one]} {one}' for one in Outcome if counts[one]) or 'nothing to do'}")
        if live.verification is not None:
            live.verification.chunk_is_done(number)
    except DeidflowError as error:
        if isinstance(error, TransientError) and error.retry_after_s:
            # What the server asks for comes before Prefect's own delay.
            live.run.stop.wait(min(error.retry_after_s, _MAX_RETRY_AFTER_S))
        if isinstance(error, Unusable):
            live.run.stop.set()
        live.errors[number] = error
        return failed(error)
    return None
