"""The Prefect task that checks the results of a run.

Public names: ``verify``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from prefect import task

from deidflow.tasks.core.errors import DeidflowError, Interrupted
from deidflow.tasks.live import live_run
from deidflow.tasks.retries import failed, is_transient
from deidflow.tasks.shown import say
from deidflow.tasks.steps.run.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


_VERIFICATION: Final = 0
"""In the place of a chunk's number, which are 1 and more."""


@task(name="verify", persist_result=False, retry_condition_fn=is_transient)
def verify(run_dir: str) -> State[Any] | None:
    """Check that every result is there and is what it should be, as far as ``verify`` asks, while chunks are edited.

    Args:
        run_dir: Of a run that is live in this process.

    Returns:
        As ``deidflow.tasks.apply.apply``; the error is left with the live run.

    """
    try:
        live = live_run(run_dir)
    except Interrupted as error:
        return failed(error)
    live.unverified = None
    verification = live.verification
    if verification is None:
        return None
    live.at_work.add(_VERIFICATION)
    try:
        safely(verification.verify)()
        say("every result was looked at")
    except DeidflowError as error:
        live.unverified = error
        return failed(error)
    finally:
        live.at_work.discard(_VERIFICATION)
    return None
