"""The Prefect task that does one chunk; the only layer that tries again.

Public names: ``apply``, ``may_pass``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect import task

from tasks.chunks import apply_chunk
from tasks.core.errors import Interrupted, TransientError, Unusable
from tasks.live import live_run
from tasks.safe_errors import safely

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun


def may_pass(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed chunk is tried again: for faults that may pass, and for nothing else."""
    del task, task_run
    return isinstance(state.data, TransientError)


@task(name="apply", task_run_name="apply-{number}", persist_result=False, retry_condition_fn=may_pass)
@safely
def apply(run_dir: str, number: int) -> None:
    """Do what is still to be done of one chunk; what became of it is in the ledger.

    Args:
        run_dir: Of a run that is live in this process.
        number: Of the chunk.

    Raises:
        TransientError: A fault that may pass.
        Unusable: The run stops.
        Interrupted: The run was stopped.

    """
    live = live_run(run_dir)
    if live.run.stop.is_set():
        raise Interrupted("the run was stopped")
    try:
        apply_chunk(live.run, number, live.engine, live.progress)
    except Unusable:
        live.run.stop.set()
        raise
