"""Prefect states for what went wrong: returned, not raised, since Prefect logs a traceback of what is raised.

Public names: ``failed_state``, ``may_pass``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prefect.states import Failed

from tasks.core.errors import DeidflowError, TransientError

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

_MAY_PASS: Final = "MayPass"  # noqa: S105 (a state's name)


def failed_state(error: DeidflowError) -> State[Any]:
    """Return the state of a task that ended with an error; its message is as safe as the error's text."""
    return Failed(name=_MAY_PASS if isinstance(error, TransientError) else "Failed", message=str(error))


def may_pass(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is tried again: for faults that may pass, and for nothing else."""
    del task, task_run
    return state.name == _MAY_PASS
