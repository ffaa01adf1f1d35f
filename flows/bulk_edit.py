"""The flow: load -> plan -> apply every chunk, and verify what is done beside it -> publish.

What is done is in ``tasks``; here is only the order, and in which of Prefect's states a run ends.

Public names: ``bulk_edit``.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_type_hints

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State  # noqa: TC002 (the form of a deployment is made from the signature)
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun, FailedRun
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from deidflow.flows.exit_codes import exit_code_of
from deidflow.flows.parameters import NO_OVERRIDES, Overrides
from deidflow.flows.prefect_environment import leave_threads, served_configs
from deidflow.flows.signals import ending, stopping, was_stopped
from deidflow.tasks.apply import apply
from deidflow.tasks.core.errors import DeidflowError, Interrupted, InvalidInput, Unusable
from deidflow.tasks.core.ledger.chunks import instances_to_do, open_chunks
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.processes.collector import relax_collector
from deidflow.tasks.core.processes.libraries import quiet_pydicom
from deidflow.tasks.live import Live, going_live, handed_over, take_open
from deidflow.tasks.load import load
from deidflow.tasks.one_at_a_time import alone
from deidflow.tasks.plan import plan
from deidflow.tasks.publish import publish
from deidflow.tasks.retries import raised, retrying
from deidflow.tasks.shown import (
    NotReconciled,
    RunRecord,
    in_words,
    is_seen,
    record_of,
    show_name,
    show_result,
    showing_progress,
)
from deidflow.tasks.steps.access.engines import open_work
from deidflow.tasks.steps.apply import EDITING, give_up
from deidflow.tasks.steps.publish import note_seconds
from deidflow.tasks.steps.run.disk_space import missing_space
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.safe_errors import safely
from deidflow.tasks.steps.run.served import find_served
from deidflow.tasks.steps.verify import VERIFYING, Verification
from deidflow.tasks.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect import Task
    from prefect.client.schemas.objects import FlowRun
    from prefect.futures import PrefectConcurrentFuture

    from deidflow.tasks.steps.run.run import Run

_Function = TypeVar("_Function", bound="Callable[..., Any]")
_POLL_S: Final = 0.2
_PATIENCE_S: Final = 3.0
"""For chunks that are at work when the run is stopped: Ctrl-C is to take less than 5 s in all."""

_WATCH_S: Final = 1.0
"""Between two questions whether a run was cancelled in Prefect."""


class _Threads(ThreadPoolTaskRunner[Any]):
    """Does not wait, when a run is stopped, for threads that sleep before they try a chunk again."""

    def __exit__(self, *details: object) -> None:
        if was_stopped():
            leave_threads(self)
        super().__exit__(*details)


_CHUNKS_AT_A_TIME: Final = 4
"""Threads only wait for the engine, whose processes or jobs set the pace; a few chunks hide the end of one."""

_BESIDE_JOBS: Final = 2
"""Chunks that are checked before a job and looked at behind one, while others have their jobs."""

# As many as orthanc.max_parallel_jobs may be, those beside them, and one that verifies.
_THREADS: ThreadPoolTaskRunner[Any] = _Threads(max_workers=64 + _BESIDE_JOBS + 1)


def _with_types(function: _Function) -> _Function:
    """Replace the texts of a function's annotations by what they mean; Prefect checks parameters by its annotations."""
    function.__annotations__ = get_type_hints(function)
    return function


# Prefect's settings may say otherwise for all flows and tasks of a site (PREFECT_FLOWS_DEFAULT_RETRIES): a second flow
# run would be another run of deidflow, over the same sources.
@flow(name="bulk-edit", persist_result=False, retries=0, task_runner=_THREADS)  # type: ignore[arg-type]
@_with_types
def bulk_edit(
    config: str = "", manifest: str = "", overrides: Overrides = NO_OVERRIDES, skip_invalid: bool = False
) -> State[RunRecord]:
    """Do a whole job, or what is left of the one that the command hands over.

    Args:
        config: Of a deployment: the name of a config that it is served with. Called from Python: path of a config.
        manifest: Instead of the config's. Of a deployment: the name of another file in the folder of the config's
            manifest. Called from Python: a path.
        overrides: What this run does otherwise than the config says.
        skip_invalid: Set rows with problems aside (outcome invalid), and do the rest.

    Returns:
        Made from the ledger, not from the task runs: Completed when everything is reconciled; Partial (of type FAILED)
        when some rows are not done; Invalid and Unusable (FAILED) as the exit codes 2 and 3; Cancelled. Its data is a
        ``RunRecord``; of a run that is not reconciled a ``NotReconciled`` that has it, and that a flow which calls this
        one gets raised; nothing where no run began (Invalid, mostly).

    """
    relax_collector()
    quiet_pydicom()
    deployed = _is_deployed()
    if deployed:
        _log_endings_without_traceback()
    try:
        given = handed_over()
        run = given or _planned(config, manifest, overrides, deployed=deployed, skip_invalid=skip_invalid)
        show_name(run)
        with stopping(for_good=deployed) as stop, _noticing_cancellation(stop):
            run.stop = stop
            try:
                return safely(_work)(run)
            finally:
                if given is None:
                    run.close()
                if deployed and stop.is_set():
                    ending(0)  # threads that sleep before another attempt are not waited for
    except DeidflowError as error:
        return _ended_by(error, str(error))


