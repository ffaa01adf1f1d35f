"""The flow: load -> plan -> apply every chunk -> reconcile -> publish.

What is done is in ``tasks``; here is only the order.

Public names: ``bulk_edit``.
"""

from __future__ import annotations

import time
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect import flow
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from deidflow.flows.signals import stopping, was_pressed
from deidflow.tasks.apply import apply
from deidflow.tasks.chunks import give_up, instances_to_do, open_chunks
from deidflow.tasks.core.errors import DeidflowError, Interrupted, InvalidInput, Unusable
from deidflow.tasks.core.garbage import relax_collector
from deidflow.tasks.engines import open_engine
from deidflow.tasks.live import Live, going_live
from deidflow.tasks.load import load
from deidflow.tasks.plan import plan
from deidflow.tasks.progress import make_progress
from deidflow.tasks.publish import publish
from deidflow.tasks.reconcile import reconcile
from deidflow.tasks.reports import note_seconds
from deidflow.tasks.retries import retrying
from deidflow.tasks.run_folder import open_run
from deidflow.tasks.safe_errors import safely
from deidflow.tasks.space import missing_space

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectConcurrentFuture

    from deidflow.tasks.run_folder import Run

_POLL_S = 0.2
_PATIENCE_S = 3.0
"""For chunks that are at work when the run is stopped: Ctrl-C is to take less than 5 s in all."""


class _Threads(ThreadPoolTaskRunner[Any]):
    """Does not wait, when a run is stopped, for threads that sleep before they try a chunk again."""

    def __exit__(self, *details: object) -> None:
        if was_pressed() and self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
        super().__exit__(*details)


# The engine's processes set the pace; threads only wait for them, and two chunks at a time hide the end of one.
_THREADS: ThreadPoolTaskRunner[Any] = _Threads(max_workers=4)


@flow(name="bulk-edit", persist_result=False, task_runner=_THREADS)  # type: ignore[arg-type]
def bulk_edit(config: str = "", run_dir: str = "") -> State[Any]:
    """Do a whole job, or what is left of one.

    Args:
        config: Path of a config file, for a new run; a schedule gives this.
        run_dir: Path of a run folder with a frozen plan; the command line gives this.

    Returns:
        COMPLETED when everything is reconciled, else FAILED; made from the ledger, not from the task runs.

    """
    relax_collector()
    try:
        if bool(config) == bool(run_dir):
            raise InvalidInput("give either config or run_dir")
        with stopping() as stop:
            run = safely(open_run)(Path(run_dir or plan(load(config))))
            run.stop = stop
            try:
                return safely(_work)(run)
            finally:
                run.close()
    except DeidflowError as error:
        return Failed(message=str(error))


def _work(run: Run) -> State[Any]:
    """Work on an open run until it ends, is stopped, or cannot go on; then report in any case."""
    with make_progress() as progress:
        live = Live(run, progress)
        with going_live(live) as name:
            try:
                with open_engine(run) as live.engine:
                    _apply_all(live, name)
                    if live.failure is None:
                        _reconcile(live, name)
            except DeidflowError as error:
                live.failure = live.failure or error
            except BaseException:
                # A cancelled flow run: tasks look at the flag and end; what is done stays done.
                run.stop.set()
                raise
            finally:
                live.engine = None
            publish(name, return_state=True)
    if live.failure is not None:
        message = str(live.failure)
        if isinstance(live.failure, Unusable):
            message += missing_space(run, message)
        if not isinstance(live.failure, Interrupted):
            run.ledger.set_meta("unusable", message)
        return Failed(message=message)
    if live.verdict is not None and live.verdict.reconciled:
        return Completed(message="everything reconciled")
    return Failed(message="some rows are not done; see the report")


def _apply_all(live: Live, name: str) -> None:
    """Run one task per chunk and wait for all of them; whatever no attempt could do gets its outcome."""
    started = time.monotonic()
    ledger = live.run.ledger
    task = retrying(apply, live.run.config.execution)
    live.progress.start("editing", instances_to_do(ledger))
    try:
        _wait(live, [_submitted(task, name, number) for number in open_chunks(ledger)])
    finally:
        note_seconds(live.run, "apply", time.monotonic() - started)
    for number, error in live.errors.items():
        if isinstance(error, Unusable):
            live.failure = live.failure or error
        elif not isinstance(error, Interrupted) and not live.run.stop.is_set():
            give_up(ledger, number, error)
    if live.run.stop.is_set():
        live.failure = live.failure or Interrupted("the run was stopped")


def _reconcile(live: Live, name: str) -> None:
    """Read the results back."""
    if not _wait(live, [_submitted(retrying(reconcile, live.run.config.execution), name)]):
        live.failure = Interrupted("the run was stopped")


def _submitted(task: Task[..., Any], *arguments: object) -> PrefectConcurrentFuture[Any]:
    return cast("PrefectConcurrentFuture[Any]", task.submit(*arguments))


def _wait(live: Live, futures: list[PrefectConcurrentFuture[Any]]) -> bool:
    """Wait for all tasks, and return whether they ended.

    Once the run is to stop, only those at work are waited for, not those that sleep before a retry.
    """
    waiting = {future.wrapped_future for future in futures}
    while waiting and not live.run.stop.is_set():
        _, waiting = wait(waiting, timeout=_POLL_S)
    end = time.monotonic() + _PATIENCE_S
    while live.at_work and time.monotonic() < end:
        time.sleep(_POLL_S)
    return all(future.done() for future in waiting)
