"""Which tasks Prefect tries again: those that failed by a transient fault. No other layer tries anything again.

Public names: ``failed``, ``ended_by``, ``raised``, ``is_transient``, ``retrying``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Failed
from prefect.tasks import exponential_backoff

from deidflow.tasks.core.errors import DeidflowError, Interrupted, TransientError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import TaskRun

    from deidflow.tasks.core.config.config import Execution

_T = TypeVar("_T")
_TRANSIENT: Final = "Transient"
_JITTER: Final = 0.5


def failed(error: DeidflowError) -> State[Any]:
    """Return the state of a task that failed or was stopped; raised, an error would have its traceback logged."""
    if isinstance(error, Interrupted):
        return Cancelled(message=str(error))
    return Failed(name=_TRANSIENT if isinstance(error, TransientError) else "Failed", message=str(error))


def ended_by(error: DeidflowError) -> Any:
    """Return the state of a task whose caller is to get an error raised, again without a traceback in the log."""
    return Failed(data=error, message=str(error))


def raised(value: _T) -> _T:
    """Return what a task returned, or raise what it was ``ended_by``: Prefect hands its caller the state as a value.

    Raises:
        DeidflowError: The task's error.

    """
    error = value.result(raise_on_failure=False) if isinstance(value, State) else None
    if isinstance(error, DeidflowError):
        raise error
    return value


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is tried again: for transient faults, and for nothing else."""
    del task, task_run
    return state.name == _TRANSIENT


def retrying(task: Task[..., Any], execution: Execution) -> Task[..., Any]:
    """Return a task that is tried again as ``execution`` says, each time after a longer pause."""
    return task.with_options(
        retries=execution.retries,
        retry_delay_seconds=exponential_backoff(execution.retry_delay_seconds),
        retry_jitter_factor=_JITTER,
    )