def _planned(config: str, manifest: str, overrides: Overrides, *, deployed: bool, skip_invalid: bool) -> Run:
    """Return a new run with a frozen plan."""
    file = _config_file(config, deployed=deployed)
    checked = raised(load(file, overrides.as_settings(), manifest, is_beside=deployed))
    with contextlib.ExitStack() as held:
        if (flow_run := _flow_run()) is not None and deployed:
            held.enter_context(alone(checked, flow_run.id))
        run = take_open(raised(plan(checked, skip_invalid=skip_invalid)))
        run.held.enter_context(held.pop_all())
    return run


def _flow_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return context.flow_run if context is not None else None


def _is_deployed() -> bool:
    """Whether this run was made through Prefect's API, by somebody who gave its parameters."""
    flow_run = _flow_run()
    return flow_run is not None and flow_run.deployment_id is not None


def _config_file(config: str, *, deployed: bool) -> str:
    allowed = served_configs()
    if deployed or allowed is not None:
        return str(safely(find_served)(config, allowed))
    if not config:
        raise InvalidInput("the parameter config must be given: the path of a config file")
    return config


def _ended_by(error: DeidflowError, message: str, live: Live | None = None) -> State[Any]:
    """Return the state of a run that an error ended, of one that has not begun without ``live``."""
    data = None
    if live is not None:
        data = NotReconciled(message, record_of(live.run, live.totals, exit_code_of(error)))
    if isinstance(error, Interrupted):
        return Cancelled(message=message, data=data)
    name = "Invalid" if isinstance(error, InvalidInput) else "Unusable"
    return Failed(name=name, message=message, data=data)


def _work(run: Run) -> State[Any]:
    """Work on an open run until it ends, is stopped, or cannot go on; then report in any case."""
    with make_progress() as progress:
        live = Live(run, progress)
        with going_live(live) as name, showing_progress(run, progress):
            try:
                with open_work(run) as work, _settling(live):
                    live.engine = work.engine
                    if run.config.verify != "none":
                        full = run.config.verify == "full"
                        live.verification = Verification(run, work.workers, progress, full=full)
                    _edit_and_verify(live, name)
            except DeidflowError as error:
                live.failure = live.failure or error
            finally:
                live.engine = live.verification = None
                publish(name, return_state=True)
                if live.totals is not None:
                    show_result(run, live.totals)
    if live.failure is not None:
        message = str(live.failure)
        if isinstance(live.failure, Unusable):
            message += missing_space(run, live.failure)
        if not isinstance(live.failure, Interrupted):
            change_facts(run.ledger, lambda facts: replace(facts, unusable=message))
        return _ended_by(live.failure, f"{in_words(run, live.totals)}; {message}", live)
    if live.totals is not None and live.totals.reconciled:
        return Completed(message=in_words(run, live.totals), data=record_of(run, live.totals, 0))
    text = f"{in_words(run, live.totals)}; see the report"
    return Failed(name="Partial", message=text, data=NotReconciled(text, record_of(run, live.totals, 1)))


@contextlib.contextmanager
def _settling(live: Live) -> Iterator[None]:
    """Let tasks that are at work come to their end before engine and ledger close, whatever ends the block."""
    try:
        yield
    except BaseException:
        live.run.stop.set()
        _let_end(live)
        raise


