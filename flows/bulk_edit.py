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
from tasks.run_folder import open_run
from tasks.safe_errors import safely

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from tasks.run_folder import Run

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
    try:
        if bool(config) == bool(run_dir):
            raise InvalidInput("give either config or run_dir")
        run = safely(open_run)(Path(run_dir or plan(load(config))))
    except DeidflowError as error:
        return Failed(message=str(error))
    try:
        return _work(run)
    finally:
        run.close()


def _work(run: Run) -> State[Any]:
    """Work on an open run until it ends, is stopped, or cannot go on; then report in any case."""
    with make_progress() as progress:
        live = Live(run, progress)
        with going_live(live) as name:
            try:
                with open_engine(run) as live.engine:
                    _apply_all(live, name)
                    if live.failure is None:
                        reconcile(name, return_state=True)
            except DeidflowError as error:
                live.failure = error
            except BaseException:
                # Ctrl-C, SIGTERM, a cancelled flow run: tasks look at the flag and end; what is done stays done.
                run.stop.set()
                raise
            finally:
                live.engine = None
            publish(name, return_state=True)
    if live.failure is not None:
        run.ledger.set_meta("unusable", str(live.failure))
        return Failed(message=str(live.failure))
    if live.verdict is not None and live.verdict.reconciled:
        return Completed(message="everything reconciled")
    return Failed(message="some rows are not done; see the report")


def _apply_all(live: Live, name: str) -> None:
    """Run one task per chunk and wait for all of them; whatever no attempt could do gets its outcome."""
    started = time.monotonic()
    ledger = live.run.ledger
    execution = live.run.config.execution
    task = apply.with_options(
        retries=execution.retries,
        retry_delay_seconds=exponential_backoff(execution.retry_delay_seconds),
        retry_jitter_factor=_JITTER,
    )
    live.progress.start("editing", instances_to_do(ledger))
    try:
        wait([task.submit(name, number) for number in open_chunks(ledger)])
    finally:
        note_seconds(live.run, "apply", time.monotonic() - started)
    for number, error in live.errors.items():
        if isinstance(error, Unusable):
            live.failure = live.failure or error
        elif not isinstance(error, Interrupted):
            give_up(ledger, number, error)
