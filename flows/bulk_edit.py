"""The flow: load -> plan -> apply every chunk -> reconcile -> publish.

What is done is in ``tasks``; here is only the order.

Public names: ``bulk_edit``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow
from prefect.futures import wait
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from tasks.apply import apply
from tasks.chunks import give_up, instances_to_do, open_chunks
from tasks.core.errors import DeidflowError, Interrupted, InvalidInput, Unusable
from tasks.engines import open_engine
from tasks.live import Live, going_live
from tasks.load import load
from tasks.plan import plan
from tasks.progress import make_progress
from tasks.publish import publish
from tasks.reconcile import reconcile
from tasks.reports import note_seconds
from tasks.run_folder import Run, open_run
from tasks.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from tasks.progress import Progress

_JITTER = 0.5


# The engine's processes set the pace; threads only wait for them, and two chunks at a time hide the end of one.
_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=4)


@flow(name="bulk-edit", persist_result=False, task_runner=_THREADS)  # type: ignore[arg-type]
def bulk_edit(config: str = "", run_dir: str = "") -> State[Any]:
    """Do a whole job, or what is left of one.

    Args:
        config: Path of a config file, for a new run; a schedule gives this.
        run_dir: Path of a run folder with a frozen plan; the command line gives this.

    Returns:
        COMPLETED when everything is reconciled, else FAILED; made from the ledger, not from the task runs.

    """
    if bool(config) == bool(run_dir):
        raise InvalidInput("give either config or run_dir")
    folder = Path(run_dir or plan(load(config)))
    run = safely(open_run)(folder)
    try:
        return _work(run)
    finally:
        run.close()


def _work(run: Run) -> State[Any]:
    """Work on an open run until it ends, is stopped, or cannot go on."""
    failure: Unusable | None = None
    with (
        make_progress() as progress,
        safely(open_engine)(run) as engine,
        going_live(Live(run, engine, progress)) as name,
    ):
        try:
            _apply_all(run, name, progress)
            reconcile(name)
        except Unusable as error:
            failure = error
        except BaseException:
            # Ctrl-C, SIGTERM, a cancelled flow run: tasks look at the flag and end; nothing that was done is lost.
            run.stop.set()
            raise
        reconciled = publish(name, ended=failure is None)
    if failure is not None:
        run.ledger.set_meta("unusable", str(failure))
        return Failed(message=str(failure))
    if reconciled:
        return Completed(message="everything reconciled")
    return Failed(message="some rows are not done; see the report")


def _apply_all(run: Run, name: str, progress: Progress) -> None:
    """Run one task per chunk and wait for all of them.

    Raises:
        Unusable: Server or destination cannot be used; what was done until then counts.

    """
    started = time.monotonic()
    execution = run.config.execution
    task = apply.with_options(
        retries=execution.retries,
        retry_delay_seconds=exponential_backoff(execution.retry_delay_seconds),
        retry_jitter_factor=_JITTER,
    )
    progress.start("editing", instances_to_do(run.ledger))
    try:
        futures = {number: task.submit(name, number) for number in open_chunks(run.ledger)}
        wait(list(futures.values()))
    finally:
        note_seconds(run, "apply", time.monotonic() - started)
    errors = {number: future.state.result(raise_on_failure=False) for number, future in futures.items()}
    for error in errors.values():
        if isinstance(error, Unusable):
            raise error
    for number, error in errors.items():
        if isinstance(error, DeidflowError) and not isinstance(error, Interrupted):
            give_up(run.ledger, number, error)