@contextlib.contextmanager
def _noticing_cancellation(stop: threading.Event) -> Iterator[None]:
    """Set a flag when this run is cancelled in Prefect, by its UI or API; nobody else tells a run of the command."""
    flow_run = _flow_run()
    if flow_run is None or not is_seen():
        yield  # the server is this process's own, and nobody knows of it
        return
    run_id = flow_run.id
    ended = threading.Event()

    def watch() -> None:
        with get_client(sync_client=True) as client:
            while not ended.wait(_WATCH_S):
                # A server that is away for a while, or for good, is told by what needs it.
                with contextlib.suppress(Exception):
                    state = client.read_flow_run(run_id).state
                    if state is not None and (state.is_cancelling() or state.is_cancelled()):
                        stop.set()
                        return

    threading.Thread(target=copy_context().run, args=(watch,), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


class _WithoutTraceback(logging.Filter):
    """Drops what Prefect logs of a run that has returned how it ended; its state is logged anyway."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], FailedRun | CancelledRun))


def _log_endings_without_traceback() -> None:
    """Keep Prefect from calling rows that are not done an unexpected exception, in this process of a deployment."""
    for name in ("prefect.flow_runs", "prefect.engine"):
        logging.getLogger(name).addFilter(_WithoutTraceback())


def _edit_and_verify(live: Live, name: str) -> None:
    """Run one task per chunk, and one beside them that verifies what is done."""
    verification = live.verification
    to_edit = instances_to_do(live.run.ledger)
    live.progress.start(EDITING, to_edit)
    if verification is not None:
        live.progress.start(VERIFYING, to_edit + verification.count(), beside=True)
    verifying = _submitted(retrying(verify, live.run.config.execution), name).wrapped_future
    try:
        _apply_all(live, name)
    finally:
        live.progress.finish(EDITING)
        if verification is not None:
            verification.edits_are_done()
    _let_verify(live, verifying)


def _apply_all(live: Live, name: str) -> None:
    """Run one task per chunk and wait for all of them; whatever no attempt could do gets its outcome."""
    started = time.monotonic()
    ledger = live.run.ledger
    task = retrying(apply, live.run.config.execution)
    try:
        _work_through(live, (partial(_submitted, task, name, number) for number in open_chunks(ledger)))
    finally:
        note_seconds(live.run, "apply", time.monotonic() - started)
    for number, error in live.errors.items():
        if isinstance(error, Unusable):
            live.failure = live.failure or error
        elif not isinstance(error, Interrupted) and not live.run.stop.is_set():
            give_up(ledger, number, error)
    _finish(live)
    if live.run.stop.is_set():
        live.failure = live.failure or Interrupted("the run was stopped")


def _finish(live: Live) -> None:
    """Let the engine look once more when all chunks are done; after a resume that happens again."""
    if live.engine is None or live.failure is not None or live.run.stop.is_set():
        return
    try:
        safely(live.engine.finish)(live.run.stop.is_set)
    except DeidflowError as error:
        if not live.errors:  # chunks that were given up say what to do
            live.failure = error


def _let_verify(live: Live, verifying: Future[Any]) -> None:
    """Wait for the rest of the verification; one that was stopped proves nothing, however far it was."""
    started = time.monotonic()
    while not live.run.stop.is_set() and not verifying.done():
        wait([verifying], timeout=_POLL_S)
    if live.run.stop.is_set():
        _let_end(live)
        live.failure = live.failure or Interrupted("the run was stopped")
    live.failure = live.failure or live.unverified
    if live.verification is not None:
        note_seconds(live.run, "verify", time.monotonic() - started)


def _submitted(task: Task[..., Any], *arguments: object) -> PrefectConcurrentFuture[Any]:
    return cast("PrefectConcurrentFuture[Any]", task.submit(*arguments))


def _work_through(live: Live, tasks: Iterator[Callable[[], PrefectConcurrentFuture[Any]]]) -> None:
    """Start tasks, so many at a time, and wait for all; once the run is to stop only for those at work.

    Those that sleep before another attempt are not waited for then.
    """
    config = live.run.config
    jobs = config.orthanc.max_parallel_jobs + _BESIDE_JOBS if config.engine == "orthanc" else 0
    most = max(_CHUNKS_AT_A_TIME, jobs)
    waiting: set[Future[Any]] = set()
    while not live.run.stop.is_set():
        waiting.update(submit().wrapped_future for submit in islice(tasks, most - len(waiting)))
        if not waiting:
            break
        _, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
    if live.run.stop.is_set():
        _let_end(live)


def _let_end(live: Live) -> None:
    end = time.monotonic() + _PATIENCE_S
    while live.at_work and time.monotonic() < end:
        time.sleep(_POLL_S)
